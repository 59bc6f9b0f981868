/** Networks by name, and joining a container's namespace to them. Theory: this room's README. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { ErrorList, UserError } from "../base/errors.ts";
import { DEFAULT_NETWORK, defaultConfList, loadConfLists, parseConfList } from "../cni/conflist.ts";
import { CniRuntime } from "../cni/runtime.ts";
import type { NetConfList, PortMap, Result } from "../cni/types.ts";
import * as netns from "../sys/netns.ts";
import { bigIntToIp, contains, formatIP, ipToBigInt, networkOf, parseCidr, parseIP } from "../wire/addr.ts";
import { bringLoopbackUp } from "./loopback.ts";

export interface ServiceOptions {
  configDirectory?: string;
  pluginPath?: string[];
  /** Where results and reserved addresses are kept; absent: the ecosystem's `/var/lib/cni`. */
  stateDirectory?: string;
  /** Of the network that containers join unless told otherwise; made in memory where no file has it. */
  defaultNetwork?: string;
  defaultSubnet?: string;
}

/** A network as `network inspect` shows it. */
export interface NetworkInfo {
  name: string;
  id: string;
  driver: string;
  network_interface?: string;
  created: string;
  subnets?: { subnet: string; gateway?: string }[];
  ipv6_enabled: boolean;
  internal: boolean;
  dns_enabled: boolean;
  labels?: Record<string, string>;
  options?: Record<string, string>;
  ipam_options?: Record<string, string>;
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
    protocol: string;
    range: number;
  }[];
  ip?: string;
  ip6?: string;
  mac?: string;
  aliases?: readonly string[];
}

export class NetworkService {
  readonly #directory: string;
  readonly #runtime: CniRuntime;
  readonly #defaultSubnet: string | undefined;
  readonly defaultNetwork: string;
  #lists: Map<string, { list: NetConfList; path: string }> | undefined;

  constructor(options: ServiceOptions = {}) {
    this.#directory = options.configDirectory ?? "/etc/cni/net.d";
    const { pluginPath, stateDirectory: state } = options;
    this.#runtime = new CniRuntime({
      pluginPath,
      ...(state ? { cacheDirectory: join(state, "results"), dataDirectory: join(state, "networks") } : {}),
    });
    this.defaultNetwork = options.defaultNetwork || DEFAULT_NETWORK;
    this.#defaultSubnet = options.defaultSubnet;
  }

  #all(): Map<string, { list: NetConfList; path: string }> {
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
      .map(one => describe(one.list, one.path))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  inspect(nameOrId: string): NetworkInfo {
    const found = this.#find(this.resolve(nameOrId))!;
    return describe(found.list, found.path);
  }

  /** Brings the namespace's own `lo` up. */
  prepare(namespace: string): void {
    netns.run(namespace, bringLoopbackUp);
  }

  async attach(request: AttachRequest): Promise<Attachment> {
    const { list, path } = this.#find(this.resolve(request.network))!;
    const { subnets } = describe(list, path);
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
    if (request.ports.length > 0)
      capabilityArgs.portMappings = request.ports.map(
        ({ hostIp, hostPort, containerPort, protocol, range }): PortMap => ({
          hostPort,
          containerPort,
          protocol,
          hostIP: hostIp || undefined,
          range: range > 1 ? range : undefined,
        }),
      );
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

/** Podman's own rule in CNI mode: the SHA-256 of the name; the default network's id is fixed. */
export function networkId(name: string): string {
  if (name === DEFAULT_NETWORK) return "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9";
  return new Bun.CryptoHasher("sha256").update(name).digest("hex");
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

/** `10.88.0.0/16` → `10.88.0.1`: what a bridge that is a gateway gets where nothing else is said. */
function firstAddress(subnet: string): string | undefined {
  const cidr = parseCidr(subnet);
  return cidr && formatIP(bigIntToIp(ipToBigInt(networkOf(cidr)) + 1n, cidr.ip.family));
}

function describe(list: NetConfList, path: string): NetworkInfo {
  const main = list.plugins[0]!;
  const args = (list.plugins[0]!.args ?? {}) as {
    podman_labels?: Record<string, string>;
    podman_options?: Record<string, string>;
  };
  const ipam = main.ipam as
    | { type?: string; subnet?: string; gateway?: string; ranges?: { subnet: string; gateway?: string }[][] }
    | undefined;
  const ranges = [
    ...(ipam?.subnet ? [{ subnet: ipam.subnet, gateway: ipam.gateway }] : []),
    ...(ipam?.ranges ?? []).flat(),
  ];
  const isGateway = main.isGateway === true || main.isDefaultGateway === true;
  return {
    name: list.name,
    id: networkId(list.name),
    driver: main.type,
    network_interface:
      (main.bridge as string | undefined) ??
      (main.master as string | undefined) ??
      (main.type === "bridge" ? "cni0" : undefined),
    created: (path ? statSync(path).ctime : new Date()).toISOString(),
    subnets: ranges.length
      ? ranges.map(({ subnet, gateway }) => ({
          subnet,
          gateway: gateway ?? (isGateway ? firstAddress(subnet) : undefined),
        }))
      : undefined,
    ipv6_enabled: ranges.some(one => one.subnet.includes(":")),
    internal: main.type === "bridge" && !isGateway,
    dns_enabled: list.plugins.some(plugin => plugin.type === "dnsname"),
    labels: args.podman_labels,
    options: args.podman_options,
    ipam_options: ipam?.type ? { driver: ipam.type } : undefined,
  };
}
