/** A container's network: what a start takes and puts up for it, and what an end takes down. */
import { ErrorList } from "../base/errors.ts";
import { readHostNetwork } from "../network/host-network.ts";
import { portsKey } from "../network/ports.ts";
import { closeFd } from "../sys/fd.ts";
import * as netns from "../sys/netns.ts";
import { portCarrier } from "./carry-ports.ts";
import {
  type Container,
  joinsOf,
  type NetworkJoin,
  ownsNamespace,
  type PortMapping,
  publishes,
} from "./config.ts";
import type { Engine } from "./engine.ts";
import { enterPodsHosts, leavePodsHosts, writeHosts } from "./hosts.ts";
import { writeResolvConf } from "./resolv.ts";
import { namedOf } from "./told-names.ts";

type Listeners = import("../network/published.ts").Listeners;

/** The host's ports, bound before anything is made. Disposed of, this process holds them no more. */
export interface TakenPorts extends Disposable {
  /** With host ports chosen. */
  ports: PortMapping[];
  /** Sockets that keep ports from others, for conmon to hold: packets take another way. */
  held: readonly number[];
  /** Sockets that the data plane serves. */
  listeners: readonly Listeners[];
}

/** Binds the published ports of a container that is to be started, or others that it shall have. */
export async function takePorts(
  engine: Engine,
  { config }: Container,
  asked: readonly PortMapping[] = publishes(config.network) ? config.ports : [],
): Promise<TakenPorts> {
  if (asked.length > 0 && (engine.user || config.network.kind === "user-mode")) {
    const { bindPublished, closeListeners } = await import("../network/published.ts");
    const { ports, listeners } = bindPublished(asked);
    return { ports, held: [], listeners, [Symbol.dispose]: () => closeListeners(listeners) };
  }
  const { reservePorts } = await import("../network/ports.ts");
  const { ports, sockets } = reservePorts(asked);
  return {
    ports,
    held: sockets,
    listeners: [],
    [Symbol.dispose]: () => {
      for (const socket of sockets) closeFd(socket);
    },
  };
}

/** Writes into the state what is going to be made, so that all of it can be found again. */
export async function planNetwork(
  engine: Engine,
  { config, state }: Container,
  ports: PortMapping[],
): Promise<void> {
  const { network } = config;
  state.ports = ports;
  if (ownsNamespace(network)) state.netnsPath = engine.paths.netns(`netns-${crypto.randomUUID()}`);
  state.networksBegun = joinsOf({ config, state }).map(({ network, ifName }) => ({ network, ifName }));
  delete state.userMode;
  if (network.kind !== "user-mode") return;
  const { planUserMode } = await import("../network/user-mode.ts");
  state.userMode = planUserMode(network.options, readHostNetwork());
}

/**
 * Makes the container's namespace, with `lo` up; the runtime wants to find it. One that belongs to the container's own user
 * namespace can only be made in there, by the runtime: it is taken over later.
 */
export async function makeNamespace(engine: Engine, { config, state }: Container): Promise<void> {
  const { netnsPath } = state;
  if (netnsPath === "" || config.ids) return;
  const setup = await engine.networkSetup();
  await setup.createNetns(netnsPath);
}

/** Takes over the namespace that the runtime has made for the container's process `pid`. */
export function adoptNamespace({ state }: Container, pid: number): void {
  if (state.netnsPath !== "") netns.pin(state.netnsPath, `/proc/${pid}/ns/net`);
}

/** Everything about the network that the runtime need not wait for. */
export async function joinNetworks(engine: Engine, container: Container, taken: TakenPorts): Promise<void> {
  const { state } = container;
  if (state.userMode) await joinUserMode(engine, container, state.netnsPath, taken);
  const joins = joinsOf(container);
  const carrier = portCarrier(engine, state, joins);
  for (const join of joins) {
    const carries = join === carrier;
    await joinNetwork(engine, container, join, carries ? state.ports : [], carries ? taken.listeners : []);
  }
  writeHosts(engine, container);
  enterPodsHosts(engine, container);
  writeResolvConf(engine, container);
}

/**
 * Joins one network, which `networksBegun` has already: interface, addresses, ports, and the container's names. What it
 * gave is added to the attachments.
 */
