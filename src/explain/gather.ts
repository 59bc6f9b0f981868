/** The facts of an engine, looked at as far as a question needs them. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type Container, joinsOf, networkModeName, ownsNamespace, statusOf } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import type { NamespaceView } from "../network/namespace-view.ts";
import type { UserModePlan } from "../network/user-mode.ts";
import {
  type ContainerFacts,
  type Facts,
  type NetworkFacts,
  type Owner,
  type Place,
  type ServiceFacts,
  Unseen,
  type UserModeFacts,
} from "./facts.ts";

/** Looks at things until `question` has an answer. */
export async function answer<T>(engine: Engine, question: (facts: Facts) => T | Unseen): Promise<T> {
  const views = new Map<Place, NamespaceView | null>();
  const owners = new Map<number, Owner | null>();
  const containers = engine.containers.list();
  // Infra containers that have their pod's network.
  const pods = new Map(
    engine.pods
      .list()
      .flatMap(({ config }) =>
        config.infraId && config.share.includes("net") ? [[config.infraId, config.name] as const] : [],
      ),
  );
  const setup = await engine.networkSetup();
  const uplink = engine.user ? setup.bridgeUplink() : undefined;
  const facts: Facts = {
    rootless: engine.user !== undefined,
    containers: containers.map(one => containerFacts(one, containers, pods)),
    networks: networkFacts(engine),
    service: await serviceFacts(engine),
    ...(uplink ? { home: userModeFacts(uplink) } : {}),
    views,
    owners,
  };
  for (;;) {
    const found = question(facts);
    if (!(found instanceof Unseen)) return found;
    if ("place" in found.what) {
      const { place } = found.what;
      views.set(place, (await look(engine, place, containers)) ?? null);
    } else {
      // One look at all processes is for all sockets that have been seen.
      const wanted = [...views.values()].flatMap(view => view?.listening.map(one => one.inode) ?? []);
      for (const [inode, owner] of ownersOf(new Set([...wanted, found.what.inode]))) owners.set(inode, owner);
    }
  }
}

async function look(
  engine: Engine,
  place: Place,
  containers: readonly Container[],
): Promise<NamespaceView | undefined> {
  const setup = await engine.networkSetup();
  if (place === "home" || (place === "host" && !engine.user)) return setup.viewBridges();
  if (place === "host") {
    const { readNamespaceView } = await import("../network/namespace-view.ts");
    return readNamespaceView({ firewall: false });
  }
  if (place.startsWith("ns:")) return setup.view(place.slice(3));
  const path = containers.find(one => one.config.id === place)?.state.netnsPath;
  return path ? setup.view(path) : undefined;
}

/** Whose network a container uses: its own, or that of another. */
function ownerOf(container: Container, all: readonly Container[]): Container {
  let owner = container;
  for (let steps = 0; steps < all.length; steps++) {
    const { network } = owner.config;
    const next = network.kind === "container" ? all.find(one => one.config.id === network.id) : undefined;
    if (!next) break;
    owner = next;
  }
  return owner;
}

const isUp = ({ phase }: Container) => phase === "running" || phase === "initialized" || phase === "stopping";

function containerFacts(
  container: Container,
  all: readonly Container[],
  podNames: ReadonlyMap<string, string>,
): ContainerFacts {
  const { config, state } = container;
  const pod = podNames.get(config.id);
  const owner = ownerOf(container, all);
  const { network } = owner.config;
  const place =
    network.kind === "host" ? "host" : network.kind === "ns" ? `ns:${network.path}` : owner.config.id;
  const up = isUp(container) && isUp(owner);
  const mode = networkModeName(config.network).replace(/:.*/, "") as ContainerFacts["mode"];
  return {
    id: config.id,
    name: pod ?? config.name,
    ...(pod === undefined ? {} : { isPod: true }),
    status: statusOf(container),
    up,
    mode,
    ...(owner === container ? {} : { sharedWith: podNames.get(owner.config.id) ?? owner.config.name }),
    place,
    networks: joinsOf(container).map(one => one.network),
    attachments: state.attachments.map(({ network, ifName, ipv4, ipv6, bridge }) => ({
      ...{ network, ifName, ipv4, ipv6, bridge },
    })),
    ...(state.userMode ? { userMode: userModeFacts(state.userMode) } : {}),
    ports: isUp(container) && ownsNamespace(config.network) ? state.ports : config.ports,
  };
}

const userModeFacts = ({ settings, ifName, guest, hostAddress }: UserModePlan): UserModeFacts => ({
  ...{ settings, ifName, guest, hostAddress },
});

function networkFacts(engine: Engine): NetworkFacts[] {
  return engine.networks
    .list()
    .map(({ name, driver, network_interface, internal, options, dns_enabled }) => ({
      name,
      driver,
      bridge: driver === "bridge" ? (network_interface ?? "") : "",
      internal,
      isolated: options?.isolate === "true",
      dns: dns_enabled,
    }));
}

async function serviceFacts(engine: Engine): Promise<ServiceFacts> {
  const netd = await engine.netd({ start: false });
  const facts: ServiceFacts = { taps: [], ports: [], names: [] };
  for (const { key, order } of (await netd?.list()) ?? [])
    if (order.op === "tap") facts.taps.push(key);
    else if (order.op === "ports") facts.ports.push({ key, tap: order.tap, settings: order.settings });
    else if (order.op === "name") {
      const { network, container, names } = order.settings;
      facts.names.push({ network, container, names });
    }
  return facts;
}

/** The processes that have sockets, each socket's first; `null` where none can be seen. */
function ownersOf(inodes: ReadonlySet<number>): Map<number, Owner | null> {
  const found = new Map<number, Owner | null>([...inodes].map(inode => [inode, null]));
  const pids = readdirSync("/proc").map(Number).filter(Boolean);
  for (const pid of pids.sort((a, b) => a - b)) {
    for (const inode of socketsOf(pid)) {
      if (found.get(inode) !== null) continue;
      const program = programOf(pid);
      if (program) found.set(inode, { pid, program });
    }
  }
  return found;
}

function socketsOf(pid: number): number[] {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory).flatMap(name => {
      try {
        const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${directory}/${name}`)) ?? [];
        return inode ? [Number(inode)] : [];
      } catch {
        return [];
      }
    });
  } catch {
    // It is gone, or somebody else's.
    return [];
  }
}

function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}
