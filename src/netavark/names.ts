/**
 * Names of containers, told by our network service (`../netd/`) where netavark starts aardvark-dns. What was told is kept in
 * aardvark-dns' own files (`entries.ts`): from them a service that was killed hears all of it again, and `update` knows whom
 * it is about.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import type { NetdClient } from "../netd/client.ts";
import { type Named, type NamedAttachment, Names } from "../netd/told-names.ts";
import { lock } from "../sys/flock.ts";
import { parseIP } from "../wire/addr.ts";
import {
  DOMAIN,
  type Entries,
  type Entry,
  fileName,
  formatEntries,
  networkOfFile,
  parseEntries,
} from "./entries.ts";
import type { Join, Network, Request } from "./input.ts";
import type { Place } from "./place.ts";

/** Labels of at most 63 letters, digits, hyphens and underscores (RFC 1035, and what resolvers take besides). */
const NAME = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*$/;

const isSix = (address: string) => address.includes(":");

export class NameBook {
  #client: Promise<NetdClient | undefined> | undefined;

  constructor(private readonly place: Place) {}

  private path(network: string, internal: boolean): string {
    return join(this.place.names, fileName(network, internal));
  }

  private read(network: string): { internal: boolean; entries: Entries } | undefined {
    for (const internal of [false, true])
      try {
        return { internal, entries: parseEntries(readFileSync(this.path(network, internal), "utf8")) };
      } catch (error) {
        if (!hasCode(error, "ENOENT")) throw error;
      }
    return undefined;
  }

  private write(network: string, internal: boolean, entries: Entries): void {
    const path = this.path(network, internal);
    if (entries.containers.length === 0) {
      rmSync(path, { force: true });
      return;
    }
    mkdirSync(this.place.names, { recursive: true, mode: 0o700 });
    const draft = join(this.place.names, `.${fileName(network, internal)}`);
    writeFileSync(draft, formatEntries(entries));
    renameSync(draft, path);
  }

  /** Every network of the directory that has names now, with the container among its entries. */
  private networksOf(id: string): string[] {
    if (!existsSync(this.place.names)) return [];
    return readdirSync(this.place.names).flatMap(file => {
      const about = networkOfFile(file);
      const has = about && this.read(about.network)?.entries.containers.some(one => one.id === id);
      return has ? [about.network] : [];
    });
  }

  /** Writes the container's names down and tells them. */
  async join(request: Request, joins: readonly Join[]): Promise<void> {
    const { container_id: id, dns_servers: servers } = request;
    {
      using _held = lock(this.place.lock("entries"));
      for (const { network, wish } of joins) {
        checkServers(network);
        const old = this.read(network.name)?.entries.containers ?? [];
        const entry: Entry = {
          id,
          ipv4: wish.static_ips.filter(one => !isSix(one)),
          ipv6: wish.static_ips.filter(isSix),
          names: [...new Set([request.container_name, ...wish.aliases])].filter(one => NAME.test(one)),
          servers,
        };
        this.write(network.name, network.internal, {
          listen: gatewaysOf(network),
          servers: network.network_dns_servers,
          containers: [...old.filter(one => one.id !== id), entry],
        });
      }
    }
    const names = this.names(joins.map(one => one.network));
    const networks = this.networksOf(id);
    for (const { network } of joins) {
      const { entries } = this.read(network.name)!;
      const entry = entries.containers.find(one => one.id === id)!;
      await names.join(named(entry, entries, networks), attachment(network.name, entry, entries));
    }
  }

  /** Takes the container's names on these networks back; quiet where none were told. */
  async leave({ container_id: id, joins }: Request): Promise<void> {
    for (const { network } of joins) {
      using _held = lock(this.place.lock("entries"));
      const known = this.read(network.name);
      if (!known?.entries.containers.some(one => one.id === id)) continue;
      const containers = known.entries.containers.filter(one => one.id !== id);
      this.write(network.name, known.internal, { ...known.entries, containers });
      await this.names([]).forget(network.name, id);
    }
  }

  /** Gives the network's resolver other servers to ask. */
  async update(network: string, servers: readonly string[]): Promise<void> {
    for (const one of servers)
      if (!parseIP(one))
        throw new UserError(`unable to parse ip ${one} specified in \`--network-dns-servers\``);
    using _held = lock(this.place.lock("entries"));
    const known = this.read(network);
    // Nobody is on it.
    if (!known) return;
    const entries: Entries = { ...known.entries, servers: [...servers] };
    this.write(network, known.internal, entries);
    const client = await this.open({ start: false });
    const told = (await client?.list()) ?? [];
    for (const { key, order } of told) {
      if (order.op !== "name" || order.settings.network !== network) continue;
      const entry = entries.containers.find(one => one.id === order.settings.container);
      if (entry) await client!.addName(key, { ...order.settings, resolvers: serversOf(entry, entries) });
    }
  }

  private open = async (options: { start: boolean }): Promise<NetdClient | undefined> => {
    if (!options.start && !existsSync(join(this.place.own, "netd.sock"))) return undefined;
    this.#client ??= import("../netd/client.ts").then(({ NetdClient }) =>
      NetdClient.open(this.place.own, options),
    );
    return this.#client;
  };

  /** `given`: the networks whose definitions were given; of others it is known what their files say. */
  private names(given: readonly Network[]): Names {
    return new Names({
      lock: this.place.lock("names"),
      open: this.open,
      bind: async addresses => (await import("../netd/port-sockets.ts")).bindResolver(addresses),
      inspect: network => {
        const definition = given.find(one => one.name === network);
        const known = this.read(network);
        const subnets = definition?.subnets.map(({ subnet }) => ({ subnet }));
        return known && { dns_enabled: true, internal: known.internal, subnets };
      },
      members: network => {
        const { entries } = this.read(network) ?? {};
        return (entries?.containers ?? []).map(entry => [
          named(entry, entries!, this.networksOf(entry.id)),
          attachment(network, entry, entries!),
        ]);
      },
    });
  }
}

const gatewaysOf = (network: Network) => network.subnets.flatMap(one => one.gateway ?? []);

/** A resolver that asks itself would never be done. */
function checkServers(network: Network): void {
  const own = network.network_dns_servers.find(one => gatewaysOf(network).includes(one));
  if (own)
    throw new UserError(
      `dns server ${own} of network ${network.name} is its own gateway, where its names are told`,
    );
}

const serversOf = (entry: Entry, entries: Entries) =>
  entry.servers.length > 0 ? entry.servers : entries.servers;

function named(entry: Entry, entries: Entries, networks: readonly string[]): Named {
  return { id: entry.id, name: entry.names[0] ?? entry.id, networks, resolvers: serversOf(entry, entries) };
}

function attachment(network: string, entry: Entry, { listen }: Entries): NamedAttachment {
  return {
    network,
    ipv4: entry.ipv4[0] ?? "",
    ipv6: entry.ipv6[0] ?? "",
    dns: { nameservers: listen, search: [DOMAIN] },
    aliases: entry.names.slice(1),
  };
}
