import { attachRunning } from "../../container/attach.ts";
import { DETACH_KEYS, followToEnd, SIG_PROXY } from "../attached.ts";
import type { Command } from "../command.ts";
import { LATEST, selectOne } from "../select.ts";

export const attach: Command = {
  summary: "Attach to a running container",
  usage: "[options] CONTAINER",
  states: ["running"],
  flags: [{ long: "no-stdin", kind: "bool", help: "Do not attach STDIN" }, DETACH_KEYS, LATEST, SIG_PROXY],
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    const missing = '"portolan attach" requires a name, id, or the "--latest" flag';
    const { container } = selectOne(invocation, engine, missing);
    const attachment = attachRunning(engine, container, {
      tty: container.config.tty,
      stdin: container.config.interactive && !flags.bool("no-stdin"),
      detachKeys: flags.string("detach-keys"),
    });
    return followToEnd(engine, container, attachment, flags.optionalBool("sig-proxy") ?? true);
  },
};
