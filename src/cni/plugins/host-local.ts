/**
 * host-local: addresses from ranges, remembered in files (`address-store.ts`). The files, the lock and the order are those of
 * the Go plugin, so that both may share one pool.
 */
import { bigIntToIp, contains, formatIP, ipToBigInt, parseIP } from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type PluginConf, type Result } from "../types.ts";
import { AddressStore, isOwner, ownerOf } from "./address-store.ts";
import { checkFields, type Field } from "./field.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";
import { candidates, type Range, rangeText, readAddress, readRangeSets, sizeOf } from "./ranges.ts";
import { readResolvConf } from "./resolv-conf.ts";
import { readRoutes } from "./routes.ts";

const FIELDS: readonly Field[] = [
  {
    name: "subnet",
    type: "string",
    text: "The network that addresses are from, `10.88.0.0/16`; with the three fields below it is the first range set.",
  },
  {
    name: "rangeStart",
    type: "string",
    default: "the first address of the subnet",
    text: "The first address that is given out.",
  },
  {
    name: "rangeEnd",
    type: "string",
    default: "the last address of the subnet, without the broadcast address",
    text: "The last address that is given out.",
  },
  {
    name: "gateway",
    type: "string",
    default: "the first address of the subnet",
    text: "The address that containers are told as their gateway. It is never given out.",
  },
  {
    name: "ranges",
    type: "lists",
    text: "Range sets: a list of lists of objects with the four fields above. Each set gives a container one address.",
  },
  {
    name: "routes",
    type: "objects",
    text: "Routes for the container: `dst`, and `gw` if it is not the gateway.",
  },
  {
    name: "resolvConf",
    type: "string",
    text: "A file in the form of resolv.conf(5), which becomes the result's `dns`.",
  },
  {
    name: "dataDir",
    type: "string",
    default: "/var/lib/cni/networks",
    text: "Where addresses are remembered, in a directory of the network's name.",
  },
];

const ipamOf = ({ conf }: { conf: PluginConf }): Record<string, unknown> => conf.ipam ?? {};

/** Addresses asked for, by CNI_ARGS, by the older `args.cni.ips`, and by the capability `ips`. */
function requestedAddresses(context: PluginContext): string[] {
  const older = context.conf.args as { cni?: { ips?: string[] } } | undefined;
  const capability = context.runtimeConfig.ips as string[] | undefined;
  const texts = [
    ...(context.args.IP ? [context.args.IP] : []),
    ...(older?.cni?.ips ?? []),
    ...(capability ?? []),
  ];
  return texts.map(text => formatIP(readAddress(String(text).split("/")[0])));
}

/** The range sets, where the version of the configuration allows for their number. */
function readSets(context: PluginContext): Range[][] {
  const sets = readRangeSets(ipamOf(context), context.runtimeConfig.ipRanges);
  const { cniVersion } = context;
  const many = ([4, 6] as const).some(
    family => sets.filter(([range]) => range!.family === family).length > 1,
  );
  if (many && /^0\.[12]\.0$/.test(cniVersion))
    throw new CniError(
      CNI_ERROR.INVALID_CONFIG,
      `CNI version ${cniVersion} does not support more than 1 address per family`,
    );
  return sets;
}

const exhausted = (set: readonly Range[]) => `no IP addresses available in range set: ${rangeText(set)}`;

