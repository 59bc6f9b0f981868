/** `/etc/resolv.conf` of a container (resolv.conf(5)): what was asked for, else the network's, else the host's. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, ContainerConfig, NetworkAttachment } from "./config.ts";
import type { Engine } from "./engine.ts";
import { resolversBehind } from "./told-names.ts";

interface Resolver {
  nameservers: string[];
  search: string[];
  options: string[];
}

export function parseResolvConf(text: string): Resolver {
  const resolver: Resolver = { nameservers: [], search: [], options: [] };
  for (const line of text.split("\n")) {
    const [key, ...words] = (line.split(/[#;]/)[0] ?? "").trim().split(/\s+/);
    if (key === "nameserver" && words[0]) resolver.nameservers.push(words[0]);
    else if (key === "search" || key === "domain") resolver.search = words;
    else if (key === "options") resolver.options.push(...words);
  }
  return resolver;
}

/** The host's file; systemd-resolved's own where the host only names its stub, which a container can't reach. */
function hostResolver(shared: boolean): Resolver {
  const read = (path: string) => {
    try {
      return parseResolvConf(readFileSync(path, "utf8"));
    } catch {
      return parseResolvConf("");
    }
  };
  const own = read("/etc/resolv.conf");
  const stub = own.nameservers.length === 1 && own.nameservers[0] === "127.0.0.53";
  const behind = "/run/systemd/resolve/resolv.conf";
  return stub && !shared && existsSync(behind) ? read(behind) : own;
}

/** For a container that would have no nameserver at all: Google's, as with Podman. */
const PUBLIC = ["8.8.8.8", "8.8.4.4"];

/** False where the image's own file is to be seen: without a network, or with `--dns none`. */
export const hasResolver = ({ network, dns }: ContainerConfig) =>
  network.kind !== "none" && !dns.includes("none");

const isLoopback = (address: string) => address.startsWith("127.") || address === "::1";

export function formatResolvConf(container: Container, host: Resolver): string {
  const { config, state } = container;
  const network = state.attachments.map(one => one.dns);
  const pick = (asked: string[], given: string[][], fallback: string[]) =>
    asked.length > 0 ? asked : given.flat().length > 0 ? [...new Set(given.flat())] : fallback;
  const shared = config.network.kind === "host";
  const reachable = host.nameservers.filter(one => shared || !isLoopback(one));
  const search = pick(
    config.dnsSearch,
    network.map(one => one.search),
    host.search,
  ).filter(one => one !== ".");
  const uplink = state.userMode ?? state.uplink;
  const servers = pick(
    resolversBehind(container).length > 0 ? [] : config.dns,
    network.map(one => one.nameservers),
    // The data plane asks the host's resolvers, whichever they are by then.
    uplink ? [...uplink.nameservers, ...reachable] : reachable.length > 0 || shared ? reachable : PUBLIC,
  );
  const options = pick(
    config.dnsOption,
    network.map(one => one.options),
    host.options,
  );
  return [
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...servers.map(server => `nameserver ${server}`),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
    "",
  ].join("\n");
}

/**
 * Writes the file anew for the networks that the container is on now, after it was on those of `before`; not where somebody
 * has written into it.
 */
export function followResolvConf(
  engine: Engine,
  container: Container,
  before: readonly NetworkAttachment[],
): void {
  const path = join(engine.paths.containerRun(container.config.id), "resolv.conf");
  const state = { ...container.state, attachments: [...before] };
  const ours = formatResolvConf({ ...container, state }, hostResolver(false));
  if (readFileSync(path, "utf8") === ours) writeResolvConf(engine, container);
}

/** Fills the file that is bound into the container; it must keep its inode. */
export function writeResolvConf(engine: Engine, container: Container): void {
  writeFileSync(
    join(engine.paths.containerRun(container.config.id), "resolv.conf"),
    formatResolvConf(container, hostResolver(container.config.network.kind === "host")),
  );
}
