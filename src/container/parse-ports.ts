/** `--publish` and `--expose`: from what people type to `PortMapping`s, refusing the rest in Podman's words. */
import { UserError } from "../base/errors.ts";
import { parseIP } from "../wire/addr.ts";
import type { PortMapping } from "./config.ts";

const PROTOCOLS = ["tcp", "udp", "sctp"] as const;
type Protocol = (typeof PROTOCOLS)[number];

function portNumber(text: string): number {
  if (/^-\d+$/.test(text)) throw new UserError("port numbers cannot be negative");
  if (!/^\d+$/.test(text))
    throw new UserError(`invalid port number: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  const port = Number(text);
  if (port < 1 || port > 65535)
    throw new UserError(`port numbers must be between 1 and 65535 (inclusive), got ${text}`);
  return port;
}

/** `8080` or `8080-8090`, as first port and count. */
function portRange(text: string, what: "container" | "host"): { first: number; count: number } {
  try {
    const dash = text.indexOf("-", 1);
    if (dash < 0) return { first: portNumber(text), count: 1 };
    const [first, last] = [portNumber(text.slice(0, dash)), portNumber(text.slice(dash + 1))];
    if (last <= first)
      throw new UserError(
        `the end port of a range must be higher than the start port - ${last} is not higher than ${first}`,
      );
    return { first, count: last - first + 1 };
  } catch (error) {
    throw error instanceof UserError ? new UserError(`parsing ${what} port: ${error.message}`) : error;
  }
}

function protocol(text: string): Protocol {
  if (text === "") throw new UserError("must provide a non-empty protocol to publish");
  const word = text.toLowerCase() as Protocol;
  if (!PROTOCOLS.includes(word)) throw new UserError(`unrecognized protocol "${text}" in port mapping`);
  return word;
}

function splitAddress(text: string): { hostIp?: string; hostPort?: string; containerPort: string } {
  const bracket = text.split("]");
  if (bracket.length > 2)
    throw new UserError("invalid port format - at most one IPv6 address can be specified in a --publish");
  if (bracket.length === 2) {
    const [address = "", rest = ""] = bracket;
    if (!address.startsWith("["))
      throw new UserError("invalid port format - IPv6 addresses must be enclosed by []");
    if (!rest.startsWith(":"))
      throw new UserError("invalid port format - IPv6 address must be followed by a colon (':')");
    const parts = rest.slice(1).split(":");
    if (parts.length === 1)
      throw new UserError("invalid port format - must provide host and destination port if specifying an IP");
    if (parts.length > 2)
      throw new UserError("invalid port format - when v6 address specified, must be [ipv6]:hostPort:ctrPort");
    return { hostIp: address.slice(1), hostPort: parts[0], containerPort: parts[1]! };
  }
  const parts = text.split(":");
  if (parts.length === 1) return { containerPort: parts[0]! };
  if (parts.length === 2) return { hostPort: parts[0], containerPort: parts[1]! };
  if (parts.length === 3) return { hostIp: parts[0], hostPort: parts[1], containerPort: parts[2]! };
  throw new UserError("invalid port format - format is [[hostIP:]hostPort:]containerPort");
}

/** `[hostIP:][hostPort[-end]:]containerPort[-end][/protocol]`; host port 0 stands for "any free one". */
export function parsePublish(text: string): PortMapping {
  const [address = "", protocolText, ...more] = text.split("/");
  if (more.length > 0) throw new UserError("invalid port format - protocol can only be specified once");
  const { hostIp, hostPort, containerPort } = splitAddress(address);
  if (containerPort === "") throw new UserError("must provide a non-empty container port to publish");
  const inside = portRange(containerPort, "container");
  if (hostIp === "") throw new UserError("must provide a non-empty container host IP to publish");
  if (hostIp !== undefined && !parseIP(hostIp))
    throw new UserError(`cannot parse "${hostIp}" as an IP address`);
  const mapping: PortMapping = {
    hostIp: hostIp ?? "",
    hostPort: 0,
    containerPort: inside.first,
    protocol: protocolText === undefined ? "tcp" : protocol(protocolText),
    range: inside.count,
  };
  if (!hostPort) return mapping;
  const outside = portRange(hostPort, "host");
  if (outside.count !== inside.count)
    throw new UserError(
      `host and container port ranges have different lengths: ${outside.count} vs ${inside.count}`,
    );
  return { ...mapping, hostPort: outside.first };
}

/**
 * All of `--publish`. A range with no host port becomes single ports, since each is chosen by itself. The same mapping
 * twice counts once; two claims on one host port are refused.
 */
export function parsePublished(texts: readonly string[]): PortMapping[] {
  const mappings: PortMapping[] = [];
  for (const text of texts) {
    const one = parsePublish(text);
    const parts =
      one.hostPort === 0 && one.range > 1
        ? Array.from({ length: one.range }, (_, offset) => ({
            ...one,
            containerPort: one.containerPort + offset,
            range: 1,
          }))
        : [one];
    for (const part of parts) {
      if (mappings.some(other => same(other, part))) continue;
      const rival = mappings.find(other => overlaps(other, part));
      if (rival)
        throw new UserError(
          `conflicting port mappings for host port ${Math.max(rival.hostPort, part.hostPort)} (protocol ${part.protocol})`,
        );
      mappings.push(part);
    }
  }
  return mappings;
}

const same = (a: PortMapping, b: PortMapping) =>
  a.hostIp === b.hostIp &&
  a.hostPort === b.hostPort &&
  a.containerPort === b.containerPort &&
  a.protocol === b.protocol &&
  a.range === b.range;

const overlaps = (a: PortMapping, b: PortMapping) =>
  a.hostPort !== 0 &&
  b.hostPort !== 0 &&
  a.protocol === b.protocol &&
  a.hostIp === b.hostIp &&
  a.hostPort < b.hostPort + b.range &&
  b.hostPort < a.hostPort + a.range;

/** `--expose` and an image's ExposedPorts: `80`, `80/udp`, `8000-8002/tcp` → `80/tcp`, one by one. */
export function parseExpose(text: string): string[] {
  const [range = "", protocolText = "tcp", ...more] = text.split("/");
  const match = /^(\d+)(?:-(\d+))?$/.exec(range);
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (more.length > 0 || !match || first < 1 || last > 65535 || last < first)
    throw new UserError(
      match
        ? `invalid range format for --expose: ${text}: ports are 1 to 65535, the lower one first`
        : `invalid range format for --expose: ${text}: strconv.ParseUint: parsing ${JSON.stringify(range)}: invalid syntax`,
    );
  const word = protocol(protocolText);
  return Array.from({ length: last - first + 1 }, (_, offset) => `${first + offset}/${word}`);
}