export const hostLocal: Plugin = {
  fields: FIELDS,

  add(context) {
    checkFields(FIELDS, ipamOf(context) as PluginConf);
    const sets = readSets(context);
    const routes = readRoutes(ipamOf(context).routes);
    const wanted = new Set(requestedAddresses(context));
    const store = new AddressStore(context);
    const result = emptyResult(context.cniVersion);
    result.routes = routes;
    const { resolvConf } = ipamOf(context);
    if (resolvConf) result.dns = readResolvConf(resolvConf as string);
    return store.locked(() => {
      result.ips = reserveAll(context, store, sets, wanted);
      return result;
    });
  },

  del(context) {
    const store = new AddressStore(context);
    const { containerId, ifName } = context;
    if (!store.exists) return;
    store.locked(() => {
      const known = knownAddresses(context);
      const own = known.filter(ip => isOwner(store.owner(ip) ?? "", containerId, ifName));
      for (const ip of own) store.release(ip);
      if (own.length > 0 && own.length === known.length) return;
      // Whoever holds the lock has none half written: an empty file is that of a killed ADD, perhaps of this container's.
      for (const { ip, owner } of store.reserved())
        if (owner === "" || isOwner(owner, containerId, ifName)) store.release(ip);
    });
  },

  check(context) {
    const store = new AddressStore(context);
    const { containerId, ifName } = context;
    if (!store.exists || !store.locked(() => store.find(containerId, ifName)))
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `host-local: Failed to find address added by container ${containerId}`,
      );
  },

  gc(context) {
    const store = new AddressStore(context);
    if (!store.exists) return;
    const valid = new Set(
      context.valid.flatMap(one => [ownerOf(one.containerId, one.ifName), one.containerId]),
    );
    store.locked(() => {
      for (const { ip, owner } of store.reserved()) {
        const isOld = context.before === undefined || store.since(ip) < context.before;
        if (isOld && !valid.has(owner)) store.release(ip);
      }
    });
  },

  lastUsed: context => new AddressStore(context).lastUsed(),

  forget(context) {
    const store = new AddressStore(context);
    if (store.exists) store.locked(() => store.removeIfEmpty());
  },

  status(context) {
    const sets = readRangeSets(ipamOf(context), undefined);
    const store = new AddressStore(context);
    store.checkWritable();
    if (!store.exists) return;
    // An empty file is free, but only few pools are so full that it matters.
    const counted = (all: readonly string[]) => all.flatMap(ip => parseIP(ip) ?? []);
    const given = counted(store.addresses());
    const isFull = (set: readonly Range[], ips: typeof given) =>
      ips.filter(ip => set.some(range => includes(range, ip))).length >= sizeOf(set);
    for (const set of sets) {
      if (!isFull(set, given)) continue;
      const owned = store.reserved().flatMap(({ ip, owner }) => (owner === "" ? [] : [ip]));
      if (isFull(set, counted(owned))) throw new CniError(CNI_ERROR.NOT_AVAILABLE, exhausted(set));
    }
  },
};

/** What ADD gave the container, if the runtime tells: then nobody has to look through all files. */
function knownAddresses({ prevResult, ifName }: PluginContext): string[] {
  return (prevResult?.ips ?? [])
    .filter(one => one.interface === undefined || prevResult!.interfaces[one.interface]?.name === ifName)
    .flatMap(one => parseIP(one.address.split("/")[0]!) ?? [])
    .map(formatIP);
}

const includes = (range: Range, ip: NonNullable<ReturnType<typeof parseIP>>) => {
  const value = ipToBigInt(ip);
  return ip.family === range.family && value >= range.first && value <= range.last;
};

/** One address of each set; none, where one of them has none. */
function reserveAll(
  context: PluginContext,
  store: AddressStore,
  sets: readonly Range[][],
  wanted: Set<string>,
): Result["ips"] {
  const { containerId, ifName } = context;
  const has = store.find(containerId, ifName);
  if (has)
    throw new CniError(
      CNI_ERROR.INTERNAL,
      `failed to allocate for range 0: ${has} has been allocated to ${containerId}, duplicate allocation is not allowed`,
    );
  const taken: string[] = [];
  try {
    const ips = sets.map((set, index) => {
      const { ip, range } = allocate(store, set, index, wanted, ownerOf(containerId, ifName));
      taken.push(formatIP(ip));
      return {
        address: `${formatIP(ip)}/${range.prefix}`,
        gateway: formatIP(bigIntToIp(range.gateway, range.family)),
      };
    });
    if (wanted.size === 0) return ips;
    throw new CniError(CNI_ERROR.INTERNAL, `failed to allocate all requested IPs: ${[...wanted].join(", ")}`);
  } catch (error) {
    for (const ip of taken) store.release(ip);
    throw error;
  }
}

/** Reserves an address of a set: one of those that are `wanted`, which is then crossed out, or the next free one. */
function allocate(
  store: AddressStore,
  set: readonly Range[],
  index: number,
  wanted: Set<string>,
  owner: string,
) {
  const refuse = (why: string) =>
    new CniError(CNI_ERROR.INTERNAL, `failed to allocate for range ${index}: ${why}`);
  for (const text of wanted) {
    const ip = parseIP(text)!;
    const value = ipToBigInt(ip);
    const range = set.find(one => contains(one.cidr, ip) && value >= one.first && value <= one.last);
    if (!range) continue;
    if (value === range.gateway) throw refuse(`requested ip ${text} is subnet's gateway`);
    if (!store.reserve(text, owner, index))
      throw refuse(`requested IP address ${text} is not available in range set ${rangeText(set)}`);
    wanted.delete(text);
    return { ip, range };
  }
  for (const choice of candidates(set, store.lastReserved(index)))
    if (store.reserve(formatIP(choice.ip), owner, index)) return choice;
  throw refuse(exhausted(set));
}
