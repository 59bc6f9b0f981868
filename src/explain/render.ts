/** Answers as lines for people. Pure. */
import type { Description, HostDescription, Reach } from "./describe.ts";
import type { Explanation } from "./facts.ts";
import { withPort } from "./world.ts";

const PLACES: Readonly<Record<string, string>> = { home: "your network namespace" };

export function pathLines({ from, to, reached, address, hops, verdict, notes }: Explanation): string[] {
  const shown = hops.map(({ place, text }) => `  ${PLACES[place] ?? place}: ${text}`);
  return [
    `${from} -> ${to}${address ? ` at ${address}` : ""}`,
    ...shown,
    `${reached ? "It gets there" : "It stops"}: ${verdict.text}`,
    ...verdict.advice.map(one => `  ${one}`),
    ...notes,
  ];
}

const reachText = ({ reached, addresses, reason, advice }: Reach) =>
  reached ? addresses.join(", ") || "yes" : `no: ${[reason, ...advice].join("; ")}`;

export function descriptionLines(one: Description): string[] {
  const lines = [`${one.name} is ${one.status}`, `network: ${one.network}`];
  for (const { link, address } of one.addresses) lines.push(`address: ${address} on ${link}`);
  for (const { protocol, address, port, process } of one.listening)
    lines.push(`listens: ${withPort(address, port)}/${protocol}, ${process}`);
  for (const { network, names } of one.names) lines.push(`known by name on ${network}: ${names.join(", ")}`);
  for (const { host, container } of one.published) lines.push(`published: ${host} -> ${container}`);
  lines.push(`from the host: ${reachText(one.from_host)}`);
  for (const text of one.from_containers) lines.push(`from containers ${text}`);
  lines.push(
    `from outside: ${reachText(one.from_outside)}`,
    `to the internet: ${reachText(one.to_internet)}`,
  );
  return lines;
}

export function hostLines(one: HostDescription): string[] {
  const onOff = (on: boolean) => (on ? "on" : "off");
  return [
    ...one.addresses.map(({ link, address }) => `address: ${address} on ${link}`),
    ...(one.default_routes.length > 0
      ? one.default_routes.map(route => `default route: ${route}`)
      : ["no default route"]),
    `ip_forward is ${onOff(one.forwarding.ipv4)}, forwarding of IPv6 is ${onOff(one.forwarding.ipv6)}`,
    ...one.bridges.map(
      ({ network, bridge, up }) => `network ${network}: bridge ${bridge} is ${up ? "up" : "down"}`,
    ),
  ];
}
