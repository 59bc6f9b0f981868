/** setup and teardown: a container's namespace joined to networks, and taken off them. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ErrorList, errorText, hasCode, UserError } from "../base/errors.ts";
import { addressesOf } from "../cni/plugins/address.ts";
import { type Attachment, CniRuntime } from "../cni/runtime.ts";
import type { PortMap, Result } from "../cni/types.ts";
import { FirewallBatch } from "../firewall/batch.ts";
import { owner } from "../firewall/element.ts";
import { apart } from "../firewall/isolation.ts";
import { takeTurnsAt } from "../firewall/transaction.ts";
import { lock } from "../sys/flock.ts";
import * as netns from "../sys/netns.ts";
import {
  chainOf,
  checkDriver,
  type DriverOptions,
  driverOptions,
  type GivenAddress,
  givenAddresses,
  isApart,
  isServed,
  portMaps,
} from "./driver.ts";
import { DOMAIN } from "./entries.ts";
import type { Join, Request } from "./input.ts";
import {
  beginInside,
  checkUnmanaged,
  finishBridge,
  finishInside,
  removeUnusedBridge,
  removeWithBridges,
  renameHostEnd,
  routesOf,
  usualMtu,
} from "./inside.ts";
import type { Place } from "./place.ts";
import { foreignDriver, setUpByPlugin, tearDownByPlugin } from "./plugin-exec.ts";
import { type Status, statusOf } from "./status.ts";

/** What is known of one network before anything is made. */
interface Plan {
  join: Join;
  options: DriverOptions;
  addresses: GivenAddress[];
  routes: ReturnType<typeof routesOf>;
}

/** A network of a driver of others. */
interface ForeignPlan {
  join: Join;
  plugin: string;
}

interface Made {
  plan: Plan | ForeignPlan;
  status: Status;
}

const isForeign = (plan: Plan | ForeignPlan): plan is ForeignPlan => "plugin" in plan;

function planOf(join: Join, { rules, pluginDirectories }: AttachOptions): Plan | ForeignPlan {
  const plugin = foreignDriver(join, pluginDirectories);
  if (plugin) return { join, plugin };
  checkDriver(join.network);
  const options = driverOptions(join.network, rules);
  const addresses = givenAddresses(join);
  return { join, options, addresses, routes: routesOf(join, options, addresses) };
}

/** Whether the network's names are told, and where. */
const tellsNames = (plan: Plan | ForeignPlan) =>
  !isForeign(plan) &&
  plan.join.network.dns_enabled &&
  plan.join.network.driver === "bridge" &&
  !plan.options.unmanaged;

export interface AttachOptions {
  /** False where the caller wants no rules. */
  rules: boolean;
  /** Where the plugins of other drivers are looked for. */
  pluginDirectories: readonly string[];
}

export class Attachments {
  private readonly runtime: CniRuntime;

  constructor(
    private readonly place: Place,
    private readonly options: AttachOptions,
  ) {
    this.runtime = new CniRuntime({
      cacheDirectory: join(place.own, "results"),
      dataDirectory: join(place.own, "networks"),
      pluginPath: [],
    });
    if (place.rootless) takeTurnsAt(place.lock("firewall"));
  }

  /** Joins the namespace at `path` to all networks, or to none and throws. */
  async setUp(path: string, request: Request): Promise<Record<string, Status>> {
    if (!netns.isNetns(path)) throw new UserError(`invalid namespace path: ${path} is no network namespace`);
    const plans = request.joins.map(one => planOf(one, this.options));
    for (const plan of plans)
      if (!isForeign(plan) && plan.options.unmanaged) checkUnmanaged(plan.join.network.network_interface!);
    beginInside(
      path,
      request.joins.map(one => one.wish.interface_name),
    );
    const made: Made[] = [];
    try {
      using _held = lock(this.place.lock("bridges"));
      for (const plan of plans) made.push({ plan, status: await this.attach(path, request, plan) });
      const named = made.filter(({ plan }) => tellsNames(plan));
      if (named.length > 0) {
        const { NameBook } = await import("./names.ts");
        await new NameBook(this.place).join(
          request,
          named.map(({ plan }) => plan.join),
        );
      }
    } catch (error) {
      await this.tearDown(path, request).catch(() => {});
      throw error;
    }
    return Object.fromEntries(made.map(({ plan, status }) => [plan.join.network.name, status]));
  }

  private async attach(path: string, request: Request, plan: Plan | ForeignPlan): Promise<Status> {
    if (isForeign(plan)) return setUpByPlugin(plan.plugin, path, request, plan.join);
    const { join, options, addresses } = plan;
    const { network, wish } = join;
    const chain = chainOf(
      join,
      options,
      addresses,
      options.mtu || (network.driver === "bridge" ? usualMtu() : 0),
    );
    const capabilityArgs: Record<string, unknown> = {};
    if (wish.static_mac) capabilityArgs.mac = wish.static_mac;
    if (isServed(network, options) && request.port_mappings.length > 0) {
      const families = this.familiesFor(request.container_id, wish.interface_name, addresses);
      capabilityArgs.portMappings = portMaps(request.port_mappings, families);
    }
    const result = await this.runtime.add(chain, {
      containerId: request.container_id,
      netns: path,
      ifName: wish.interface_name,
      cniArgs: [
        ["IgnoreUnknown", "1"],
        ["K8S_POD_NAME", request.container_hostname ?? request.container_name],
      ],
      capabilityArgs,
    });
    if (isApart(chain.source)) keepApart(request.container_id, wish.interface_name, result);
    if (network.driver === "bridge") {
      if (!options.unmanaged) finishBridge(network, options, result, chain.plugins[0]!.isGateway === true);
      const { host_interface_name: wanted } = wish.options;
      if (wanted) this.callHostEnd(wanted, request.container_id, join);
    }
    finishInside(path, wish.interface_name, plan.routes);
    const servers = tellsNames(plan) ? network.subnets.flatMap(one => one.gateway ?? []) : [];
    return statusOf(wish.interface_name, result, { servers, search: servers.length > 0 ? [DOMAIN] : [] });
  }