export async function joinNetwork(
  engine: Engine,
  container: Container,
  join: NetworkJoin,
  ports: readonly PortMapping[],
  listeners: readonly Listeners[],
): Promise<void> {
  const { config, state } = container;
  if (engine.networks.inspect(join.network).dns_enabled) engine.names.prepare();
  const setup = await engine.networkSetup();
  const { id: containerId, name: containerName } = config;
  const request = { ...join, containerId, containerName, netns: state.netnsPath, ports };
  // A pod is known by its own name too.
  const pods = config.infra ? [engine.pods.byId(config.pod!)?.config.name ?? ""].filter(Boolean) : [];
  const attachment = { ...(await setup.attach(request, listeners)), aliases: [...join.aliases, ...pods] };
  state.uplink = setup.bridgeUplink();
  state.attachments.push(attachment);
  await engine.names.join(namedOf(container), attachment);
}

/** Leaves networks: quiet about what is gone already. `staysUp`: the container goes on, and may publish its ports elsewhere. */
export async function leaveNetworks(
  engine: Engine,
  { config, state }: Container,
  begun: readonly { network: string; ifName: string }[],
  { staysUp = false }: { staysUp?: boolean } = {},
): Promise<void> {
  const errors = new ErrorList();
  // Before the addresses, which somebody else may have next.
  for (const { network } of begun) await errors.tryAsync(() => engine.names.forget(network, config.id));
  const namespace = state.netnsPath !== "" && netns.isNetns(state.netnsPath) ? state.netnsPath : "";
  const setup = await engine.networkSetup();
  await errors.tryAsync(() => setup.detach(config.id, begun, namespace, staysUp));
  errors.throwIfAny("can't leave the network");
}

/** Makes the firewall's part of an attachment anew, with these ports (`NetworkService.refresh`). */
export async function publishOn(
  engine: Engine,
  { config, state }: Container,
  { network, ifName }: NetworkJoin,
  ports: readonly PortMapping[],
  layOut = false,
): Promise<void> {
  const setup = await engine.networkSetup();
  await setup.refresh({ containerId: config.id, netns: state.netnsPath, network, ifName, ports, layOut });
}

/** Gives the container's namespace at `path` its tap, as `state.userMode` has it, and the ports. */
export async function joinUserMode(
  engine: Engine,
  { config, state }: Container,
  path: string,
  { listeners }: TakenPorts,
): Promise<void> {
  const { id } = config;
  const plan = state.userMode!;
  const setup = await engine.networkSetup();
  await setup.joinUserMode(path, plan, id);
  if (listeners.length === 0) return;
  if (listeners.some(one => one.settings.proto === "tcp")) await setup.letCallersIn(path, plan, id);
  const netd = await engine.netd({ start: true });
  const { ipv4, ipv6 } = plan.guest;
  for (const [index, { family, settings, fds }] of listeners.entries()) {
    // A container of the other family alone is served all the same, its callers then come from the gateway.
    const guestAddr = family === 6 ? ipv6 || ipv4 : ipv4 || ipv6;
    const otherwise = family === 6 && ipv6 && ipv4 ? { otherwise: ipv4 } : {};
    await netd!.addPorts(portsKey(id, index), id, { ...settings, guestAddr, ...otherwise }, fds);
  }
}

/** Takes down what the two above have put up; quiet about what is gone already. */
export async function leaveNetwork(engine: Engine, container: Container): Promise<void> {
  const { config, state } = container;
  leavePodsHosts(engine, container);
  // A user's container that has left all its networks has its ports' sockets in the data plane still.
  const isServed = engine.user !== undefined && config.network.kind === "bridge" && state.ports.length > 0;
  if (state.networksBegun.length > 0 || isServed) {
    await leaveNetworks(engine, container, state.networksBegun);
    state.networksBegun = [];
    delete state.uplink;
  }
  if (state.userMode) {
    const netd = await engine.netd({ start: false });
    await netd?.remove(config.id);
    delete state.userMode;
  }
  if (state.netnsPath !== "") netns.remove(state.netnsPath);
  state.netnsPath = "";
  state.attachments = [];
  state.ports = [];
}
