/** Who answers at an address and port of a namespace. Pure. */
import type { ListeningSocket } from "../network/listening.ts";
import type { NamespaceView } from "../network/namespace-view.ts";
import type { Verdict } from "./facts.ts";
import { familyOf, isAny, isLoopback, type World, withPort } from "./world.ts";

/** A socket of the family `::` takes callers of both families, as programs have it unless they say otherwise. */
const takes = ({ ip }: ListeningSocket, destination: string) =>
  ip === destination || ip === "::" || (ip === "0.0.0.0" && familyOf(destination) === 4);

/** `nginx (pid 4711)`; "something" where the process can't be seen. */
export function processOf(world: World, { inode }: ListeningSocket): string {
  const owner = world.process(inode);
  return owner ? `${owner.program} (pid ${owner.pid})` : "something that can't be seen from here";
}

/** What becomes of a packet that has come to its last address. `place`: as people call it. */
export function answerAt(
  world: World,
  view: NamespaceView,
  place: string,
  { ip, port, protocol }: { ip: string; port: number; protocol: "tcp" | "udp" },
): Verdict {
  const all = view.listening.filter(one => one.port === port);
  const same = all.filter(one => one.protocol === protocol);
  const taker = same.find(one => one.ip === ip) ?? same.find(one => takes(one, ip));
  if (taker)
    return {
      code: "listens",
      text: `${processOf(world, taker)} listens on ${withPort(taker.ip, port)}${protocol === "udp" ? " (UDP)" : ""} in ${place}`,
      advice: [],
    };
  const [narrow] = same;
  if (narrow) return narrowly(world, narrow, place, ip);
  const [other] = all;
  if (other)
    return {
      code: "other-protocol",
      text: `${processOf(world, other)} listens on port ${port} in ${place} by ${other.protocol.toUpperCase()}, not by ${protocol.toUpperCase()}`,
      advice: [`ask for ${port}/${other.protocol}`],
    };
  return {
    code: "no-listener",
    text: `nothing listens on port ${port}${protocol === "udp" ? " (UDP)" : ""} in ${place}`,
    advice: openPorts(view, place),
  };
}

function narrowly(world: World, socket: ListeningSocket, place: string, ip: string): Verdict {
  const wide = familyOf(ip) === 4 ? "0.0.0.0" : "::";
  const who = isLoopback(socket.ip) ? "callers from outside do" : `callers of ${ip} do`;
  return {
    code: "narrow-listener",
    text: `${processOf(world, socket)} listens on ${withPort(socket.ip, socket.port)} only in ${place}: ${who} not reach it`,
    advice: [`make it listen on ${wide}`],
  };
}

/** More than these are not named. */
const MANY = 8;

function openPorts(view: NamespaceView, place: string): string[] {
  if (place === "host") return [];
  const open = view.listening.filter(one => one.protocol === "tcp" || isAny(one.ip));
  const ports = [...new Set(open.map(one => `${one.port}/${one.protocol}`))].slice(0, MANY);
  return ports.length > 0 ? [`${place} listens on ${ports.join(", ")}`] : [];
}
