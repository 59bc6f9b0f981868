/** Networks and the containers on them: who uses one, and what is removed with it. */
import { UserError } from "../base/errors.ts";
import { type Container, joinsOf } from "./config.ts";
import type { Engine } from "./engine.ts";

/** Those that are on the network, or join it when they start. */
export function containersOfNetwork(engine: Engine, name: string): Container[] {
  return engine.containers.list().filter(one => joinsOf(one).some(join => join.network === name));
}

export interface NetworkRemoveOptions {
  /** Removes a container that is on it, or the pod whose infra container that is; absent: one in use is left. */
  removeUser?: (container: Container) => Promise<void>;
  /** Removes the bridge though there are others than our containers on it, as Podman's. */
  force?: boolean;
  /** One that is in use is no error. */
  leaveUsed?: boolean;
}

/**
 * Removes a network; false for one that is left (`leaveUsed`). Throws UserError in Podman's words: exit code 1 for one that
 * is not there, 2 for one in use.
 */
export async function removeNetwork(
  engine: Engine,
  nameOrId: string,
  options: NetworkRemoveOptions = {},
): Promise<boolean> {
  if (!engine.networks.exists(nameOrId))
    throw new UserError(`unable to find network with name or ID ${nameOrId}: network not found`, {
      exitCode: 1,
      status: 404,
    });
  const name = engine.networks.resolve(nameOrId);
  if (name === engine.networks.defaultNetwork)
    throw new UserError(`default network ${name} cannot be removed`, { status: 400 });
  if (options.removeUser) for (const one of containersOfNetwork(engine, name)) await options.removeUser(one);
  const { network_interface: bridge } = engine.networks.inspect(name);
  const isUsed = (one: string) => containersOfNetwork(engine, one).length > 0;
  const { removed, others } = await engine.networks.remove(name, isUsed, options);
  if (!removed) {
    if (options.leaveUsed) return false;
    const quoted = JSON.stringify(nameOrId);
    throw new UserError(
      others.length > 0
        ? `${quoted} has others than our containers on its bridge ${bridge} (${others.join(", ")}). Use -f to remove it under them: network is being used`
        : `${quoted} has associated containers with it. Use -f to forcibly delete containers and pods: network is being used`,
      { exitCode: 2, status: 409 },
    );
  }
  if (engine.user && bridge) await (await engine.networkSetup()).removeBridge(bridge);
  return true;
}
