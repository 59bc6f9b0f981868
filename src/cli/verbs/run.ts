import { UserError } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import type { Attachment } from "../../container/attach.ts";
import { createContainer } from "../../container/create.ts";
import { startLocked } from "../../container/start.ts";
import { DETACH_KEYS, followToEnd, SIG_PROXY } from "../attached.ts";
import { type Command, print, requireArgs } from "../command.ts";
import { CREATE_FLAGS, createOptions } from "../create-flags.ts";
import type { Values } from "../flags.ts";
import { pullFor } from "../pull-image.ts";

/** Which of the three streams `--attach` names; all that make sense where it names none. */
function streams(flags: Values): { stdin: boolean; stdout: boolean; stderr: boolean } {
  const named = flags.list("attach").map(word => word.toLowerCase());
  for (const word of named)
    if (!["stdin", "stdout", "stderr"].includes(word))
      throw new UserError(
        `invalid stream ${JSON.stringify(word)} for --attach - must be one of stdin, stdout, or stderr`,
      );
  const has = (word: string) => named.length === 0 || named.includes(word);
  return { stdin: flags.bool("interactive") && has("stdin"), stdout: has("stdout"), stderr: has("stderr") };
}

export const run: Command = {
  summary: "Run a command in a new container",
  usage: "[options] IMAGE [COMMAND [ARG...]]",
  interspersed: false,
  flags: [
    ...CREATE_FLAGS,
    { long: "attach", short: "a", kind: "array", help: "Attach to STDIN, STDOUT or STDERR" },
    { long: "detach", short: "d", kind: "bool", help: "Run container in background and print container ID" },
    DETACH_KEYS,
    SIG_PROXY,
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    requireArgs(invocation, 1);
    const detach = flags.bool("detach");
    if (detach && flags.has("attach")) throw new UserError("invalid option: conflicting options: -a and -d");
    const wanted = streams(flags);
    const options = createOptions(flags, args);
    if (options.tty && wanted.stdin && !detach && !process.stdin.isTTY)
      log.warn("The input device is not a TTY. The --tty and --interactive flags might not work properly");
    const engine = await invocation.engine();
    let attachment: Attachment | undefined;
    const container = await createContainer(engine, options, {
      pull: pullFor(engine),
      commandLine: invocation.commandLine,
      start: one =>
        startLocked(engine, one, {
          attended: !detach && one.config.remove,
          created: async made => {
            if (detach) return;
            const { attachContainer } = await import("../../container/attach.ts");
            const detachKeys = flags.string("detach-keys");
            attachment = attachContainer(engine, made, { tty: made.config.tty, detachKeys, ...wanted });
          },
        }),
    });
    if (!attachment) {
      print(container.config.id);
      return 0;
    }
    return followToEnd(engine, container, attachment, flags.optionalBool("sig-proxy") ?? true);
  },
};
