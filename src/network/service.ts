/** Networks by name, and joining a container's namespace to them. Theory: this room's README. */
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ErrorList, UserError } from "../base/errors.ts";
import { DEFAULT_NETWORK, defaultConfList, parseConfList } from "../cni/conflist.ts";
import { type LoadedList, loadConfLists } from "../cni/load.ts";
import { CniRuntime } from "../cni/runtime.ts";
import type { NetConfList, PortMap, Result } from "../cni/types.ts";
import { layTable } from "../firewall/transaction.ts";
import type { Link } from "../netlink/link.ts";
import { withLock } from "../sys/flock.ts";
import { contains, parseCidr, parseIP } from "../wire/addr.ts";
import { describe, formatConfList, type NetworkInfo, networkId } from "./definition.ts";
import type { NetworkRequest } from "./plan.ts";
import { reconcile } from "./reconcile.ts";

export type { NetworkInfo } from "./definition.ts";

export interface ServiceOptions {
  configDirectory?: string;
  pluginPath?: string[];
  /** Types of plugins that are executed though there is one of ours; `*`: all that the path has. */
  foreignPlugins?: string[];
  /** Where results and reserved addresses are kept; absent: the ecosystem's `/var/lib/cni`. */
  stateDirectory?: string;
  /** Of the network that containers join unless told otherwise; made in memory where no file has it. */
  defaultNetwork?: string;
  defaultSubnet?: string;
  /** Bridges are in a namespace that this process is not in: whoever removes a network removes its bridge there. */
  bridgesElsewhere?: boolean;
}

/** What one network gave to a container. */
export interface Attachment {
  network: string;
  ifName: string;
  ipv4: string;
  ipv4Prefix: number;
  gateway: string;
  ipv6: string;
  ipv6Prefix: number;
  ipv6Gateway: string;
  mac: string;
  bridge: string;
  dns: { nameservers: string[]; search: string[]; options: string[] };
}

export interface AttachRequest {
  containerId: string;
  containerName: string;
  netns: string;
  network: string;
  ifName: string;
  ports: readonly {
    hostIp: string;
    hostPort: number;
    containerPort: number;
    protocol: "tcp" | "udp" | "sctp";
    range: number;
  }[];
  ip?: string;
  ip6?: string;
  mac?: string;
  aliases?: readonly string[];
}

export interface RefreshRequest
  extends Pick<AttachRequest, "containerId" | "netns" | "network" | "ifName" | "ports"> {
  /** The firewall's table too, which somebody may have emptied. */
  layOut?: boolean;
}

export class NetworkService {
  readonly #directory: string;
  readonly #runtime: CniRuntime;
  readonly #defaultSubnet: string | undefined;
  readonly #bridgesElsewhere: boolean;
  readonly defaultNetwork: string;
  #lists: Map<string, LoadedList> | undefined;

