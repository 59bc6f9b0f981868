/** Questions to the facts that several have. Pure; throws `Unseen` where something has to be looked at first. */
import type { NamespaceView, ViewAddress, ViewLink, ViewRoute } from "../network/namespace-view.ts";
import { contains, parseCidr, parseIP } from "../wire/addr.ts";
import { type ContainerFacts, type Facts, type Owner, type Place, Unseen } from "./facts.ts";

export const familyOf = (ip: string): 4 | 6 => (ip.includes(":") ? 6 : 4);
export const isLoopback = (ip: string) => ip === "::1" || ip.startsWith("127.");
/** `10.88.0.2:80`, `[fd00::2]:80`, `10.88.0.2`. */
export const withPort = (ip: string, port?: number) =>
  port === undefined ? ip : `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;

export function isIn(subnet: string, ip: string): boolean {
  const cidr = parseCidr(subnet);
  const address = parseIP(ip);
  return cidr !== undefined && address !== undefined && contains(cidr, address);
}

/** Every address of a family, or both families of the kernel's sockets. */
export const isAny = (ip: string) => ip === "0.0.0.0" || ip === "::";

export class World {
  constructor(readonly facts: Facts) {}

  /** Where bridges are. */
  get bridges(): Place {
    return this.facts.rootless ? "home" : "host";
  }

  /** The namespace, or null where it is not there. */
  find(place: Place): NamespaceView | null {
    const view = this.facts.views.get(place);
    if (view === undefined) throw new Unseen({ place });
    return view;
  }

  container(id: string): ContainerFacts | undefined {
    return this.facts.containers.find(one => one.id === id);
  }

  /** Who has a place of its own. */
  ownerOf(place: Place): ContainerFacts | undefined {
    return this.facts.containers.find(one => one.place === place && one.id === place);
  }

  nameOf(place: Place): string {
    if (place === "host") return "host";
    if (place === "home") return "your network namespace";
    return this.ownerOf(place)?.name ?? place;
  }

  /** The process of a socket; null where it can't be seen. */
  process(inode: number): Owner | null {
    if (inode === 0) return null;
    const owner = this.facts.owners.get(inode);
    if (owner === undefined) throw new Unseen({ inode });
    return owner;
  }

  /** A container that is on a bridge with this address. */
  atAddress(ip: string): ContainerFacts | undefined {
    return this.facts.containers.find(({ attachments }) =>
      attachments.some(one => one.ipv4 === ip || one.ipv6 === ip),
    );
  }
}

export function hasAddress(view: NamespaceView, ip: string): boolean {
  return isLoopback(ip) || view.addresses.some(one => one.ip === ip);
}

export const linkOf = (view: NamespaceView, index: number): ViewLink | undefined =>
  view.links.find(one => one.index === index);

/** The addresses by which others can reach a namespace. */
export function globalAddresses(view: NamespaceView): ViewAddress[] {
  const loopbacks = new Set(view.links.filter(one => one.loopback).map(one => one.index));
  return view.addresses.filter(one => one.scope === "global" && !loopbacks.has(one.index));
}

const ANY = { 4: "0.0.0.0/0", 6: "::/0" } as const;
export const isDefault = ({ dst }: ViewRoute) => dst === ANY[4] || dst === ANY[6];
const lengthOf = (dst: string) => Number(dst.split("/")[1] ?? 0);

/** The route that the kernel takes to an address; to `internet4` and `internet6` the default one. */
export function routeTo(view: NamespaceView, destination: string): ViewRoute | undefined {
  const family = destination === INTERNET[6] || destination.includes(":") ? 6 : 4;
  const fits = ({ dst }: ViewRoute) =>
    isInternet(destination) ? dst === ANY[family] : isIn(dst, destination);
  return view.routes.filter(fits).sort((a, b) => lengthOf(b.dst) - lengthOf(a.dst) || a.metric - b.metric)[0];
}

/** Somewhere in the world, where no route but the default one leads. */
export const INTERNET = { 4: "internet4", 6: "internet6" } as const;
export const isInternet = (ip: string) => ip === INTERNET[4] || ip === INTERNET[6];
