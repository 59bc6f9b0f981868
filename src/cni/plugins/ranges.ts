/**
 * Address ranges of host-local: read and judged as Go's plugin does, in its words. Pure.
 *
 * A configuration has range sets; each set gives a container one address, from the first range that has one.
 */
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
import { CNI_ERROR, CniError } from "../types.ts";

export interface Range {
  family: 4 | 6;
  prefix: number;
  /** First and last address that may be given out, and the gateway, which never is. */
  first: bigint;
  last: bigint;
  gateway: bigint;
  cidr: NonNullable<ReturnType<typeof parseCidr>>;
}

const invalid = (message: string) => new CniError(CNI_ERROR.INVALID_CONFIG, message);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What a configuration said, as it said it: text plain, anything else as JSON. */
const said = (value: unknown) => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

/** An address in a configuration or an argument. */
export function readAddress(text: unknown): IpAddress {
  const ip = typeof text === "string" ? parseIP(text) : undefined;
  if (!ip) throw invalid(`invalid IP address: ${said(text)}`);
  return ip;
}

function readCidr(conf: unknown): Range["cidr"] {
  if (!isObject(conf)) throw invalid("a range is no JSON object");
  const cidr = typeof conf.subnet === "string" ? parseCidr(conf.subnet) : undefined;
  if (!cidr) throw invalid(`invalid CIDR address: ${said(conf.subnet)}`);
  return cidr;
}

function readRange(conf: Record<string, unknown>): Range {
  const cidr = readCidr(conf);
  const { family } = cidr.ip;
  const bits = cidr.ip.bytes.length * 8;
  if (cidr.prefix > bits - 2) throw invalid(`Network ${conf.subnet} too small to allocate from`);
  const base = ipToBigInt(networkOf(cidr));
  if (base !== ipToBigInt(cidr.ip))
    throw invalid(
      `Network has host bits set. For a subnet mask of length ${cidr.prefix} the network address is ${formatIP(networkOf(cidr))}`,
    );
  const inside = (key: "rangeStart" | "rangeEnd", otherwise: bigint) => {
    if (!conf[key]) return otherwise;
    const ip = readAddress(conf[key]);
    const name = key === "rangeStart" ? "RangeStart" : "RangeEnd";
    if (!contains(cidr, ip)) throw invalid(`${name} ${formatIP(ip)} not in network ${conf.subnet}`);
    return ipToBigInt(ip);
  };
  const first = inside("rangeStart", base + 1n);
  const highest = ipToBigInt(lastOf(cidr)) - (family === 4 ? 1n : 0n);
  const end = inside("rangeEnd", highest);
  // Podman writes the broadcast address as the end of a range that reaches to the subnet's.
  const last = end > highest ? highest : end;
  if (first > last)
    throw invalid(`RangeStart ${formatIP(bigIntToIp(first, family))} not in network ${conf.subnet}`);
  const gateway = conf.gateway ? readAddress(conf.gateway) : undefined;
  if (gateway && gateway.family !== family)
    throw invalid(`the gateway ${formatIP(gateway)} is not of the family of ${conf.subnet}`);
  return {
    family,
    prefix: cidr.prefix,
    first,
    last,
    gateway: gateway ? ipToBigInt(gateway) : base + 1n,
    cidr,
  };
}

const overlap = (a: Range, b: Range) => a.family === b.family && a.first <= b.last && b.first <= a.last;

function readSet(set: unknown[]): Range[] {
  if (set.length === 0) throw invalid("empty range set");
  const ranges = set.map(one => readRange(one as Record<string, unknown>));
  if (ranges.some(one => one.family !== ranges[0]!.family)) throw invalid("mixed address families");
  for (const [index, one] of ranges.entries()) {
    const other = ranges.slice(index + 1).find(later => overlap(one, later));
    if (other) throw invalid(`subnets ${rangeText([one])} and ${rangeText([other])} overlap`);
  }
  return ranges;
}

/** The range sets of `conf.ipam`, those that the runtime asks for (`ipRanges`) first. Throws a CniError. */
export function readRangeSets(ipam: Record<string, unknown>, asked: unknown): Range[][] {
  const sets: unknown[] = [];
  for (const list of [asked, ipam.subnet ? [[ipam]] : undefined, ipam.ranges]) {
    if (list === undefined || list === null) continue;
    if (!Array.isArray(list)) throw invalid("ranges are no list");
    sets.push(...list);
  }
  if (sets.length === 0) throw invalid("no IP ranges specified");
  for (const set of sets) {
    if (!Array.isArray(set)) throw invalid("a range set is no list");
    for (const range of set) readCidr(range);
  }
  const read = (sets as unknown[][]).map((set, index) => {
    try {
      return readSet(set);
    } catch (error) {
      throw invalid(`invalid range set ${index}: ${(error as Error).message}`);
    }
  });
  for (const [index, set] of read.entries())
    for (let other = index + 1; other < read.length; other++)
      if (set.some(one => read[other]!.some(two => overlap(one, two))))
        throw invalid(`range set ${index} overlaps with ${other}`);
  return read;
}

/** `10.88.0.1-10.88.255.254`, several joined by commas. */
export function rangeText(set: readonly Range[]): string {
  const text = (value: bigint, range: Range) => formatIP(bigIntToIp(value, range.family));
  return set.map(range => `${text(range.first, range)}-${text(range.last, range)}`).join(",");
}

/** How many addresses a set has to give. */
export function sizeOf(set: readonly Range[]): number {
  return set.reduce((sum, { first, last, gateway }) => {
    const own = gateway >= first && gateway <= last ? 1n : 0n;
    return sum + Number(last - first + 1n - own);
  }, 0);
}

/** The addresses of a set in round-robin order, beginning behind `after`, the one given out last. */
export function* candidates(
  set: readonly Range[],
  after: bigint | undefined,
): Generator<{ ip: IpAddress; range: Range }> {
  const walk = function* (range: Range, from: bigint, to: bigint) {
    for (let value = from; value <= to; value++)
      if (value !== range.gateway) yield { ip: bigIntToIp(value, range.family), range };
  };
  const start =
    after === undefined ? -1 : set.findIndex(range => after >= range.first && after <= range.last);
  if (start < 0) {
    for (const range of set) yield* walk(range, range.first, range.last);
    return;
  }
  const current = set[start]!;
  yield* walk(current, after! + 1n, current.last);
  for (let step = 1; step < set.length; step++) {
    const range = set[(start + step) % set.length]!;
    yield* walk(range, range.first, range.last);
  }
  yield* walk(current, current.first, after!);
}
