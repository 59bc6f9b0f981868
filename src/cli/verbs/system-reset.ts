import { removeNetwork } from "../../container/networks.ts";
import { removeContainer } from "../../container/remove.ts";
import { stopContainer } from "../../container/stop.ts";
import { removePod } from "../../pod/remove.ts";
import { emptyDirectory } from "../../sys/empty-directory.ts";
import { endPause } from "../../userns/pause.ts";
import { type Command, print } from "../command.ts";
import { confirmed, FORCE } from "./prune.ts";

export const systemMigrate: Command = {
  summary: "Stop your containers and leave your user namespace, so that new subordinate ids come into force",
  usage: "[options]",
  flags: [],
  async run(invocation) {
    const engine = await invocation.engine();
    for (const { config, phase } of engine.containers.list()) {
      if (phase !== "running") continue;
      await stopContainer(engine, config.id);
      print(`stopped ${config.id}`);
    }
    if (engine.user) endPause(engine.paths.runRoot);
  },
};

const WARNING = `WARNING! This will remove:
        - all containers
        - all pods
        - all images
        - all networks
        - all build cache
        - all volumes`;

export const systemReset: Command = {
  summary: "Remove all containers, pods, images, networks and volumes, and all else that is kept for them",
  usage: "[options]",
  flags: [FORCE],
  async run(invocation) {
    const engine = await invocation.engine();
    if (!(await confirmed(invocation, WARNING))) return;
    for (const { config } of engine.pods.list()) await removePod(engine, config.id, { force: true, time: 0 });
    for (const { config } of engine.containers.list())
      await removeContainer(engine, config.id, { force: true, volumes: true, time: 0 });
    for (const { name } of engine.networks.list())
      if (name !== engine.networks.defaultNetwork) await removeNetwork(engine, name, { force: true });
    engine.db.close();
    const { root, runRoot } = engine.paths;
    if (engine.user) endPause(runRoot);
    for (const directory of [root, runRoot]) emptyDirectory(directory);
  },
};
