/**
 * Published ports inside a user's home namespace, where all that the host's addresses have been told apart by is gone: a port
 * there has the number that it has on the host, or another one if somebody else's has that already. Pure.
 */
import type { PortMap } from "../cni/types.ts";
import type { PortSettings } from "../netd/control.ts";
import type { AttachRequest } from "./service.ts";

type Port = AttachRequest["ports"][number];

/** A port order that leads into the home namespace, and for whom. */
export interface HomeOrder {
  containerId: string;
  settings: PortSettings;
}

/** Where the numbers of those begin that can't have their own. */
const OTHERS = 20_000;
const LAST = 65_535;

/** For each port of a container, in order, what it is there: the one that is ordered already, or one that is free. */
export function homePorts(ports: readonly Port[], containerId: string, orders: readonly HomeOrder[]): Port[] {
  const own = orders.filter(one => one.containerId === containerId).map(one => one.settings);
  const others = orders.filter(one => one.containerId !== containerId).map(one => ofOrder(one.settings));
  const chosen: Port[] = [];
  for (const [index, port] of ports.entries()) {
    const order = own.find(settings => leads(port, settings));
    // One that is published at two addresses of the host's is one here.
    const twin = ports.findIndex(one => isSame(one, port));
    const first = order
      ? order.guestPort - (order.hostPort - port.hostPort)
      : twin < index
        ? chosen[twin]!.hostPort
        : freeFor(port, [...others, ...chosen]);
    chosen.push({ ...port, hostIp: "", hostPort: first });
  }
  return chosen;
}

/** Which of the container's ports an order is for; -1 for none. */
export function portOf(ports: readonly Port[], settings: Omit<PortSettings, "guestAddr">): number {
  return ports.findIndex(port => leads(port, settings));
}

/** The number that a port of the host's has in the home namespace, by what is published there for its container. */
export function numberIn(inside: readonly PortMap[], settings: Omit<PortSettings, "guestAddr">): number {
  const { proto, hostPort, guestPort } = settings;
  const fitting = inside.filter(
    ({ protocol, containerPort, range = 1 }) =>
      protocol === proto && guestPort >= containerPort && guestPort < containerPort + range,
  );
  const number = (one: PortMap) => one.hostPort + guestPort - one.containerPort;
  const own = fitting.find(one => number(one) === hostPort) ?? fitting[0];
  return own ? number(own) : hostPort;
}

function leads(port: Port, { proto, hostAddr, hostPort }: Omit<PortSettings, "guestAddr">): boolean {
  const isAny = hostAddr === "0.0.0.0" || hostAddr === "::";
  return (
    port.protocol === proto &&
    (port.hostIp === hostAddr || (port.hostIp === "" && isAny)) &&
    hostPort >= port.hostPort &&
    hostPort < port.hostPort + port.range
  );
}

const isSame = (one: Port, other: Port) =>
  one.hostPort === other.hostPort &&
  one.containerPort === other.containerPort &&
  one.protocol === other.protocol &&
  one.range === other.range;

function ofOrder({ proto, guestPort, count }: PortSettings): Port {
  return { hostIp: "", hostPort: guestPort, containerPort: guestPort, protocol: proto, range: count };
}

function freeFor(port: Port, taken: readonly Port[]): number {
  const isFree = (first: number) =>
    !taken.some(
      one =>
        one.protocol === port.protocol &&
        first < one.hostPort + one.range &&
        one.hostPort < first + port.range,
    );
  if (isFree(port.hostPort)) return port.hostPort;
  for (let first = OTHERS; first + port.range - 1 <= LAST; first++) if (isFree(first)) return first;
  return port.hostPort;
}
