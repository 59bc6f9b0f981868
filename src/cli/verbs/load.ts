import { statSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import { recordImageEvent } from "../../container/images.ts";
import { loadArchive } from "../../image/load.ts";
import { type Command, print, requireArgs } from "../command.ts";

export const load: Command = {
  summary: "Load images from a tar archive",
  usage: "[options]",
  flags: [
    {
      long: "input",
      short: "i",
      kind: "string",
      help: "Load images from specified tar archive file",
      complete: "file",
    },
    { long: "quiet", short: "q", kind: "bool", help: "Suppress the output" },
  ],
  async run(invocation) {
    requireArgs(invocation, 0, 0);
    const path = invocation.flags.string("input");
    if (path !== undefined) {
      const stats = statSync(path, { throwIfNoEntry: false });
      if (!stats) throw new UserError(`stat ${path}: no such file or directory`);
      if (stats.isDirectory())
        throw new UserError(
          `payload does not match any of the supported image formats: ${path} is a directory`,
        );
    }
    if (path === undefined && process.stdin.isTTY)
      throw new UserError("cannot read from terminal, use command-line redirection or the --input flag");
    const engine = await invocation.engine();
    for (const name of await loadArchive(engine.images, path)) {
      recordImageEvent(engine, "loadfromarchive", engine.images.find(name)?.id ?? "", path ?? "/dev/stdin");
      print(`Loaded image: ${name}`);
    }
  },
};
