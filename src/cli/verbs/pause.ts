import { UserError } from "../../base/errors.ts";
import { cgroupManager, isUnified } from "../../container/cgroups.ts";
import { statusOf } from "../../container/config.ts";
import { pauseContainer, unpauseContainer } from "../../container/pause.ts";
import { type Command, forEach, print } from "../command.ts";
import { selectFiltered } from "../container-filters.ts";
import { allFlag, CIDFILE, FILTER, LATEST } from "../select.ts";

const missing = "you must provide at least one name or id";

export const pause: Command = {
  summary: "Pause all the processes in one or more containers",
  usage: "[options] CONTAINER [CONTAINER...]",
  states: ["running"],
  flags: [allFlag("Pause all running containers"), CIDFILE, FILTER, LATEST],
  async run(invocation) {
    const engine = await invocation.engine();
    const names = selectFiltered(invocation, engine, { missing, all: one => statusOf(one) === "running" });
    return forEach(names, async name => {
      await pauseContainer(engine, engine.containers.get(name).config.id);
      print(name);
    });
  },
};

export const unpause: Command = {
  summary: "Unpause the processes in one or more containers",
  usage: "[options] CONTAINER [CONTAINER...]",
  states: ["paused"],
  flags: [allFlag("Unpause all paused containers"), CIDFILE, FILTER, LATEST],
  async run(invocation) {
    const engine = await invocation.engine();
    if (cgroupManager(engine) === "none" && !isUnified())
      throw new UserError("unpause is not supported for cgroupv1 rootless containers");
    const names = selectFiltered(invocation, engine, { missing, all: one => statusOf(one) === "paused" });
    return forEach(names, async name => {
      await unpauseContainer(engine, engine.containers.get(name).config.id);
      print(name);
    });
  },
};
