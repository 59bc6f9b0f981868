/**
 * host-local: addresses from ranges, remembered in files. The files, the lock and the order are those of the Go plugin,
 * so that both may share one pool.
 *
 * `dataDir/NETWORK/`: a file per address (`10.88.0.3`, holding `<container id>\r\n<interface>`), `last_reserved_ip.<n>`
 * for each range set, and `lock` (flock(2), exclusive, held for each operation).
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "../../base/errors.ts";
import { lock } from "../../sys/flock.ts";
import {
  bigIntToIp,
  contains,
  formatIP,
  type IpAddress,
  ipToBigInt,
  lastOf,
  networkOf,
  parseCidr,
  parseIP,
} from "../../wire/addr.ts";
import { CNI_ERROR, CniError, type ResultRoute } from "../types.ts";
import { emptyResult, type Plugin, type PluginContext } from "./plugin.ts";

interface RangeConf {
  subnet: string;
  rangeStart?: string;
  rangeEnd?: string;
  gateway?: string;
}

interface Range {
  family: 4 | 6;
  prefix: number;
  first: bigint;
  last: bigint;
  gateway: bigint;
  cidr: NonNullable<ReturnType<typeof parseCidr>>;
}

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);

function address(text: string, what: string): IpAddress {
  const ip = parseIP(text);
  if (!ip) throw invalid(`invalid ${what} ${JSON.stringify(text)}`);
  return ip;
}

function readRange(conf: RangeConf): Range {
  const cidr = typeof conf.subnet === "string" ? parseCidr(conf.subnet) : undefined;
  if (!cidr) throw invalid(`invalid subnet ${JSON.stringify(conf.subnet)}`);
  const { family } = cidr.ip;
  const bits = cidr.ip.bytes.length * 8;
  if (cidr.prefix > bits - 2) throw invalid(`network ${conf.subnet} too small to allocate from`);
  const base = ipToBigInt(networkOf(cidr));
  if (base !== ipToBigInt(cidr.ip))
    throw invalid(
      `network has host bits set: for a subnet mask of length ${cidr.prefix} the network address is ${formatIP(networkOf(cidr))}`,
    );
  const inside = (text: string, what: string) => {
    const ip = address(text, what);
    if (!contains(cidr, ip)) throw invalid(`${what} ${text} not in network ${conf.subnet}`);
    return ipToBigInt(ip);
  };
  const first = conf.rangeStart ? inside(conf.rangeStart, "RangeStart") : base + 1n;
  const last = conf.rangeEnd
    ? inside(conf.rangeEnd, "RangeEnd")
    : ipToBigInt(lastOf(cidr)) - (family === 4 ? 1n : 0n);
  if (first > last) throw invalid(`RangeStart ${conf.rangeStart} not before RangeEnd ${conf.rangeEnd}`);
  const gateway = conf.gateway ? ipToBigInt(address(conf.gateway, "gateway")) : base + 1n;
  return { family, prefix: cidr.prefix, first, last, gateway, cidr };
}

/** The range sets of a configuration: each set gives one address. */
function rangeSets(context: PluginContext): Range[][] {
  const ipam = context.conf.ipam as { ranges?: RangeConf[][]; subnet?: string } & Partial<RangeConf>;
  const sets: RangeConf[][] = [];
  const extra = context.runtimeConfig.ipRanges as RangeConf[][] | undefined;
  if (extra) sets.push(...extra);
  if (ipam.subnet) sets.push([ipam as RangeConf]);
  if (ipam.ranges) sets.push(...ipam.ranges);
  if (sets.length === 0) throw invalid("no IP ranges specified");
  return sets.map(set => {
    if (set.length === 0) throw invalid("empty range set");
    return set.map(readRange);
  });
}

function requestedAddresses(context: PluginContext): string[] {
  const texts: string[] = [];
  if (context.args.IP) texts.push(context.args.IP);
  const ips = context.runtimeConfig.ips as string[] | undefined;
  if (ips) texts.push(...ips);
  return texts.map(text => formatIP(address(text.split("/")[0]!, "IP address")));
}

class Store {
  readonly #directory: string;

