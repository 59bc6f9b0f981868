/**
 * Names of containers on networks that tell them: what the network service is told, and what is taken back.
 *
 * A container's names on a network are one order, the network's resolver is another, which ends with the last name. Whoever
 * finds no resolver brings its sockets, bound where the bridge is, and tells the names of all containers of the network: a
 * service that was killed has forgotten them.
 */
import { errorText, UserError } from "../base/errors.ts";
import { closeFd } from "../sys/fd.ts";
import { type Lock, tryLock } from "../sys/flock.ts";
import type { NetdClient } from "./client.ts";
import type { NameSettings } from "./control.ts";

/** A container that has names. */
export interface Named {
  id: string;
  name: string;
  /** All that it is on. */
  networks: readonly string[];
  /** Addresses of resolvers that it wants asked in place of the host's; empty for these. */
  resolvers: readonly string[];
}

/** Where it has them, and which others there. */
export interface NamedAttachment {
  network: string;
  /** Its addresses there; "" for none. */
  ipv4: string;
  ipv6: string;
  /** The network's resolver, and the domain first. */
  dns: { nameservers: readonly string[]; search: readonly string[] };
  aliases: readonly string[];
}

/** What has to be known of a network, in Podman's words. */
export interface NamedNetworkInfo {
  dns_enabled: boolean;
  /** Nothing that is asked for leaves the machine. */
  internal: boolean;
  subnets?: readonly { subnet: string }[];
}

export interface NamesOptions {
  /** Held by whoever looks for resolvers and makes them: `<runRoot>/locks/names`. */
  lock: string;
  /** The network service; undefined where it is not there and `start` is false. */
  open: (options: { start: boolean }) => Promise<NetdClient | undefined>;
  /** Sockets of a resolver (`bindResolver`), bound in the network namespace that has the bridges. */
  bind: (addresses: readonly string[]) => Promise<readonly number[]>;
  /** Undefined for a network that is not there any more. */
  inspect: (network: string) => NamedNetworkInfo | undefined;
  /** All containers that are recorded as running on the network. */
  members: (network: string) => (readonly [Named, NamedAttachment])[];
}

/** Digits of an id that are a name of its container. */
const SHORT_ID = 12;

const nameKey = (network: string, container: string) => `name ${network} ${container}`;
const resolverKey = (network: string) => `resolver ${network}`;

export class Names {
  constructor(private readonly options: NamesOptions) {}

  /** Starts the network service, if it is not there, for names that will follow. */
  prepare(): void {
    // Whoever tells the names hears of it.
    this.options.open({ start: true }).catch(() => {});
  }

  /**
   * Tells the names of a container that was attached to a network, in place of those that were told before. Nobody is told
   * where the network tells no names, or where the attachment has no nameservers: we would be they.
   */
  async join(container: Named, attachment: NamedAttachment): Promise<void> {
    const { network, dns } = attachment;
    const [domain] = dns.search;
    const info = this.options.inspect(network);
    if (!info?.dns_enabled || dns.nameservers.length === 0 || domain === undefined) return;
    const client = (await this.options.open({ start: true }))!;
    const tell = (one: Named, where: NamedAttachment) =>
      client.addName(nameKey(network, one.id), this.settings(one, where));
    await tell(container, attachment);
    const key = resolverKey(network);
    using _held = await this.lock();
    if ((await client.list()).some(one => one.key === key)) return;
    await this.tellOthers(network, container.id, tell);
    const { internal, subnets = [] } = info;
    const sockets = await this.bind(network, dns.nameservers);
    try {
      const addresses = [...dns.nameservers];
      const settings = { network, domain, internal, addresses, subnets: subnets.map(one => one.subnet) };
      await client.addResolver(key, settings, sockets);
    } finally {
      for (const fd of sockets) closeFd(fd);
    }
  }

  /** Before anybody can ask for them: the names of all containers of a network but one. */
  private async tellOthers(
    network: string,
    but: string,
    tell: (one: Named, where: NamedAttachment) => Promise<void>,
  ): Promise<void> {
    const others = () => this.options.members(network).filter(([one]) => one.id !== but);
    const told = others();
    for (const [one, where] of told) await tell(one, where);
    // One that has ended meanwhile may have taken its names back before they were told.
    const stay = new Set(others().map(([one]) => one.id));
    for (const [one] of told) if (!stay.has(one.id)) await this.forget(network, one.id);
  }

  /** The same for names that may be told already, as `keys` of orders in force show. */
  async tellAgain(container: Named, attachment: NamedAttachment, keys: ReadonlySet<string>): Promise<void> {
    if (!keys.has(nameKey(attachment.network, container.id))) await this.join(container, attachment);
  }

  private async bind(network: string, addresses: readonly string[]): Promise<readonly number[]> {
    try {
      return await this.options.bind(addresses);
    } catch (error) {
      throw new UserError(`can't tell names on network ${network}: ${errorText(error)}`, {
        cause: error,
        hint: "another name server of this host may have the address; networks made with --disable-dns need none",
      });
    }
  }

  private settings({ id, name, networks, resolvers }: Named, where: NamedAttachment): NameSettings {
    const { network, ipv4, ipv6, aliases } = where;
    return {
      network,
      container: id,
      names: [...new Set([name, ...aliases, id.slice(0, SHORT_ID)])],
      addresses: [ipv4, ipv6].filter(one => one !== ""),
      outside: networks.some(one => !this.options.inspect(one)?.internal),
      resolvers: [...resolvers],
    };
  }

  /** Waits without blocking the thread: its holder may be this very process. */
  private async lock(): Promise<Lock> {
    for (;;) {
      const held = tryLock(this.options.lock);
      if (held) return held;
      await Bun.sleep(2);
    }
  }

  /** Takes a container's names on a network back; quiet where none were told. */
  async forget(network: string, container: string): Promise<void> {
    const client = await this.options.open({ start: false });
    await client?.remove(nameKey(network, container));
  }
}
