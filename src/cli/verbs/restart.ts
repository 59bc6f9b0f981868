import { restartContainer } from "../../container/stop.ts";
import { type Command, forEach, print } from "../command.ts";
import { selectFiltered } from "../container-filters.ts";
import { allFlag, CIDFILE, FILTER, LATEST } from "../select.ts";

export const restart: Command = {
  summary: "Restart one or more containers",
  usage: "[options] CONTAINER [CONTAINER...]",
  flags: [
    allFlag("Restart all non-running and running containers"),
    CIDFILE,
    FILTER,
    LATEST,
    { long: "running", kind: "bool", help: "Restart only running containers" },
    { long: "time", short: "t", kind: "int", help: "Seconds to wait for stop before killing the container" },
  ],
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    const isRunning = (one: { phase: string }) => one.phase === "running";
    const names =
      flags.bool("running") && invocation.args.length === 0
        ? engine.containers
            .list()
            .filter(isRunning)
            .map(one => one.config.id)
        : selectFiltered(invocation, engine, { missing: "you must provide at least one name or id" });
    return forEach(names, async name => {
      await restartContainer(engine, engine.containers.get(name).config.id, { time: flags.number("time") });
      print(name);
    });
  },
};
