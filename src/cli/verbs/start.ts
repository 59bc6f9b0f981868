import { UserError } from "../../base/errors.ts";
import type { Attachment } from "../../container/attach.ts";
import { startContainer } from "../../container/start.ts";
import { DETACH_KEYS, followToEnd, SIG_PROXY } from "../attached.ts";
import { type Command, forEach, print } from "../command.ts";
import { selectFiltered } from "../container-filters.ts";
import { allFlag, FILTER, LATEST } from "../select.ts";

export const start: Command = {
  summary: "Start one or more containers",
  usage: "[options] CONTAINER [CONTAINER...]",
  states: ["created", "initialized", "exited"],
  flags: [
    { ...allFlag("Start all containers, running or not"), short: undefined },
    { long: "attach", short: "a", kind: "bool", help: "Attach container's STDOUT and STDERR" },
    { long: "interactive", short: "i", kind: "bool", help: "Attach container's STDIN too" },
    DETACH_KEYS,
    FILTER,
    LATEST,
    SIG_PROXY,
  ],
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    if (flags.bool("all") && invocation.args.length > 0)
      throw new UserError("either start all containers or the container(s) provided in the arguments");
    const names = selectFiltered(invocation, engine, { missing: "start requires at least one argument" });
    const interactive = flags.bool("interactive");
    if (!flags.bool("attach") && !interactive)
      return forEach(names, async name => {
        await startContainer(engine, engine.containers.get(name).config.id);
        print(name);
      });
    if (names.length > 1) throw new UserError("you cannot start and attach multiple containers at once");
    const { attachContainer } = await import("../../container/attach.ts");
    const { config } = engine.containers.get(names[0]!);
    let attachment: Attachment | undefined;
    const options = {
      tty: config.tty,
      stdin: interactive && config.interactive,
      detachKeys: flags.string("detach-keys"),
    };
    const container = await startContainer(engine, config.id, {
      created: made => {
        attachment = attachContainer(engine, made, options);
      },
    });
    // It ran already: join it where it is.
    attachment ??= attachContainer(engine, container, options);
    return followToEnd(engine, container, attachment, flags.optionalBool("sig-proxy") ?? true);
  },
};
