import { createReadStream, existsSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import { writeErr } from "../../base/stdio.ts";
import { recordImageEvent } from "../../container/images.ts";
import { download, importImage } from "../../image/compose.ts";
import { parsePlatform } from "../../image/manifest.ts";
import { type Command, print } from "../command.ts";

export const importVerb: Command = {
  summary: "Import a tarball to create a filesystem image",
  usage: "[options] PATH [REFERENCE]",
  flags: [
    { long: "arch", kind: "string", help: "Set the architecture of the imported image" },
    {
      long: "change",
      short: "c",
      kind: "array",
      help: "Apply an instruction of a Containerfile to the image",
    },
    { long: "message", short: "m", kind: "string", help: "Set commit message for imported image" },
    { long: "os", kind: "string", help: "Set the OS of the imported image" },
    { long: "quiet", short: "q", kind: "bool", help: "Suppress output" },
    { long: "variant", kind: "string", help: "Set the variant of the imported image" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    if (args.length < 1 || args.length > 2)
      throw new UserError(`accepts between 1 and 2 arg(s), received ${args.length}`);
    const [path, name] = args as [string, string?];
    const variant = flags.string("variant");
    const platform = {
      os: flags.string("os") ?? "linux",
      architecture: flags.string("arch") ?? parsePlatform().architecture,
      ...(variant ? { variant } : {}),
    };
    const engine = await invocation.engine();
    const image = await importImage(engine.images, await open(path), {
      changes: flags.list("change"),
      message: flags.string("message") ?? "imported from tarball",
      name,
      platform,
    });
    recordImageEvent(engine, "import", image.id, image.names[0] ?? "");
    if (!flags.bool("quiet")) writeErr("Stored an image of 1 layer\n");
    print(`sha256:${image.id}`);
    return 0;
  },
};

/** A file, standard input for `-`, or what a web server gives. */
async function open(path: string): Promise<AsyncIterable<Uint8Array>> {
  if (path === "-") return Bun.stdin.stream() as AsyncIterable<Uint8Array>;
  if (/^https?:\/\//.test(path)) {
    print(`Downloading from ${JSON.stringify(path)}`);
    return download(path);
  }
  if (!existsSync(path))
    throw new UserError(`error opening ${JSON.stringify(path)}: open ${path}: no such file or directory`);
  return createReadStream(path) as AsyncIterable<Uint8Array>;
}
