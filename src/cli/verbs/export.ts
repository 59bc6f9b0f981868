import { closeSync, openSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import { type Command, requireArgs } from "../command.ts";

export const exportVerb: Command = {
  summary: "Export container's filesystem contents as a tar archive",
  usage: "[options] CONTAINER",
  flags: [
    {
      long: "output",
      short: "o",
      kind: "string",
      help: "Write to a specified file (default: stdout, which must be redirected)",
      complete: "file",
    },
  ],
  async run(invocation) {
    requireArgs(invocation, 1, 1);
    const output = invocation.flags.string("output");
    if (output === undefined && process.stdout.isTTY)
      throw new UserError("refusing to export to terminal. Use -o flag or redirect");
    if (output?.includes(":"))
      throw new UserError(`invalid filename (should not contain ':') ${JSON.stringify(output)}`);
    const engine = await invocation.engine();
    const container = engine.containers.get(invocation.args[0]!);
    const { exportContainer } = await import("../../container/export.ts");
    const fd = output === undefined ? 1 : openSync(output, "w", 0o644);
    try {
      await exportContainer(engine, container, fd);
    } finally {
      if (fd !== 1) closeSync(fd);
    }
    return 0;
  },
};
