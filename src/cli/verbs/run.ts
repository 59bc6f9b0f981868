import { BugError, errorText, UserError } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import { writeErr } from "../../base/stdio.ts";
import type { Attachment } from "../../container/attach.ts";
import type { Container } from "../../container/config.ts";
import type { Engine } from "../../container/engine.ts";
import { chooseRuntime } from "../../container/runtime.ts";
import { type StartOptions, startLocked } from "../../container/start.ts";
import { DETACH_KEYS, followToEnd, SIG_PROXY } from "../attached.ts";
import { type Command, print, requireArgs } from "../command.ts";
import { CREATE_FLAGS, createOptions, maker, podOf } from "../create-flags.ts";
import type { Values } from "../flags.ts";
import { pullFor } from "../pull-image.ts";

/** Which of the three streams `--attach` names; all that make sense where it names none. */
function streams(flags: Values): { stdin: boolean; stdout: boolean; stderr: boolean } {
  const named = flags.list("attach").map(word => word.toLowerCase());
  for (const word of named)
    if (!["stdin", "stdout", "stderr"].includes(word))
      throw new UserError(
        `invalid stream ${JSON.stringify(word)} for --attach - must be one of stdin, stdout, or stderr: invalid argument`,
      );
  const has = (word: string) => named.length === 0 || named.includes(word);
  return { stdin: flags.bool("interactive") && has("stdin"), stdout: has("stdout"), stderr: has("stderr") };
}

/** `run` answers for a container that could not be started with 127 where something was not found, else with 126. */
async function startForRun(engine: Engine, container: Container, options: StartOptions): Promise<void> {
  try {
    await startLocked(engine, container, options);
  } catch (error) {
    if (error instanceof BugError) throw error;
    const text = errorText(error);
    const exitCode = /file not found|no such file or directory/i.test(text) ? 127 : 126;
    const hint = error instanceof UserError ? error.hint : undefined;
    throw new UserError(text, { exitCode, hint, cause: error });
  }
}

export const run: Command = {
  summary: "Run a command in a new container",
  usage: "[options] IMAGE [COMMAND [ARG...]]",
  interspersed: false,
  flags: [
    ...CREATE_FLAGS,
    {
      long: "attach",
      short: "a",
      kind: "array",
      help: "Attach to STDIN, STDOUT or STDERR",
      complete: ["stdin", "stdout", "stderr"],
    },
    { long: "detach", short: "d", kind: "bool", help: "Run container in background and print container ID" },
    DETACH_KEYS,
    SIG_PROXY,
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    requireArgs(invocation, 1);
    const detach = flags.bool("detach");
    const wanted = streams(flags);
    const options = { ...createOptions(flags, args), pod: podOf(flags) };
    const engine = await invocation.engine();
    const make = await maker(options);
    if (options.tty && wanted.stdin && !detach && !process.stdin.isTTY)
      log.warn("The input device is not a TTY. The --tty and --interactive flags might not work properly");
    // Without a runtime nothing is made at all.
    chooseRuntime(engine);
    let attachment: Attachment | undefined;
    const container = await make(engine, options, {
      pull: pullFor(engine),
      commandLine: invocation.commandLine,
      warn: text => writeErr(`${text}\n`),
      replaced: old => print(old.config.name),
      start: one =>
        startForRun(engine, one, {
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
