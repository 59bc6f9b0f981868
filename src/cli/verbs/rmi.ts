import { UserError } from "../../base/errors.ts";
import { removeImage } from "../../container/images.ts";
import { type Command, forEach, print } from "../command.ts";
import { allFlag } from "../select.ts";

export const rmi: Command = {
  summary: "Remove one or more images from local storage",
  usage: "[options] IMAGE [IMAGE...]",
  flags: [
    allFlag("Remove all images"),
    { long: "force", short: "f", kind: "bool", help: "Force removal of the image, and of its containers" },
    { long: "ignore", short: "i", kind: "bool", help: "Ignore errors when a specified image is missing" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    const all = flags.bool("all");
    if (args.length === 0 && !all) throw new UserError("image name or ID must be specified");
    if (args.length > 0 && all)
      throw new UserError("when using the --all switch, you may not pass any images names or IDs");
    const engine = await invocation.engine();
    const force = flags.bool("force") || (all && flags.bool("force"));
    const names = all ? engine.images.list().map(one => one.id) : args;
    const ignore = flags.bool("ignore") || flags.bool("force");
    const outcome = { untagged: [] as string[], deleted: [] as string[] };
    const code = await forEach(names, async name => {
      if (ignore && !engine.images.find(name)) return;
      const { untagged, deleted } = await removeImage(engine, name, { force: force || all });
      outcome.untagged.push(...untagged);
      outcome.deleted.push(...deleted);
    });
    for (const one of outcome.untagged) print(`Untagged: ${one}`);
    for (const one of outcome.deleted) print(`Deleted: ${one}`);
    return code;
  },
};
