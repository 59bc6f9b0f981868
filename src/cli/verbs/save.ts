import { UserError } from "../../base/errors.ts";
import { recordImageEvent } from "../../container/images.ts";
import { saveArchive, saveFile } from "../../image/save.ts";
import { type Command, requireArgs } from "../command.ts";

export const save: Command = {
  summary: "Save image(s) to an archive",
  usage: "[options] IMAGE [IMAGE...]",
  flags: [
    {
      long: "format",
      kind: "string",
      help: "Save image to oci-archive or docker-archive",
      complete: ["docker-archive", "oci-archive"],
    },
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
      complete: "file",
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
    if (output === undefined) await saveArchive(engine.images, images, format, 1);
    else await saveFile(engine.images, images, format, output);
    for (const { image } of images) recordImageEvent(engine, "save", image.id, output ?? "/dev/stdout");
  },
};

/** `nginx` means `docker.io/library/nginx:latest`. */
function isMeant(full: string, text: string): boolean {
  return (
    full === text ||
    full.endsWith(`/${text}`) ||
    full.endsWith(`/${text}:latest`) ||
    full === `${text}:latest`
  );
}
