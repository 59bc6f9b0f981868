/** From the words of a command line to the two ends of a path. */
import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import { UserError } from "../base/errors.ts";
import type { Engine } from "../container/engine.ts";
import { formatIP, parseIP } from "../wire/addr.ts";
import type { Party } from "./facts.ts";

export interface Target {
  name: string;
  port?: number;
  protocol: "tcp" | "udp";
}

/** `B[:PORT[/PROTO]]`; an IPv6 address with a port is in brackets. Throws UserError for what has another form. */
export function parseTarget(text: string): Target {
  if (parseIP(text)) return { name: text, protocol: "tcp" };
  const [, bracketed, plain, port, protocol = "tcp"] =
    /^(?:\[([^\]]*)\]|([^:[\]]+))(?::([^/]*)(?:\/(.*))?)?$/.exec(text) ?? [];
  const name = bracketed ?? plain;
  if (!name)
    throw new UserError(`invalid destination ${JSON.stringify(text)}`, { hint: "use NAME[:PORT[/PROTO]]" });
  if (port === undefined) return { name, protocol: "tcp" };
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
    throw new UserError(`invalid port ${JSON.stringify(port)}`, { hint: "use a number from 1 to 65535" });
  if (protocol !== "tcp" && protocol !== "udp")
    throw new UserError(`invalid protocol ${JSON.stringify(protocol)}`, { hint: "use tcp or udp" });
  return { name, port: Number(port), protocol };
}

/** A container, or a pod, whose network is its infra container's; by its name or the start of its id. */
function container(engine: Engine, name: string): Party | undefined {
  const found = engine.containers.find(name);
  if (found) return { kind: "container", id: found.config.id };
  const pod = engine.pods.find(name);
  if (!pod) return undefined;
  const { infraId, share } = pod.config;
  if (!infraId || !share.includes("net"))
    throw new UserError(`pod ${name} has no network of its own`, { hint: "name one of its containers" });
  return { kind: "container", id: infraId };
}

const isHosts = (address: string) =>
  Object.values(networkInterfaces()).some(all => all?.some(one => one.address === address));

/** Whoever is on a network with this address, or by this alias. */
function onNetwork(engine: Engine, text: string): Party | undefined {
  const found = engine.containers
    .list()
    .find(({ state }) =>
      state.attachments.some(
        ({ ipv4, ipv6, aliases }) => ipv4 === text || ipv6 === text || aliases.includes(text),
      ),
    );
  return found && { kind: "container", id: found.config.id };
}

/** Who sends. An address that is nobody's here is somebody outside. */
export function findSender(engine: Engine, text: string): Party {
  if (text === "host" || text === "internet") return { kind: text };
  const named = container(engine, text);
  if (named) return named;
  const ip = parseIP(text);
  if (!ip)
    throw new UserError(`no container or pod with name or ID ${JSON.stringify(text)} found`, {
      status: 404,
    });
  const address = formatIP(ip);
  return onNetwork(engine, address) ?? { kind: isHosts(address) ? "host" : "internet" };
}

const LOCAL = ["127.0.0.1", "::1"];

/** Who is called. A name that is no container's is looked up as the host does. */
export async function findTarget(engine: Engine, text: string): Promise<Party> {
  if (text === "host" || text === "internet") return { kind: text };
  const named = container(engine, text);
  if (named) return named;
  const ip = parseIP(text);
  if (ip) return { kind: "address", text, addresses: [formatIP(ip)] };
  if (text === "localhost") return { kind: "address", text, addresses: LOCAL };
  if (text === "host.containers.internal") return { kind: "host" };
  const aliased = onNetwork(engine, text);
  if (aliased) return aliased;
  try {
    const found = await lookup(text, { all: true });
    return { kind: "address", text, addresses: [...new Set(found.map(one => one.address))] };
  } catch {
    return { kind: "address", text, addresses: [] };
  }
}
