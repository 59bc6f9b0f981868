/**
 * Names of the containers of networks, and what a query for one is answered. Pure: no sockets here.
 *
 * A container sees the names of every network that it is on, whichever of their resolvers it asks: the C library believes
 * the first resolver that says that there is no such name. Who asks is told by the address that the query comes from.
 */
import { type Cidr, contains, type IpAddress } from "../wire/addr.ts";
import { CLASS, type DnsRecord, type Query, RCODE, type Reply, reverseAddress, TYPE } from "../wire/dns.ts";
import { emitDomains } from "../wire/domain.ts";
import type { Resolver } from "./resolv-conf.ts";

/** A network whose names are told. */
export interface NamedNetwork {
  name: string;
  /** `dns.podman`: what names may have at their end. In lower case. */
  domain: string;
  /** Nothing that is asked for leaves the machine. */
  internal: boolean;
  subnets: readonly Cidr[];
}

/** One container on one network. */
export interface Member {
  network: string;
  container: string;
  /** In lower case, without the domain; the container's own name first. */
  names: readonly string[];
  addresses: readonly IpAddress[];
  /** It is also on a network that is not internal. */
  outside: boolean;
  /** Whom it wants asked in place of the host's resolvers; empty for these. */
  resolvers: readonly Resolver[];
}

/** Not ours to answer: `forward` to whom the asker wants asked. */
export type Verdict = Reply | "forward";

const NONE: Reply = { rcode: RCODE.NXDOMAIN, records: [] };
/** The name is there, but has nothing of the type. */
const NO_DATA: Reply = { rcode: RCODE.NOERROR, records: [] };

export class NameTable {
  private readonly networks = new Map<string, NamedNetwork>();
  /** By network, by key. */
  private readonly members = new Map<string, Map<string, Member>>();
  /** Turns the order of addresses from answer to answer. */
  private turn = 0;

  addNetwork(network: NamedNetwork): void {
    this.networks.set(network.name, network);
  }

  removeNetwork(name: string): void {
    this.networks.delete(name);
  }

  add(key: string, member: Member): void {
    const members = this.members.get(member.network) ?? new Map<string, Member>();
    this.members.set(member.network, members.set(key, member));
  }

  remove(key: string): void {
    for (const [network, members] of this.members)
      if (members.delete(key) && members.size === 0) this.members.delete(network);
  }

  /** What a query that came from the address `from` to the resolver of `network` is answered. */
  answer(network: NamedNetwork, from: Uint8Array, query: Query): Verdict {
    const containers = this.containersAt(network.name, from);
    if (query.opcode !== 0) return { rcode: RCODE.NOTIMP, records: [] };
    if (query.class === CLASS.IN || query.class === CLASS.ANY) {
      const own = this.ownAnswer(this.networksOf(network, containers), query);
      if (own) return own;
    }
    return network.internal && !this.mayGoOutside(containers) ? NONE : "forward";
  }

  /** What one network says of a container holds on all of them. */
  private mayGoOutside(askers: readonly Member[]): boolean {
    return [...this.members.values()].some(members =>
      [...members.values()].some(
        one => one.outside && askers.some(asker => asker.container === one.container),
      ),
    );
  }

  /** Whom the container at an address of a network wants asked; undefined: the host's resolvers. */
  resolversOf(network: string, from: Uint8Array): readonly Resolver[] | undefined {
    return this.containersAt(network, from).find(one => one.resolvers.length > 0)?.resolvers;
  }

  private containersAt(network: string, from: Uint8Array): Member[] {
    const members = [...(this.members.get(network)?.values() ?? [])];
    return members.filter(one => one.addresses.some(({ bytes }) => same(bytes, from)));
  }

  /** The network that is asked, then the others that the asker is on. */
  private networksOf(asked: NamedNetwork, askers: readonly Member[]): NamedNetwork[] {
    const networks = [asked];
    for (const [name, members] of this.members) {
      const other = this.networks.get(name);
      if (!other || name === asked.name) continue;
      if ([...members.values()].some(one => askers.some(asker => asker.container === one.container)))
        networks.push(other);
    }
    return networks;
  }

  /** Undefined for names that are none of ours. */
  private ownAnswer(networks: readonly NamedNetwork[], query: Query): Reply | undefined {
    const address = reverseAddress(query.name);
    if (address) return this.reverse(networks, query, address);
    let inside = false;
    const found: Member[] = [];
    for (const { name, domain } of networks) {
      const below = query.name.endsWith(`.${domain}`);
      inside ||= below || query.name === domain;
      const short = below ? query.name.slice(0, -domain.length - 1) : query.name;
      for (const member of this.members.get(name)?.values() ?? [])
        if (member.names.includes(short)) found.push(member);
    }
    if (found.length > 0) return { rcode: RCODE.NOERROR, records: this.addresses(found, query.type) };
    if (networks.some(one => one.domain === query.name)) return NO_DATA;
    return inside ? NONE : undefined;
  }

  /** Of the families that are asked for; each time another one comes first. */
  private addresses(members: readonly Member[], type: number): DnsRecord[] {
    const records = members
      .flatMap(one => one.addresses)
      .map(({ family, bytes }) => ({ type: family === 4 ? TYPE.A : TYPE.AAAA, data: bytes }))
      .filter(one => type === one.type || type === TYPE.ANY);
    const first = records.length > 0 ? this.turn++ % records.length : 0;
    return [...records.slice(first), ...records.slice(0, first)];
  }

  /** Nobody outside knows the addresses of our own subnets better. */
  private reverse(networks: readonly NamedNetwork[], query: Query, address: Uint8Array): Reply | undefined {
    for (const { name: network, domain } of networks)
      for (const member of this.members.get(network)?.values() ?? []) {
        if (!member.addresses.some(({ bytes }) => same(bytes, address))) continue;
        if (query.type !== TYPE.PTR && query.type !== TYPE.ANY) return NO_DATA;
        // A name of more than 63 bytes can't be told.
        const name = member.names.map(one => emitDomains([`${one}.${domain}`])).find(one => one.length > 0);
        return name ? { rcode: RCODE.NOERROR, records: [{ type: TYPE.PTR, data: name }] } : NO_DATA;
      }
    const ip: IpAddress = { family: address.length === 4 ? 4 : 6, bytes: address };
    return networks.some(one => one.subnets.some(subnet => contains(subnet, ip))) ? NONE : undefined;
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