  constructor(options: ServiceOptions = {}) {
    this.#directory = options.configDirectory ?? "/etc/cni/net.d";
    const { pluginPath, foreignPlugins: foreign, stateDirectory: state } = options;
    this.#runtime = new CniRuntime({
      pluginPath,
      foreign,
      ...(state ? { cacheDirectory: join(state, "results"), dataDirectory: join(state, "networks") } : {}),
    });
    this.defaultNetwork = options.defaultNetwork || DEFAULT_NETWORK;
    this.#defaultSubnet = options.defaultSubnet;
    this.#bridgesElsewhere = options.bridgesElsewhere ?? false;
  }

  #all(): Map<string, LoadedList> {
    if (!this.#lists) {
      this.#lists = loadConfLists(this.#directory);
      if (!this.#lists.has(this.defaultNetwork)) {
        const text = defaultConfList(this.defaultNetwork, this.#defaultSubnet);
        this.#lists.set(this.defaultNetwork, { list: parseConfList(text), path: "" });
      }
    }
    return this.#lists;
  }

  exists(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  #find(nameOrId: string): { list: NetConfList; path: string } | undefined {
    const all = this.#all();
    return (
      all.get(nameOrId) ??
      (/^[0-9a-f]{3,64}$/.test(nameOrId)
        ? [...all.values()].find(one => networkId(one.list.name).startsWith(nameOrId))
        : undefined)
    );
  }

  /** The network's own name, for a name or the start of an id. Throws in Podman's words. */
  resolve(nameOrId: string): string {
    const found = this.#find(nameOrId);
    if (!found)
      throw new UserError(`unable to find network with name or ID ${nameOrId}: network not found`, {
        status: 404,
      });
    return found.list.name;
  }

  list(): NetworkInfo[] {
    return [...this.#all().values()]
      .map(one => describe(one.list, createdAt(one.path)))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  inspect(nameOrId: string): NetworkInfo {
    const found = this.#find(this.resolve(nameOrId))!;
    return describe(found.list, createdAt(found.path));
  }

  /** One process at a time changes the directory; Podman has a file of this name there too. */
  #exclusively<T>(fn: () => T): T {
    mkdirSync(this.#directory, { recursive: true });
    return withLock(
      join(this.#directory, "cni.lock"),
      () => {
        this.#lists = undefined;
        return fn();
      },
      { mode: 0o644 },
    );
  }

  /** Makes a network, with what is free for all that is not said. Throws UserError in Podman's words. */
  async create(request: NetworkRequest): Promise<NetworkInfo> {
    const [{ planNetwork }, { readHostNetwork }] = await Promise.all([
      import("./plan.ts"),
      import("./host-network.ts"),
    ]);
    return this.#exclusively(() => {
      const info = planNetwork(request, { host: readHostNetwork(), networks: this.list() });
      const path = join(this.#directory, `${info.name}.conflist`);
      // A draft that a killed command left is overwritten by the next one's.
      const draft = join(this.#directory, "cni.draft");
      writeFileSync(draft, formatConfList(info), { mode: 0o644 });
      renameSync(draft, path);
      this.#lists = undefined;
      return this.inspect(info.name);
    });
  }

  /**
   * Removes a network and its bridge. All is left as it is where `isUsed` says so while nobody else is at work, or, but for
   * `force`, where somebody else's links are on the bridge: gives their names, none for what was removed or is used.
   */
  async remove(
    nameOrId: string,
    isUsed: (name: string) => boolean,
    { force = false }: { force?: boolean } = {},
  ): Promise<{ removed: boolean; others: string[] }> {
    const [{ portsOfBridge, removeBridge }, { ownerOfHostEnd }] = await Promise.all([
      import("./remove-bridge.ts"),
      import("../cni/plugins/host-end.ts"),
    ]);
    // One of ours that is forgotten has no result any more, and goes with the bridge.
    const isForgotten = (network: string, port: Link) => {
      const owner = ownerOfHostEnd(network, port);
      return owner && !this.#runtime.cache.read(network, owner.containerId, owner.ifName);
    };
    const { removed, others } = this.#exclusively(() => {
      const { list, path } = this.#find(this.resolve(nameOrId))!;
      if (isUsed(list.name)) return { others: [] };
      const { driver, network_interface: bridge } = describe(list, "");
      if (driver === "bridge" && bridge && !this.#bridgesElsewhere) {
        const ports = force ? [] : portsOfBridge(bridge).filter(port => !isForgotten(list.name, port));
        if (ports.length > 0) return { others: ports.map(({ name }) => name) };
        removeBridge(bridge);
      }
      rmSync(path, { force: true });
      this.#lists = undefined;
      return { removed: list, others: [] };
    });
    if (removed) await this.#runtime.forget(removed);
    return { removed: removed !== undefined, others };
  }

  async attach(request: AttachRequest): Promise<Attachment> {
    const { list } = this.#find(this.resolve(request.network))!;
    await reconcile(this.#runtime, list);
    const { subnets } = describe(list, "");
    for (const address of [request.ip, request.ip6])
      if (
        address &&
        subnets &&
        !subnets.some(({ subnet }) => contains(parseCidr(subnet)!, parseIP(address)!))
      )
        throw new UserError(`requested static ip ${address} not in any subnet on network ${list.name}`);
    const cniArgs: [string, string][] = [
      ["IgnoreUnknown", "1"],
      ["K8S_POD_NAME", request.containerName],
    ];
    const capabilityArgs: Record<string, unknown> = {};
    if (request.ports.length > 0) capabilityArgs.portMappings = portMappings(request.ports);
    const ips = [request.ip, request.ip6].filter(one => one !== undefined);
    if (ips.length === 1) cniArgs.push(["IP", ips[0]!]);
    else if (ips.length > 1) capabilityArgs.ips = ips;
    if (request.mac) {
      cniArgs.push(["MAC", request.mac]);
      capabilityArgs.mac = request.mac;
    }
    if (request.aliases?.length) capabilityArgs.aliases = { [list.name]: request.aliases };
    const result = await this.#runtime.add(list, {
      containerId: request.containerId,
      netns: request.netns,
      ifName: request.ifName,
      cniArgs,
      capabilityArgs,
    });
    return attachmentOf(list.name, request.ifName, result);
  }

  /** Makes the firewall's part of an attachment anew, with these ports; its interface and connections stay. */
  async refresh(request: RefreshRequest): Promise<void> {
    if (request.layOut) layTable();
    await this.#runtime.refresh(request.network, {
      ...request,
      capabilityArgs: { portMappings: portMappings(request.ports) },
    });
  }

  /** The ports that an attachment was made with. */
  published(containerId: string, { network, ifName }: Pick<Attachment, "network" | "ifName">): PortMap[] {
    const cached = this.#runtime.cache.read(network, containerId, ifName);
    return (cached?.capabilityArgs.portMappings as PortMap[] | undefined) ?? [];
  }

  /** True while a container is on any network. */
  hasAttachments(): boolean {
    return !this.#runtime.cache.isEmpty;
  }

  /** Takes a container off the networks that were begun for it; quiet where nothing is left. */
  async detach(
    containerId: string,
    begun: readonly { network: string; ifName: string }[],
    namespace: string,
  ): Promise<void> {
    const errors = new ErrorList();
    for (const { network, ifName } of begun.toReversed())
      await errors.tryAsync(() =>
        this.#runtime.del(this.#all().get(network)?.list, network, { containerId, netns: namespace, ifName }),
      );
    errors.throwIfAny("can't clean up the network");
  }
}

