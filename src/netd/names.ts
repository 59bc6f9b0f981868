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
  /** Where its resolver listens. */
  addresses: readonly IpAddress[];
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
  private readonly members = new Map<string, Member>();
  private readonly byName = new MultiMap();
  private readonly byAddress = new MultiMap();
  private readonly byContainer = new MultiMap();
  /** Turns the order of addresses from answer to answer. */
  private turn = 0;

  addNetwork(network: NamedNetwork): void {
    this.networks.set(network.name, network);
  }

  removeNetwork(name: string): void {
    this.networks.delete(name);
  }

  /** In place of the member of that key, if there is one. */
  add(key: string, member: Member): void {
    this.remove(key);
    this.members.set(key, member);
    for (const [map, word] of this.filed(member)) map.add(word, member);
  }

  remove(key: string): void {
    const member = this.members.get(key);
    if (!member) return;
    this.members.delete(key);
    for (const [map, word] of this.filed(member)) map.delete(word, member);
  }

  /** Where a member is found, under which word. */
  private filed(member: Member): (readonly [MultiMap, string])[] {
    const { network, container, names, addresses } = member;
    return [
      ...names.map(one => [this.byName, nameWord(network, one)] as const),
      ...addresses.map(one => [this.byAddress, addressWord(network, one.bytes)] as const),
      [this.byContainer, container],
    ];
  }

  /** What a query that came from the address `from` to the resolver of `network` is answered. */
  answer(network: NamedNetwork, from: Uint8Array, query: Query): Verdict {
    const asker = this.membershipsOf(network.name, from);
    if (query.opcode !== 0) return { rcode: RCODE.NOTIMP, records: [] };
    if (query.class === CLASS.IN || query.class === CLASS.ANY) {
      const own = this.ownAnswer(this.networksOf(network, asker), query);
      if (own) return own;
    }
    // What one network says of a container holds on all of them.
    return network.internal && !asker.some(one => one.outside) ? NONE : "forward";
  }

  /**
   * Whom to ask for the container at an address of a network: whom it wants asked, else `others`. None of our own resolvers,
   * though the host may have been told to ask them: that would never end.
   */
  resolversFor(network: string, from: Uint8Array, others: readonly Resolver[]): readonly Resolver[] {
    const own = this.membershipsOf(network, from).find(one => one.resolvers.length > 0)?.resolvers;
    const isOurs = (ip: IpAddress) =>
      [...this.networks.values()].some(one => one.addresses.some(({ bytes }) => isSame(bytes, ip.bytes)));
    return (own ?? others).filter(one => !isOurs(one.ip));
  }

  /** The container at an address of a network, on all networks that it is on. */
  private membershipsOf(network: string, from: Uint8Array): Member[] {
    const here = this.byAddress.get(addressWord(network, from));
    return here.flatMap(one => this.byContainer.get(one.container));
  }

  /** The network that is asked, then the others that the asker is on. */
  private networksOf(asked: NamedNetwork, asker: readonly Member[]): NamedNetwork[] {
    const names = new Set(asker.map(one => one.network));
    names.delete(asked.name);
    return [asked, ...[...names].flatMap(name => this.networks.get(name) ?? [])];
  }

  /** Undefined for names that are none of ours. */
  private ownAnswer(networks: readonly NamedNetwork[], query: Query): Reply | undefined {
    const address = reverseAddress(query.name);
    if (address) return this.reverse(networks, query, address);
    let inside = false;
    const found: Member[] = [];
    for (const { name, domain } of networks) {
      const below = query.name.endsWith(`.${domain}`);
      inside ||= below;
      const short = below ? query.name.slice(0, -domain.length - 1) : query.name;
      found.push(...this.byName.get(nameWord(name, short)));
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
    for (const { name: network, domain } of networks) {
      const [member] = this.byAddress.get(addressWord(network, address));
      if (!member) continue;
      if (query.type !== TYPE.PTR && query.type !== TYPE.ANY) return NO_DATA;
      // A name of more than 63 bytes can't be told.
      const name = member.names.map(one => emitDomains([`${one}.${domain}`])).find(one => one.length > 0);
      return name ? { rcode: RCODE.NOERROR, records: [{ type: TYPE.PTR, data: name }] } : NO_DATA;
    }
    const ip: IpAddress = { family: address.length === 4 ? 4 : 6, bytes: address };
    return networks.some(one => one.subnets.some(subnet => contains(subnet, ip))) ? NONE : undefined;
  }
}

/** Members by a word that several may share, in the order in which they came. */
class MultiMap {
  private readonly sets = new Map<string, Set<Member>>();

  get(word: string): readonly Member[] {
    return [...(this.sets.get(word) ?? [])];
  }

  add(word: string, member: Member): void {
    const set = this.sets.get(word);
    if (set) set.add(member);
    else this.sets.set(word, new Set([member]));
  }

  delete(word: string, member: Member): void {
    const set = this.sets.get(word);
    if (set?.delete(member) && set.size === 0) this.sets.delete(word);
  }
}

// Names of networks have no such byte.
const nameWord = (network: string, name: string) => `${network}\0${name}`;
const addressWord = (network: string, address: Uint8Array) => `${network}\0${address.join()}`;

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
