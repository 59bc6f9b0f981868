/** `/etc/hosts` of a container: the host's entries, what `--add-host` says, the host itself, the container itself. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { withLock } from "../sys/flock.ts";
import type { Container, NetworkAttachment } from "./config.ts";
import type { Engine } from "./engine.ts";
import { resolveInRoot } from "./user.ts";

/** The lines of a hosts(5) file without comments, one tab between address and names. */
function entries(path: string): { address: string; names: string[] }[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  return text.split("\n").flatMap(line => {
    const [address, ...names] = (line.split("#")[0] ?? "").trim().split(/\s+/);
    return address && names.length > 0 ? [{ address, names }] : [];
  });
}

/** The text of the file. `gateway` is the host as the container reaches it, "" where it can't. */
export function formatHosts(container: Container, base: ReturnType<typeof entries>, gateway: string): string {
  const { config, state } = container;
  const own = [config.hostname, config.name];
  const added = config.addHost.map(text => {
    const colon = text.indexOf(":");
    return { address: text.slice(colon + 1), names: [text.slice(0, colon)] };
  });
  // Whoever looks a name up takes the first entry: what was added wins.
  const lines = [...added, ...base];
  if (gateway && !lines.some(one => one.names.includes("host.containers.internal")))
    lines.push({ address: gateway, names: ["host.containers.internal"] });
  const { guest } = state.userMode ?? {};
  for (const { ipv4, ipv6 } of guest ? [guest] : state.attachments)
    for (const address of [ipv4, ipv6]) if (address) lines.push({ address, names: own });
  if (state.attachments.length === 0 && config.network.kind === "none")
    lines.push({ address: "127.0.0.1", names: own });
  return lines.map(({ address, names }) => `${address}\t${names.join(" ")}\n`).join("");
}

/** The host's first address, for containers that have no bridge to reach it by; "" where it has none. */
function hostAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap(one => one ?? []);
  return all.find(one => one.family === "IPv4" && !one.internal)?.address ?? "";
}

/** The host's own address on a network; "" where it has none. */
const hostOn = (one: NetworkAttachment) => one.gateway || one.ipv6Gateway;

/** The host as the container reaches it. */
function gatewayOf(engine: Engine, { state }: Container): string {
  const own = engine.conf.containers.host_containers_internal_ip;
  const reached = own || (state.userMode ?? state.uplink)?.hostAddress;
  if (reached) return reached;
  const gateways = state.attachments.filter(hostOn);
  // The host is not on an internal network, unless for names.
  const isOpen = (network: string) =>
    engine.networks.exists(network) && !engine.networks.inspect(network).internal;
  const open = gateways.length > 1 ? gateways.find(one => isOpen(one.network)) : undefined;
  const chosen = open ?? gateways[0];
  return (chosen && hostOn(chosen)) || hostAddress();
}

/**
 * Brings the file in line with the networks that the container is on now, after it left those of `gone`; what a person
 * wrote into it stays.
 */
export function followHosts(engine: Engine, container: Container, gone: readonly NetworkAttachment[]): void {
  const { config, state } = container;
  const path = join(engine.paths.containerRun(config.id), "hosts");
  const own = `${config.hostname} ${config.name}`;
  const addressesOf = (all: readonly NetworkAttachment[]) =>
    all.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]).filter(Boolean);
  const [here, notHere] = [addressesOf(state.attachments), addressesOf(gone)];
  const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
  const kept = lines.flatMap(line => {
    const [address = "", names = ""] = line.split("\t");
    // Those of a connection that a killed command began are known by the names alone.
    if (notHere.includes(address) || (names === own && !here.includes(address))) return [];
    const left = names === "host.containers.internal" && gone.some(one => hostOn(one) === address);
    return [left ? `${gatewayOf(engine, container)}\t${names}` : line];
  });
  const missing = here.filter(address => !kept.some(line => line.startsWith(`${address}\t`)));
  writeFileSync(path, [...kept, ...missing.map(address => `${address}\t${own}`), ""].join("\n"));
}

/** Fills the file that is bound into the container; it must keep its inode. */
export function writeHosts(engine: Engine, container: Container): void {
  const { base_hosts_file: base } = engine.conf.containers;
  const path =
    base === "image"
      ? resolveInRoot(join(engine.paths.container(container.config.id), "merged"), "/etc/hosts")
      : base || "/etc/hosts";
  writeFileSync(
    join(engine.paths.containerRun(container.config.id), "hosts"),
    formatHosts(container, base === "none" ? [] : entries(path), gatewayOf(engine, container)),
  );
}

/** Where the containers of a pod find each other by name; undefined for one that does not have its pod's network. */
function podsHosts(engine: Engine, { config }: Container): string | undefined {
  const { pod, infra, network } = config;
  if (pod === undefined || infra || network.kind !== "container") return undefined;
  if (engine.pods.byId(pod)?.config.infraId !== network.id) return undefined;
  return join(engine.paths.containerRun(network.id), "hosts");
}

/** Writes a pod's file anew with the line of one of its containers, or without it; nothing where there is no file. */
function changePodsHosts(engine: Engine, container: Container, isThere: boolean): void {
  const path = podsHosts(engine, container);
  if (path === undefined) return;
  const own = `127.0.0.1\t${container.config.name}`;
  withLock(engine.paths.lock("pod-hosts"), () => {
    if (!existsSync(path)) return;
    const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
    if (lines.includes(own) === isThere) return;
    const changed = isThere ? [...lines, own] : lines.filter(line => line !== own);
    writeFileSync(path, [...changed, ""].join("\n"));
  });
}

/** From now on the other containers of its pod know this one by name: it is where they are themselves. */
export const enterPodsHosts = (engine: Engine, container: Container) =>
  changePodsHosts(engine, container, true);
export const leavePodsHosts = (engine: Engine, container: Container) =>
  changePodsHosts(engine, container, false);
