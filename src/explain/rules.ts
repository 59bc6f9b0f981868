/** What our firewall table does to a packet (`../firewall/layout.ts` has its rules), from its elements. Pure. */
import { type Field, fieldsOf } from "../firewall/element.ts";
import type { FirewallView } from "../network/namespace-view.ts";
import { familyOf, isIn, isLoopback } from "./world.ts";

const PROTOCOLS = { tcp: 6, udp: 17 } as const;

function matches(field: Field | undefined, value: string | number): boolean {
  if (field === undefined) return false;
  if (typeof field !== "object") return String(field) === String(value);
  if ("prefix" in field) return isIn(`${field.prefix.addr}/${field.prefix.len}`, String(value));
  const [first, last] = field.range;
  return Number(value) >= first && Number(value) <= last;
}

function find({ elements }: FirewallView, set: string, ...key: (string | number)[]) {
  return elements.find(element => {
    const fields = fieldsOf(element.key);
    return (
      element.set === set &&
      fields.length === key.length &&
      key.every((value, at) => matches(fields[at], value))
    );
  });
}

export interface Target {
  ip: string;
  port: number;
}

/** Where a packet to a local address is sent on; undefined where it stays. */
export function publishedAt(
  firewall: FirewallView,
  ip: string,
  protocol: "tcp" | "udp",
  port: number,
): Target | undefined {
  if (ip === "::1") return undefined;
  const version = familyOf(ip);
  const number = PROTOCOLS[protocol];
  for (const [set, key] of [
    [`addr_port${version}`, [ip, number, port]],
    [`addr_range${version}`, [ip, number, port]],
    [`port${version}`, [number, port]],
    [`range${version}`, [number, port]],
  ] as const) {
    const data = find(firewall, set, ...key)?.data;
    if (data === undefined) continue;
    const [address, inner] = fieldsOf(data);
    return { ip: String(address), port: inner === undefined ? port : Number(inner) };
  }
  return undefined;
}

export interface Forwarded {
  in: string;
  out: string;
  source: string;
  destination: string;
}

/** Why a forwarded packet is dropped; undefined where it passes. */
export function droppedBy(
  firewall: FirewallView,
  packet: Forwarded,
  published: boolean,
): "isolated" | "firewall" | undefined {
  const { in: from, out, source, destination } = packet;
  const version = familyOf(destination);
  const has = (set: string, ...key: string[]) => find(firewall, `${set}${version}`, ...key) !== undefined;
  if (has("strict", from, destination)) return "isolated";
  if (!has("member", from, destination)) {
    const isolated = (bridge: string) => find(firewall, "isolated", bridge) !== undefined;
    if (isolated(from) && isolated(out)) return "isolated";
    const apart = (one: string, other: string) => has("apart", one) && has("masquerade", other);
    if (apart(source, destination) || apart(destination, source)) return "isolated";
  }
  const passes = has("forwarded", source) || (published && has("forwarded", destination));
  return firewall.closed[version] && !passes ? "firewall" : undefined;
}

/** True where what `source` sends to `destination` gets the sender's own address here. */
export function isMasqueraded(firewall: FirewallView, source: string, destination: string): boolean {
  const version = source === "" ? 4 : familyOf(source);
  return (
    find(firewall, `masquerade${version}`, source) !== undefined &&
    find(firewall, `near${version}`, source, destination) === undefined
  );
}

/** The same for a connection to a published port. */
export function isHairpin(firewall: FirewallView, source: string, destination: string): boolean {
  const version = familyOf(destination);
  return (
    source !== "" &&
    (isLoopback(source) || find(firewall, `hairpin${version}`, source, destination) !== undefined)
  );
}
