import { UserError } from "../../base/errors.ts";
import type { Container } from "../../container/config.ts";
import type { Engine } from "../../container/engine.ts";
import { containersOfNetwork, removeNetwork } from "../../container/networks.ts";
import { removeContainer } from "../../container/remove.ts";
import { type Command, forEach, print, requireArgs } from "../command.ts";
import { filterNetworks } from "../network-filters.ts";
import { confirmed, FORCE, PRUNE_FILTER } from "./prune.ts";

export const networkRemove: Command = {
  summary: "Remove one or more networks",
  usage: "[options] NETWORK [NETWORK...]",
  flags: [
    { long: "force", short: "f", kind: "bool", help: "Remove the containers that use the network too" },
    {
      long: "time",
      short: "t",
      kind: "int",
      help: "Seconds to wait for running containers to stop before they are killed",
    },
  ],
  async run(invocation) {
    requireArgs(invocation, 1);
    const { flags, args } = invocation;
    const time = flags.number("time");
    if (time !== undefined && !flags.bool("force"))
      throw new UserError("--force option must be specified to use the --time option");
    const engine = await invocation.engine();
    return forEach(args, async name => {
      if (flags.bool("force") && !engine.networks.exists(name)) return;
      const force = flags.bool("force");
      await removeNetwork(engine, name, force ? { force, removeUser: remover(engine, time) } : {});
      print(name);
    });
  },
};

/** How containers go with their network: stopped after `time` seconds, in their pods if they are in any. */
function remover(engine: Engine, time: number | undefined) {
  return async ({ config }: Container) => {
    if (!config.infra) return removeContainer(engine, config.id, { force: true, time });
    const { removePod } = await import("../../pod/remove.ts");
    return removePod(engine, config.pod!, { force: true, time });
  };
}

/** Removes networks that no container is on, nor anybody else; gives their names. */
export async function pruneNetworks(engine: Engine, filters: readonly string[]): Promise<string[]> {
  const pruned: string[] = [];
  for (const { name } of filterNetworks(engine, filters, ["label", "label!", "until"])) {
    if (name === engine.networks.defaultNetwork || containersOfNetwork(engine, name).length > 0) continue;
    if (await removeNetwork(engine, name, { leaveUsed: true })) pruned.push(name);
  }
  return pruned;
}

export const networkPrune: Command = {
  summary: "Remove all networks that no container uses",
  usage: "[options]",
  flags: [FORCE, PRUNE_FILTER],
  async run(invocation) {
    const warning = "WARNING! This will remove all networks not used by at least one container.";
    if (!(await confirmed(invocation, warning))) return;
    const engine = await invocation.engine();
    for (const name of await pruneNetworks(engine, invocation.flags.list("filter"))) print(name);
  },
};
