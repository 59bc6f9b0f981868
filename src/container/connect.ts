/**
 * Putting a container on a network, and taking it off.
 *
 * A running container is on a network when both `joinsOf` and `networksBegun` say so. Connecting writes the second first,
 * disconnecting takes from the first first; so what a killed command has left half done is begun and not joined, and
 * `settleNetworks` ends it, whichever of the two it was.
 */
import { errorText, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { recordEvent } from "../state/events.ts";
import { portCarrier } from "./carry-ports.ts";
import {
  type Container,
  isJoined,
  isUnsettled,
  isUp,
  joinsOf,
  type NetworkJoin,
  networkModeName,
} from "./config.ts";
import { joinNetwork, leaveNetworks, publishOn } from "./container-network.ts";
import { nameInterfaces } from "./create-network.ts";
import type { Engine } from "./engine.ts";
import { followHosts } from "./hosts.ts";
import type { JoinOptions } from "./parse-network.ts";
import { followResolvConf } from "./resolv.ts";
import { namedOf } from "./told-names.ts";

/**
 * The container under its lock; it must be one that can be on networks. One that has just ended still has its namespace, and
 * is treated as one that runs: its exit command, which comes next, takes down all that it is on.
 */
async function withContainer(
  engine: Engine,
  nameOrId: string,
  fn: (container: Container) => Promise<void>,
): Promise<void> {
  await engine.containers.locked(engine.containers.get(nameOrId).config.id, async container => {
    const { network } = container.config;
    if (network.kind !== "bridge")
      throw new UserError(
        `${JSON.stringify(networkModeName(network))} is not supported: invalid network mode`,
        { status: 400 },
      );
    await settleNetworks(engine, container);
    await fn(container);
  });
}

function record(engine: Engine, { config }: Container, status: string, network: string): void {
  recordEvent(engine.db, { type: "network", status, id: config.id, name: config.name, network });
}

/** Puts a container on one more network. Throws UserError in Podman's words, and has then changed nothing. */
export async function connectNetwork(
  engine: Engine,
  nameOrId: string,
  networkNameOrId: string,
  options: JoinOptions,
): Promise<void> {
  await withContainer(engine, nameOrId, async container => {
    const { config, state } = container;
    const network = engine.networks.resolve(networkNameOrId);
    const joins = joinsOf(container);
    if (joins.some(one => one.network === network))
      throw new UserError(
        `container ${config.id} is already connected to network ${JSON.stringify(network)}: network is already connected`,
        { status: 409 },
      );
    const aliases = [...options.aliases, config.id.slice(0, 12)];
    const all = nameInterfaces([...joins, { ...options, network, ifName: options.ifName ?? "", aliases }]);
    const join = all.at(-1)!;
    if (isUp(container)) await attachRunning(engine, container, join);
    state.networks = all;
    engine.containers.save(container);
    await tellNames(engine, container);
    record(engine, container, "connect", network);
  });
}

async function attachRunning(engine: Engine, container: Container, join: NetworkJoin): Promise<void> {
  const { state } = container;
  const before = [...state.attachments];
  const joins = joinsOf(container);
  const carries = portCarrier(engine, state, [...joins, join]) === join;
  state.networksBegun.push({ network: join.network, ifName: join.ifName });
  engine.containers.save(container);
  try {
    // Two networks can't have the same port of the host.
    if (carries) for (const one of joins) await publishOn(engine, container, one, []);
    // A user's published ports are served already, by the data plane.
    await joinNetwork(engine, container, join, carries ? state.ports : [], []);
    followHosts(engine, container, []);
    followResolvConf(engine, container, before);
  } catch (error) {
    // Where this fails as well, the next command tries again.
    await settleNetworks(engine, container).catch(worse => log.warn(errorText(worse)));
    throw error;
  }
}

/** Takes a container off a network. Throws UserError in Podman's words. */
export async function disconnectNetwork(
  engine: Engine,
  nameOrId: string,
  networkNameOrId: string,
  options: { force?: boolean } = {},
): Promise<void> {
  await withContainer(engine, nameOrId, async container => {
    const { config, state } = container;
    const joins = joinsOf(container);
    // A network that is not there any more can still be left.
    const isKnown = options.force && joins.some(one => one.network === networkNameOrId);
    const network = isKnown ? networkNameOrId : engine.networks.resolve(networkNameOrId);
    if (!joins.some(one => one.network === network))
      throw new UserError(`container ${config.name} is not connected to network ${network}`, { status: 409 });
    state.networks = joins.filter(one => one.network !== network);
    engine.containers.save(container);
    await settleNetworks(engine, container);
    record(engine, container, "disconnect", network);
  });
}

/** Takes a running container off all that it is not to be on; its ports lead where they can then. The caller holds the lock. */
export async function settleNetworks(engine: Engine, container: Container): Promise<void> {
  if (!isUnsettled(container)) return;
  const { state } = container;
  const joins = joinsOf(container);
  const stays = (one: { network: string; ifName: string }) => isJoined(joins, one);
  const [before, gone] = [state.attachments, state.networksBegun.filter(one => !stays(one))];
  await leaveNetworks(engine, container, gone, { staysUp: true });
  state.attachments = before.filter(stays);
  const carrier = portCarrier(engine, state, joins);
  if (carrier) await publishOn(engine, container, carrier, state.ports);
  followHosts(
    engine,
    container,
    before.filter(one => !stays(one)),
  );
  followResolvConf(engine, container, before);
  state.networksBegun = state.networksBegun.filter(stays);
  engine.containers.save(container);
  await tellNames(engine, container);
}

/** What names are known by hangs on all networks that a container is on (whether it may ask the world, for one). */
async function tellNames(engine: Engine, container: Container): Promise<void> {
  if (!isUp(container)) return;
  for (const one of container.state.attachments)
    if (one.dns.nameservers.length > 0 && engine.networks.exists(one.network))
      await engine.names.join(namedOf(container), one);
}

/** Makes the host's rules for a running container's networks anew. Throws UserError in Podman's words. */
export async function reloadNetworks(engine: Engine, nameOrId: string): Promise<void> {
  await engine.containers.locked(engine.containers.get(nameOrId).config.id, async container => {
    const { config, state } = container;
    if (!isUp(container))
      throw new UserError(
        "cannot reload network unless container network has been configured: container state improper",
        { status: 409 },
      );
    if (state.netnsPath === "")
      throw new UserError(
        `container ${config.id} network is not configured, refusing to reload: container state improper`,
        { status: 409 },
      );
    await settleNetworks(engine, container);
    const joins = joinsOf(container);
    const carrier = portCarrier(engine, state, joins);
    for (const [index, join] of joins.entries())
      await publishOn(engine, container, join, join === carrier ? state.ports : [], index === 0);
    await tellNames(engine, container);
  });
}
