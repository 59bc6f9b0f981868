import { tagImage, untagNames } from "../../container/images.ts";
import { type Command, requireArgs } from "../command.ts";

export const tag: Command = {
  summary: "Add an additional name to a local image",
  usage: "IMAGE TARGET_NAME [TARGET_NAME...]",
  flags: [],
  outside: true,
  async run(invocation) {
    requireArgs(invocation, 2);
    const [image = "", ...names] = invocation.args;
    const engine = await invocation.engine();
    const found = engine.images.get(image);
    for (const name of names) tagImage(engine, found, name);
  },
};

export const untag: Command = {
  summary: "Remove a name from a local image",
  usage: "IMAGE [NAME...]",
  flags: [],
  outside: true,
  async run(invocation) {
    requireArgs(invocation, 1);
    const [image = "", ...names] = invocation.args;
    const engine = await invocation.engine();
    untagNames(engine, engine.images.get(image), names);
  },
};
