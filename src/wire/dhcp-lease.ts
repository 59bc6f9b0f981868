/** What a DHCP server's answer says of an address and of the network around it. */
import { formatCidr, formatIP, networkOf } from "./addr.ts";
import { DHCP_OPTION, type DhcpMessage } from "./dhcp.ts";
import { parseDomains } from "./domain.ts";

export interface LeaseRoute {
  /** `10.1.0.0/16` */
  dst: string;
  /** `0.0.0.0` for a destination on the wire itself (RFC 3442). */
  gateway: string;
}

/** All addresses are text, all times seconds, Infinity for a lease without end. */
export interface LeaseFacts {
  address: string;
  /** Absent where the server told no mask, or one with holes. */
  prefix?: number;
  router?: string;
  /** In the server's order; the one by `router` is among them unless there are classless routes (RFC 3442). */
  routes: LeaseRoute[];
  dns: string[];
  domain?: string;
  search: string[];
  /** Between 0 < renewal <= rebinding <= lease. */
  lease: number;
  renewal: number;
  rebinding: number;
}

/** Seconds of a lease whose server does not say. */
const USUAL_LEASE = 3600;
const WITHOUT_END = 0xffffffff;

/** Undefined where the answer gives no address that a machine can have. */
export function readLease({ your, options }: DhcpMessage): LeaseFacts | undefined {
  // 0.0.0.0/8, the loopback's, groups and all above (RFC 1122, 3.2.1.3).
  if (your[0] === 0 || your[0] === 127 || your[0]! >= 224) return undefined;
  const [router] = addresses(options.get(DHCP_OPTION.ROUTER));
  const classless = classlessRoutes(options.get(DHCP_OPTION.CLASSLESS_ROUTES));
  const routes = classless.length > 0 ? classless : staticRoutes(options.get(DHCP_OPTION.STATIC_ROUTES));
  if (classless.length === 0 && router) routes.push({ dst: "0.0.0.0/0", gateway: router });
  return {
    address: text(your),
    prefix: prefixOf(options.get(DHCP_OPTION.SUBNET_MASK)),
    router,
    routes,
    dns: addresses(options.get(DHCP_OPTION.DNS)),
    domain: name(options.get(DHCP_OPTION.DOMAIN_NAME)),
    search: (parseDomains(options.get(DHCP_OPTION.SEARCH) ?? new Uint8Array(0)) ?? []).filter(isName),
    ...times(options),
  };
}

const text = (bytes: Uint8Array) => formatIP({ family: 4, bytes });
const isName = (word: string) => /^[\w.-]{1,253}$/.test(word);

/** Addresses in a row; what is left over at the end is none. */
function addresses(value: Uint8Array | undefined): string[] {
  const found: string[] = [];
  for (let at = 0; value && at + 4 <= value.length; at += 4) found.push(text(value.subarray(at, at + 4)));
  return found;
}

/** Goes into files that others read, so it must be a name and nothing else. Some servers end it with a NUL. */
function name(value: Uint8Array | undefined): string | undefined {
  const word = new TextDecoder().decode(value).replace(/\0+$/, "");
  return isName(word) ? word : undefined;
}

function prefixOf(mask: Uint8Array | undefined): number | undefined {
  if (mask?.length !== 4) return undefined;
  const bits = Array.from(mask, byte => byte.toString(2).padStart(8, "0")).join("");
  return /^1+0*$/.test(bits) ? bits.lastIndexOf("1") + 1 : undefined;
}

/** RFC 3442: a prefix, as many bytes of the destination as it covers, a router. None where one is cut or impossible. */
function classlessRoutes(value: Uint8Array | undefined): LeaseRoute[] {
  const routes: LeaseRoute[] = [];
  for (let at = 0; value && at < value.length; ) {
    const prefix = value[at]!;
    const size = Math.ceil(prefix / 8);
    if (prefix > 32 || at + 1 + size + 4 > value.length) return [];
    const bytes = new Uint8Array(4);
    bytes.set(value.subarray(at + 1, at + 1 + size));
    routes.push({
      dst: destination(bytes, prefix),
      gateway: text(value.subarray(at + 1 + size, at + 5 + size)),
    });
    at += 5 + size;
  }
  return routes;
}

/** RFC 2132, 5.8: pairs of a destination, whose class says how long its prefix is, and a router. Never the default route. */
function staticRoutes(value: Uint8Array | undefined): LeaseRoute[] {
  const routes: LeaseRoute[] = [];
  for (let at = 0; value && at + 8 <= value.length; at += 8) {
    const first = value[at]!;
    if (first === 0 || first >= 224) continue;
    const prefix = first < 128 ? 8 : first < 192 ? 16 : 24;
    routes.push({
      dst: destination(value.slice(at, at + 4), prefix),
      gateway: text(value.subarray(at + 4, at + 8)),
    });
  }
  return routes;
}

function destination(bytes: Uint8Array, prefix: number): string {
  const ip = networkOf({ ip: { family: 4, bytes }, prefix });
  return formatCidr({ ip, prefix });
}

/** What is missing or out of order is as RFC 2131, 4.4.5 has it. */
function times(options: ReadonlyMap<number, Uint8Array>) {
  const lease = seconds(options.get(DHCP_OPTION.LEASE_TIME)) ?? USUAL_LEASE;
  const told = seconds(options.get(DHCP_OPTION.REBINDING_TIME));
  const rebinding = told && told <= lease ? told : lease * 0.875;
  const first = seconds(options.get(DHCP_OPTION.RENEWAL_TIME));
  const renewal = first && first <= rebinding ? first : Math.min(lease * 0.5, rebinding);
  return { lease, renewal, rebinding };
}

function seconds(value: Uint8Array | undefined): number | undefined {
  if (value?.length !== 4) return undefined;
  const count = new DataView(value.buffer, value.byteOffset).getUint32(0);
  return count === WITHOUT_END ? Number.POSITIVE_INFINITY : count || undefined;
}