  /** Gives the host's end the name that was asked for, which `tearDown` has to know. */
  private callHostEnd(wanted: string, containerId: string, { network, wish }: Join): void {
    const entry = this.runtime.cache.read(network.name, containerId, wish.interface_name)!;
    const [, end] = entry.result.interfaces;
    renameHostEnd(end!.name, wanted);
    end!.name = wanted;
    this.runtime.cache.write(entry);
  }

  /** A published port leads to one address of a family: that on the first network which has one. */
  private familiesFor(
    containerId: string,
    ifName: string,
    addresses: readonly { address: string }[],
  ): Set<4 | 6> {
    const families = familiesOf(addresses);
    for (const { entry, families: served } of this.carriers(containerId))
      if (entry.ifName !== ifName) for (const family of served) families.delete(family);
    return families;
  }

  /** The container's attachments as they are recorded, with the families that their ports are published in. */
  private carriers(containerId: string) {
    const middle = `-${containerId}-`;
    return listed(this.runtime.cache.directory)
      .filter(name => name.includes(middle))
      .sort()
      .flatMap(name => {
        const [network, ifName] = name.split(middle) as [string, string];
        const entry = this.runtime.cache.read(network, containerId, ifName);
        if (!entry) return [];
        const ports = (entry.capabilityArgs.portMappings as PortMap[] | undefined) ?? [];
        const families = familiesOf(entry.result.ips);
        for (const family of [4, 6] as const)
          if (!ports.some(({ hostIP }) => !hostIP || hostIP.includes(":") === (family === 6)))
            families.delete(family);
        return [{ entry, families }];
      });
  }

  /** Takes the container off the networks; goes on after a failure, and needs no namespace. */
  async tearDown(path: string, request: Request): Promise<void> {
    const errors = new ErrorList();
    if (existsSync(this.place.names)) {
      const { NameBook } = await import("./names.ts");
      await errors.tryAsync(() => new NameBook(this.place).leave(request));
    }
    const attachment = {
      containerId: request.container_id,
      netns: netns.isNetns(path) ? path : "",
    };
    using _held = lock(this.place.lock("bridges"));
    const hadPorts = this.carriers(request.container_id).some(one => one.families.size > 0);
    errors.try(() => removeWithBridges(request.joins.flatMap(one => this.pairOf(request.container_id, one))));
    for (const one of request.joins.toReversed())
      await errors.tryAsync(() =>
        this.detach(path, request, one, { ...attachment, ifName: one.wish.interface_name }),
      );
    if (hadPorts && attachment.netns)
      await errors.tryAsync(() => this.handPortsOn(attachment.netns, request));
    throwTogether(errors);
  }

  /** A managed bridge, and the port of it that the container has, by the record. */
  private pairOf(containerId: string, { network, wish }: Join): { bridge: string; port: string }[] {
    const { driver, name, network_interface: bridge, options } = network;
    if (driver !== "bridge" || !bridge || options.mode === "unmanaged") return [];
    const [, port] = this.runtime.cache.read(name, containerId, wish.interface_name)?.result.interfaces ?? [];
    return port && !port.sandbox ? [{ bridge, port: port.name }] : [];
  }

  private async detach(path: string, request: Request, join: Join, attachment: Attachment): Promise<void> {
    const { network } = join;
    const plugin = foreignDriver(join, this.options.pluginDirectories);
    if (plugin) return tearDownByPlugin(plugin, path, request, join);
    const options = driverOptions(network);
    const chain = chainOf(join, options, [], 0);
    await this.runtime.del(chain, network.name, attachment);
    if (network.driver === "bridge" && network.network_interface && !options.unmanaged)
      removeUnusedBridge(network.network_interface);
  }

  /** Ports that led to a network which the container has left lead to another of its. */
  private async handPortsOn(path: string, request: Request): Promise<void> {
    for (const { entry, families } of this.carriers(request.container_id)) {
      if (!entry.config.includes('"portmap"')) continue;
      const wanted = this.familiesFor(entry.containerId, entry.ifName, entry.result.ips);
      if (wanted.isSubsetOf(families)) continue;
      await this.runtime.refresh(entry.networkName, {
        containerId: entry.containerId,
        netns: path,
        ifName: entry.ifName,
        capabilityArgs: { portMappings: portMaps(request.port_mappings, wanted) },
      });
      // That made all that the attachment has of the firewall anew, but for what the chain does not know.
      if (isApart(entry.config)) keepApart(entry.containerId, entry.ifName, entry.result);
    }
  }
}

function keepApart(containerId: string, ifName: string, result: Result): void {
  const batch = new FirewallBatch();
  const mine = owner(containerId, ifName);
  for (const target of addressesOf(result, ifName)) batch.add(apart(mine, target));
  batch.commit();
}

const familiesOf = (addresses: readonly { address: string }[]) =>
  new Set(addresses.map(({ address }): 4 | 6 => (address.includes(":") ? 6 : 4)));

function listed(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}

/** Several failures in netavark's words. */
function throwTogether({ errors }: ErrorList): void {
  if (errors.length === 0) return;
  if (errors.length === 1) throw errors[0];
  throw new UserError(
    `netavark encountered multiple errors:${errors.map(one => `\n\t- ${errorText(one)}`).join("")}`,
  );
}
