import { closeSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { UserError } from "../../base/errors.ts";
import { recordImageEvent } from "../../container/images.ts";
import { saveArchive } from "../../image/save.ts";
import { type Command, requireArgs } from "../command.ts";

export const save: Command = {
  summary: "Save image(s) to an archive",
  usage: "[options] IMAGE [IMAGE...]",
  flags: [
    { long: "format", kind: "string", help: "Save image to oci-archive or docker-archive" },
    {
      long: "multi-image-archive",
      short: "m",
      kind: "bool",
      help: "Interpret additional arguments as images, not tags",
    },
    {
      long: "output",
      short: "o",
      kind: "string",
      help: "Write to a specified file (default: stdout, which must be redirected)",
    },
    { long: "quiet", short: "q", kind: "bool", help: "Suppress the output" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    if (args.length === 0) throw new UserError("need at least 1 argument");
    const format = flags.string("format") ?? "docker-archive";
    if (format !== "docker-archive" && format !== "oci-archive")
      throw new UserError(`unknown format ${JSON.stringify(format)}: choose docker-archive or oci-archive`);
    const output = flags.string("output");
    if (output === undefined && process.stdout.isTTY)
      throw new UserError("refusing to save to terminal. Use -o flag or redirect");
    requireArgs(invocation, 1);
    const engine = await invocation.engine();
    const images = args.map(name => {
      const image = engine.images.get(name);
      const named = image.names.filter(
        one => engine.images.find(name)?.id === image.id && isMeant(one, name),
      );
      return { image, names: named.length > 0 ? named : image.names.slice(0, 1) };
    });
    const replaces = output !== undefined && isReplaced(output);
    // A half-written file must not look like an archive.
    const part = replaces ? `${output}.${process.pid}.part` : undefined;
    try {
      const fd =
        output === undefined ? 1 : part === undefined ? openSync(output, "w") : openSync(part, "wx", 0o644);
      try {
        await saveArchive(engine.images, images, format, fd);
      } finally {
        if (fd !== 1) closeSync(fd);
      }
      if (part !== undefined) renameSync(part, output!);
    } catch (error) {
      if (part !== undefined) rmSync(part, { force: true });
      throw error;
    }
    for (const { image } of images) recordImageEvent(engine, "save", image.id, output ?? "/dev/stdout");
  },
};

/**
 * Whether the archive takes the place of what `output` names; false for devices and pipes (`/dev/null`), which are
 * written to. Throws where no file can be.
 */
function isReplaced(output: string): boolean {
  const found = statSync(output, { throwIfNoEntry: false });
  if (found?.isDirectory()) throw new UserError(`open ${output}: is a directory`);
  if (!found && !statSync(dirname(output), { throwIfNoEntry: false })?.isDirectory())
    throw new UserError(`open ${output}: no such file or directory`);
  return found?.isFile() ?? true;
}

/** `nginx` means `docker.io/library/nginx:latest`. */
function isMeant(full: string, text: string): boolean {
  return (
    full === text ||
    full.endsWith(`/${text}`) ||
    full.endsWith(`/${text}:latest`) ||
    full === `${text}:latest`
  );
}
