import { cleanupContainer } from "../../container/cleanup.ts";
import { Engine } from "../../container/engine.ts";
import { type Command, forEach, requireArgs } from "../command.ts";

/** What conmon runs when a container has ended. It repairs nothing else: it may be one of many that end at once. */
export const cleanup: Command = {
  summary: "Clean up after a container has ended",
  usage: "CONTAINER [CONTAINER...]",
  flags: [],
  async run(invocation) {
    requireArgs(invocation, 1);
    const engine = Engine.open(invocation.global);
    return forEach(invocation.args, id => cleanupContainer(engine, id));
  },
};
