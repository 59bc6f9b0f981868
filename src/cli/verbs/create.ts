import { writeErr } from "../../base/stdio.ts";
import { type Command, print, requireArgs } from "../command.ts";
import { CREATE_FLAGS, createOptions, maker, podOf } from "../create-flags.ts";
import { pullFor } from "../pull-image.ts";

export const create: Command = {
  summary: "Create but do not start a container",
  usage: "[options] IMAGE [COMMAND [ARG...]]",
  interspersed: false,
  flags: CREATE_FLAGS,
  async run(invocation) {
    requireArgs(invocation, 1);
    const { flags, args } = invocation;
    const options = { ...createOptions(flags, args), pod: podOf(flags) };
    const engine = await invocation.engine();
    const make = await maker(options);
    const { config } = await make(engine, options, {
      pull: pullFor(engine),
      commandLine: invocation.commandLine,
      warn: text => writeErr(`${text}\n`),
      replaced: old => print(old.config.name),
    });
    print(config.id);
  },
};
