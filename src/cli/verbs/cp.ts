import { UserError } from "../../base/errors.ts";
import { parseCopyPath } from "../../container/copy-path.ts";
import type { Engine } from "../../container/engine.ts";
import { type Command, requireArgs } from "../command.ts";

function containerOf(engine: Engine, text: string) {
  const container = engine.containers.find(text);
  if (!container) throw new UserError(`container ${JSON.stringify(text)} does not exist`, { status: 404 });
  return container;
}

export const cp: Command = {
  summary: "Copy files or folders between a container and the local filesystem",
  usage: "[options] [CONTAINER:]SRC_PATH [CONTAINER:]DEST_PATH",
  flags: [
    {
      long: "archive",
      short: "a",
      kind: "bool",
      help: "Copies belong to the user of the container that they go to (default true)",
    },
    {
      long: "overwrite",
      kind: "bool",
      help: "Allow to overwrite directories with non-directories and vice versa",
    },
    { long: "pause", kind: "bool", hidden: true, help: "Deprecated, and without effect" },
  ],
  async run(invocation) {
    requireArgs(invocation, 2, 2);
    const { flags } = invocation;
    const [from, to] = invocation.args as [string, string];
    const [source, target] = [parseCopyPath(from), parseCopyPath(to)];
    if (source.path === "" || target.path === "")
      throw new UserError(
        `invalid arguments ${JSON.stringify(from)}, ${JSON.stringify(to)}: you must specify paths`,
      );
    if (!source.container && !target.container) throw new UserError("name or ID cannot be empty");
    const options = {
      archive: flags.optionalBool("archive") ?? true,
      overwrite: flags.bool("overwrite"),
    };
    const engine = await invocation.engine();
    const copy = await import("../../container/copy.ts");
    const place = ({ container: text, path }: typeof source) => ({
      container: containerOf(engine, text!),
      text: text!,
      path,
    });
    if (source.container && target.container)
      await copy.copyAcross(engine, place(source), place(target), options);
    else if (source.container && to === "-") await copy.copyStreamOut(engine, place(source));
    else if (source.container) await copy.copyOut(engine, place(source), target.path, options);
    else if (from === "-") await copy.copyStreamIn(engine, place(target), options);
    else await copy.copyIn(engine, source.path, place(target), options);
    return 0;
  },
};