  constructor(context: PluginContext) {
    const dataDir = (context.conf.ipam?.dataDir as string | undefined) ?? "/var/lib/cni/networks";
    this.#directory = join(dataDir, context.network);
    mkdirSync(this.#directory, { recursive: true, mode: 0o755 });
  }

  locked<T>(fn: () => T): T {
    using _held = lock(join(this.#directory, "lock"), { mode: 0o750 });
    return fn();
  }

  /** Takes `ip` if it is free. A file left empty by a crash counts as free. */
  reserve(ip: string, owner: string, rangeIndex: number): boolean {
    const path = join(this.#directory, ip);
    try {
      writeFileSync(path, owner, { flag: "wx", mode: 0o600 });
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
      if (readFileSync(path, "utf8").trim() !== "") return false;
      writeFileSync(path, owner, { mode: 0o600 });
    }
    writeFileSync(join(this.#directory, `last_reserved_ip.${rangeIndex}`), ip, { mode: 0o600 });
    return true;
  }

  lastReserved(rangeIndex: number): bigint | undefined {
    try {
      const ip = parseIP(
        readFileSync(join(this.#directory, `last_reserved_ip.${rangeIndex}`), "utf8").trim(),
      );
      return ip && ipToBigInt(ip);
    } catch {
      return undefined;
    }
  }

  /** Addresses whose file names this owner (or, in old files, the container alone). */
  ownedBy(containerId: string, ifName: string): string[] {
    return readdirSync(this.#directory).filter(name => {
      if (name === "lock" || name.startsWith("last_reserved_ip.")) return false;
      const text = readFileSync(join(this.#directory, name), "utf8").trim();
      return text === `${containerId}\r\n${ifName}` || text === containerId;
    });
  }

  /** How many addresses are taken. */
  release(ip: string): void {
    rmSync(join(this.#directory, ip), { force: true });
  }
}

/** The candidates of a set in round-robin order, starting behind the one given out last. */
function* candidates(
  set: readonly Range[],
  after: bigint | undefined,
): Generator<{ ip: IpAddress; range: Range }> {
  const startRange =
    after === undefined ? -1 : set.findIndex(range => after >= range.first && after <= range.last);
  const walk = function* (range: Range, from: bigint, to: bigint) {
    for (let value = from; value <= to; value++)
      if (value !== range.gateway) yield { ip: bigIntToIp(value, range.family), range };
  };
  if (startRange < 0) {
    for (const range of set) yield* walk(range, range.first, range.last);
    return;
  }
  const current = set[startRange]!;
  yield* walk(current, after! + 1n, current.last);
  for (let step = 1; step < set.length; step++) {
    const range = set[(startRange + step) % set.length]!;
    yield* walk(range, range.first, range.last);
  }
  yield* walk(current, current.first, after!);
}

export const hostLocal: Plugin = {
  add(context) {
    const sets = rangeSets(context);
    const wanted = new Set(requestedAddresses(context));
    const store = new Store(context);
    const owner = `${context.containerId}\r\n${context.ifName}`;
    const result = emptyResult(context.cniVersion);
    return store.locked(() => {
      const taken: string[] = [];
      try {
        if (store.ownedBy(context.containerId, context.ifName).length > 0)
          throw new CniError(
            CNI_ERROR.INTERNAL,
            `${context.containerId} has already an address on ${context.ifName}, duplicate allocation is not allowed`,
          );
        for (const [index, set] of sets.entries()) {
          const choice = allocate(store, set, index, wanted, owner);
          taken.push(formatIP(choice.ip));
          result.ips.push({
            address: `${formatIP(choice.ip)}/${choice.range.prefix}`,
            gateway: formatIP(bigIntToIp(choice.range.gateway, choice.range.family)),
          });
        }
        if (wanted.size > 0)
          throw new CniError(
            CNI_ERROR.INTERNAL,
            `failed to allocate all requested IPs: ${[...wanted].join(", ")}`,
          );
      } catch (error) {
        for (const ip of taken) store.release(ip);
        throw error;
      }
      result.routes = (context.conf.ipam?.routes as ResultRoute[] | undefined) ?? [];
      return result;
    });
  },

  del(context) {
    const store = new Store(context);
    store.locked(() => {
      for (const ip of store.ownedBy(context.containerId, context.ifName)) store.release(ip);
    });
  },

  check(context) {
    const store = new Store(context);
    if (store.locked(() => store.ownedBy(context.containerId, context.ifName)).length === 0)
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `host-local: failed to find an address added by container ${context.containerId}`,
      );
  },
};

function allocate(store: Store, set: readonly Range[], index: number, wanted: Set<string>, owner: string) {
  for (const text of wanted) {
    const ip = parseIP(text)!;
    const range = set.find(one => contains(one.cidr, ip));
    if (!range) continue;
    const value = ipToBigInt(ip);
    if (value === range.gateway)
      throw new CniError(CNI_ERROR.INTERNAL, `requested ip ${text} is subnet's gateway`);
    if (value < range.first || value > range.last)
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `requested IP address ${text} is not available in range set ${rangeText(set)}`,
      );
    if (!store.reserve(text, owner, index))
      throw new CniError(
        CNI_ERROR.INTERNAL,
        `requested IP address ${text} is not available in range set ${rangeText(set)}`,
      );
    wanted.delete(text);
    return { ip, range };
  }
  for (const choice of candidates(set, store.lastReserved(index)))
    if (store.reserve(formatIP(choice.ip), owner, index)) return choice;
  throw new CniError(CNI_ERROR.INTERNAL, `no IP addresses available in range set: ${rangeText(set)}`);
}

function rangeText(set: readonly Range[]): string {
  return set
    .map(
      range =>
        `${formatIP(bigIntToIp(range.first, range.family))}-${formatIP(bigIntToIp(range.last, range.family))}`,
    )
    .join(",");
}
