import { initContainer } from "../../container/start.ts";
import { type Command, forEach, print } from "../command.ts";
import { allFlag, LATEST, selectNames } from "../select.ts";

export const init: Command = {
  summary: "Make one or more containers ready to run, up to the first instruction",
  usage: "[options] CONTAINER [CONTAINER...]",
  states: ["created", "exited"],
  flags: [allFlag("Initialize all containers"), LATEST],
  async run(invocation) {
    const engine = await invocation.engine();
    const names = selectNames(invocation, engine, {
      missing: "you must provide at least one name or id",
      all: one => one.phase === "created" || one.phase === "exited",
    });
    return forEach(names, async name => {
      await initContainer(engine, engine.containers.get(name).config.id);
      print(name);
    });
  },
};