const portMappings = (ports: AttachRequest["ports"]) =>
  ports.map(
    ({ hostIp, hostPort, containerPort, protocol, range }): PortMap => ({
      hostPort,
      containerPort,
      protocol,
      hostIP: hostIp || undefined,
      range: range > 1 ? range : undefined,
    }),
  );

/** RFC 3339 with nanoseconds, as Podman tells it. The default network has no file until somebody writes one. */
function createdAt(path: string): string {
  if (!path) return new Date().toISOString();
  const { ctimeNs } = statSync(path, { bigint: true });
  const fraction = String(ctimeNs % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const seconds = new Date(Number(ctimeNs / 1_000_000n)).toISOString().slice(0, 19);
  return `${seconds}${fraction && `.${fraction}`}Z`;
}

function attachmentOf(network: string, ifName: string, result: Result): Attachment {
  const own = result.interfaces.findIndex(one => one.name === ifName && one.sandbox);
  const ip = (six: boolean) =>
    result.ips.find(
      one => one.address.includes(":") === six && (one.interface === undefined || one.interface === own),
    );
  const [four, six] = [ip(false), ip(true)];
  const prefix = (text: string | undefined) => Number(text?.split("/")[1] ?? 0);
  return {
    network,
    ifName,
    ipv4: four?.address.split("/")[0] ?? "",
    ipv4Prefix: prefix(four?.address),
    gateway: four?.gateway ?? "",
    ipv6: six?.address.split("/")[0] ?? "",
    ipv6Prefix: prefix(six?.address),
    ipv6Gateway: six?.gateway ?? "",
    mac: result.interfaces[own]?.mac ?? "",
    bridge: result.interfaces.find(one => !one.sandbox)?.name ?? "",
    dns: {
      nameservers: result.dns.nameservers ?? [],
      search: result.dns.search ?? [],
      options: result.dns.options ?? [],
    },
  };
}
