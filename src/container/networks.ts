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
}

/** Removes a network. Throws UserError in Podman's words: exit code 1 for one that is not there, 2 for one in use. */
export async function removeNetwork(
  engine: Engine,
  nameOrId: string,
  options: NetworkRemoveOptions = {},
): Promise<void> {
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
  if (!(await engine.networks.remove(name, one => containersOfNetwork(engine, one).length > 0)))
    throw new UserError(
      `${JSON.stringify(nameOrId)} has associated containers with it. Use -f to forcibly delete containers and pods: network is being used`,
      { exitCode: 2, status: 409 },
    );
  if (engine.user && bridge) await (await engine.networkSetup()).removeBridge(bridge);
}
