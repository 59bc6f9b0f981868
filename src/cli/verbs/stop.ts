import { stopContainer } from "../../container/stop.ts";
import { type Command, forEach, print } from "../command.ts";
import { selectFiltered } from "../container-filters.ts";
import { allFlag, CIDFILE, FILTER, LATEST } from "../select.ts";

export const stop: Command = {
  summary: "Stop one or more containers",
  usage: "[options] CONTAINER [CONTAINER...]",
  states: ["running", "paused"],
  flags: [
    allFlag("Stop all running containers"),
    CIDFILE,
    FILTER,
    { long: "ignore", short: "i", kind: "bool", help: "Ignore errors when a specified container is missing" },
    LATEST,
    { long: "time", short: "t", kind: "int", help: "Seconds to wait for stop before killing the container" },
  ],
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    const missing = "you must provide at least one name or id";
    const names = selectFiltered(invocation, engine, {
      missing,
      lenient: flags.bool("ignore"),
      all: one => one.phase === "running",
    });
    return forEach(names, async name => {
      if (flags.bool("ignore") && !engine.containers.find(name)) return;
      await stopContainer(engine, engine.containers.get(name).config.id, { time: flags.number("time") });
      print(name);
    });
  },
};
