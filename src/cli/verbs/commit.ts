import { writeFileSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import { writeErr } from "../../base/stdio.ts";
import { imageFormat } from "../../image/compose.ts";
import { type Command, print } from "../command.ts";

export const commit: Command = {
  summary: "Create new image based on the changed container",
  usage: "[options] CONTAINER [IMAGE]",
  flags: [
    { long: "author", short: "a", kind: "string", help: "Set the author for the image committed" },
    {
      long: "change",
      short: "c",
      kind: "array",
      help: "Apply an instruction to the created image: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR",
    },
    {
      long: "format",
      short: "f",
      kind: "string",
      help: "Format of the image manifest and metadata (oci, docker)",
    },
    { long: "iidfile", kind: "string", help: "File to write the image ID to", complete: "file" },
    { long: "include-volumes", kind: "bool", help: "Include container volumes as image volumes" },
    {
      long: "message",
      short: "m",
      kind: "string",
      help: "Set commit message for the image (docker format only)",
    },
    { long: "pause", short: "p", kind: "bool", help: "Pause container during commit" },
    { long: "quiet", short: "q", kind: "bool", help: "Suppress output" },
    { long: "squash", short: "s", kind: "bool", help: "Squash all layers into a single one" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    if (args.length < 1 || args.length > 2)
      throw new UserError(`accepts between 1 and 2 arg(s), received ${args.length}`);
    const format = imageFormat(flags.string("format"));
    const engine = await invocation.engine();
    const { commitContainer } = await import("../../container/commit.ts");
    const image = await commitContainer(engine, engine.containers.get(args[0]!), {
      name: args[1],
      author: flags.string("author"),
      message: flags.string("message"),
      format,
      changes: flags.list("change"),
      includeVolumes: flags.bool("include-volumes"),
      pause: flags.bool("pause"),
      squash: flags.bool("squash"),
    });
    if (!flags.bool("quiet")) writeErr(`Stored an image of ${image.config.rootfs.diff_ids.length} layers\n`);
    const file = flags.string("iidfile");
    if (file !== undefined) writeFileSync(file, image.id);
    print(image.id);
    return 0;
  },
};
