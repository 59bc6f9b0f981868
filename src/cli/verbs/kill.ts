import { UserError } from "../../base/errors.ts";
import { killContainer } from "../../container/stop.ts";
import { signalNumber } from "../../sys/process.ts";
import { type Command, forEach, print } from "../command.ts";
import { allFlag, CIDFILE, LATEST, selectNames } from "../select.ts";

export const kill: Command = {
  summary: "Kill one or more running containers with a specific signal",
  usage: "[options] CONTAINER [CONTAINER...]",
  states: ["running", "paused"],
  flags: [
    allFlag("Signal all running containers"),
    CIDFILE,
    LATEST,
    {
      long: "signal",
      short: "s",
      kind: "string",
      help: "Signal to send to the container (default KILL)",
      complete: "signal",
    },
  ],
  async run(invocation) {
    const word = invocation.flags.string("signal") ?? "KILL";
    const number = signalNumber(word);
    if (number === undefined) throw new UserError(`invalid signal: ${word}`);
    const engine = await invocation.engine();
    const missing = "you must provide at least one name or id";
    return forEach(
      selectNames(invocation, engine, { missing, all: one => one.phase === "running" }),
      async name => {
        await killContainer(engine, engine.containers.get(name).config.id, number);
        print(name);
      },
    );
  },
};
