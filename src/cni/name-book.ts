/**
 * Names of the containers of other engines, told by root's network service (`../netd/`). An engine of ours tells those of its
 * own containers itself; both speak to the same service, so on one network everybody knows everybody.
 *
 * What was told is written down, a file for each container below its network's directory: plugins have no other memory, a
 * service that was killed hears it all again, and GC finds who is dead.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { NetdClient } from "../netd/client.ts";
import { type Named, type NamedAttachment, Names } from "../netd/told-names.ts";

/** Where root's engine has its service, unless told otherwise. */
const RUN_ROOT = "/run/portolan";
const BOOK = "cni-names";

/** A container on a network, as its plugin knows it. */
export interface NameEntry {
  network: string;
  containerId: string;
  ifName: string;
  /** The first is its own; without the domain. */
  names: readonly string[];
  ipv4: string;
  ipv6: string;
  /** `dns.podman` */
  domain: string;
  /** Addresses of the bridge, where the resolver listens. */
  listen: readonly string[];
  /** Who may ask. */
  subnets: readonly string[];
  /** The network has no way out. */
  internal: boolean;
  /** Resolvers that the configuration names, asked in place of the host's. */
  resolvers: readonly string[];
}

export class NameBook {
  #client: Promise<NetdClient | undefined> | undefined;
  readonly #names: Names;

  constructor(private readonly runRoot = RUN_ROOT) {
    this.#names = new Names({
      lock: join(runRoot, "locks/names"),
      open: options => this.open(options),
      bind: async addresses => (await import("../netd/port-sockets.ts")).bindResolver(addresses),
      inspect: network => {
        const [one] = this.entries(network);
        const subnets = one?.subnets.map(subnet => ({ subnet }));
        return one && { dns_enabled: true, internal: one.internal, subnets };
      },
      members: network => this.members(network),
    });
  }

  /** Writes the container's names down and tells them. */
  async join(entry: NameEntry): Promise<void> {
    const path = this.path(entry.network, entry.containerId);
    mkdirSync(this.directory(entry.network), { recursive: true, mode: 0o700 });
    // Names of containers have no `~`, so nobody takes a draft for one.
    writeFileSync(`${path}~`, JSON.stringify(entry), { mode: 0o600 });
    renameSync(`${path}~`, path);
    await this.#names.join(this.named(entry), attachmentOf(entry));
  }

  /** Takes back what the container's interface was told by; quiet where nothing was. */
  async leave(network: string, containerId: string, ifName: string): Promise<void> {
    const entry = this.read(network, containerId);
    if (entry?.ifName !== ifName) return;
    await this.#names.forget(network, containerId);
    rmSync(this.path(network, containerId), { force: true });
    try {
      rmdirSync(this.directory(network));
    } catch {
      // Others are on the network.
    }
  }

  /** True while the network service tells the container's names. */
  async isTold(network: string, containerId: string): Promise<boolean> {
    const orders = (await (await this.open({ start: false }))?.list()) ?? [];
    return (
      orders.some(
        ({ order }) =>
          order.op === "name" &&
          order.settings.network === network &&
          order.settings.container === containerId,
      ) && orders.some(({ order }) => order.op === "resolver" && order.settings.network === network)
    );
  }

  /** All containers of a network, by their ids. */
  entries(network: string): NameEntry[] {
    return this.ids(this.directory(network)).flatMap(id => this.read(network, id) ?? []);
  }

  /** The same, as those who bring a resolver tell them. */
  members(network: string): (readonly [Named, NamedAttachment])[] {
    return this.entries(network).map(one => [this.named(one), attachmentOf(one)]);
  }

  private ids(directory: string): string[] {
    return existsSync(directory)
      ? readdirSync(directory)
          .filter(name => !name.endsWith("~"))
          .sort()
      : [];
  }

  private read(network: string, containerId: string): NameEntry | undefined {
    try {
      return JSON.parse(readFileSync(this.path(network, containerId), "utf8")) as NameEntry;
    } catch {
      return undefined;
    }
  }

  private named({ network, containerId: id, names, resolvers }: NameEntry): Named {
    const networks = this.ids(join(this.runRoot, BOOK)).filter(
      one => one === network || existsSync(this.path(one, id)),
    );
    return { id, name: names[0] ?? id, networks, resolvers };
  }

  private directory(network: string): string {
    return join(this.runRoot, BOOK, network);
  }

  private path(network: string, containerId: string): string {
    return join(this.directory(network), containerId);
  }

  private async open(options: { start: boolean }): Promise<NetdClient | undefined> {
    if (!options.start && !existsSync(join(this.runRoot, "netd.sock"))) return undefined;
    this.#client ??= import("../netd/client.ts").then(({ NetdClient }) =>
      NetdClient.open(this.runRoot, options),
    );
    return this.#client;
  }
}

const attachmentOf = ({ network, ipv4, ipv6, names, domain, listen }: NameEntry): NamedAttachment => ({
  network,
  ipv4,
  ipv6,
  dns: { nameservers: listen, search: [domain] },
  aliases: names.slice(1),
});
