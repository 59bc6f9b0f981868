/**
 * What a `dhcp` plugin and its daemon say to each other: Go's net/rpc by HTTP's CONNECT, so that either may be Go's. After
 * the two greetings each side's bytes are one gob stream: a head, then the arguments or the result, and so on.
 */
import { parseCidr, parseIP } from "../../wire/addr.ts";
import type { Result } from "../types.ts";
import type { GobType } from "./gob.ts";

/** Where the daemon listens unless it is told otherwise. */
export const SOCKET_PATH = "/run/cni/dhcp.sock";

export const ASK_TO_CONNECT = "CONNECT /_goRPC_ HTTP/1.0\n\n";
export const CONNECTED = "HTTP/1.0 200 Connected to Go RPC\n\n";
/** Either side's greeting is shorter. */
export const MOST_GREETING = 4096;

export type Method = "DHCP.Allocate" | "DHCP.Release";

/** net/rpc's Request and Response. */
export interface Head {
  ServiceMethod?: string;
  Seq?: number;
  Error?: string;
}

/** libcni's `skel.CmdArgs`. */
export interface CommandArguments {
  ContainerID?: string;
  Netns?: string;
  IfName?: string;
  Args?: string;
  Path?: string;
  StdinData?: Uint8Array;
}

export const REQUEST: GobType = { name: "Request", fields: { ServiceMethod: "string", Seq: "uint" } };
export const RESPONSE: GobType = {
  name: "Response",
  fields: { ServiceMethod: "string", Seq: "uint", Error: "string" },
};
export const ARGUMENTS: GobType = {
  name: "CmdArgs",
  fields: {
    ContainerID: "string",
    Netns: "string",
    IfName: "string",
    Args: "string",
    Path: "string",
    StdinData: "bytes",
  },
};
/** The result of Release, and of whatever fails. */
export const NOTHING: GobType = { name: "", fields: {} };

const NETWORK: GobType = { name: "IPNet", fields: { IP: "bytes", Mask: "bytes" } };
const IP_CONFIG: GobType = { name: "IPConfig", fields: { Address: NETWORK, Gateway: "bytes" } };
const ROUTE: GobType = {
  name: "Route",
  fields: { Dst: NETWORK, GW: "bytes", Priority: "int", Scope: "int" },
};
const STRINGS: GobType = { slice: "string" };
const DNS: GobType = {
  name: "DNS",
  fields: { Nameservers: STRINGS, Domain: "string", Search: STRINGS, Options: STRINGS },
};
/** libcni's `types100.Result`, without the interfaces that an address plugin has none of; its version is the asker's affair. */
export const RESULT: GobType = {
  name: "Result",
  fields: { IPs: { slice: IP_CONFIG }, Routes: { slice: ROUTE }, DNS },
};

interface GoNetwork {
  IP?: Uint8Array;
  Mask?: Uint8Array;
}

interface GoResult {
  IPs?: { Address?: GoNetwork; Gateway?: Uint8Array }[];
  Routes?: { Dst?: GoNetwork; GW?: Uint8Array; Priority?: number; Scope?: number }[];
  DNS?: { Nameservers?: string[]; Domain?: string; Search?: string[]; Options?: string[] };
}

export function toGo(result: Result): object {
  const { nameservers, domain, search, options } = result.dns;
  const value: GoResult = {
    IPs: result.ips.map(one => ({ Address: networkToGo(one.address), Gateway: addressToGo(one.gateway) })),
    Routes: result.routes.map(({ dst, gw, priority, scope }) => ({
      Dst: networkToGo(dst),
      GW: addressToGo(gw),
      Priority: priority,
      Scope: scope,
    })),
    DNS: { Nameservers: nameservers, Domain: domain, Search: search, Options: options },
  };
  return value;
}

/** Addresses of lengths that there are none of are left out. */
export function fromGo(value: object, cniVersion: string): Result {
  const { IPs = [], Routes = [], DNS: dns = {} } = value as GoResult;
  return {
    cniVersion,
    interfaces: [],
    ips: IPs.flatMap(({ Address, Gateway }) => {
      const address = networkFromGo(Address);
      return address ? [{ address, gateway: addressFromGo(Gateway) }] : [];
    }),
    routes: Routes.flatMap(({ Dst, GW, Priority, Scope }) => {
      const dst = networkFromGo(Dst);
      return dst ? [{ dst, gw: addressFromGo(GW), priority: Priority, scope: Scope }] : [];
    }),
    dns: {
      nameservers: dns.Nameservers,
      domain: dns.Domain,
      search: dns.Search,
      options: dns.Options,
    },
  };
}

const addressToGo = (text: string | undefined) => (text === undefined ? undefined : parseIP(text)!.bytes);

function networkToGo(text: string): GoNetwork {
  const { ip, prefix } = parseCidr(text)!;
  const mask = new Uint8Array(4);
  new DataView(mask.buffer).setUint32(0, prefix === 0 ? 0 : (-1 << (32 - prefix)) >>> 0);
  return { IP: ip.bytes, Mask: mask };
}

/** Go keeps an IPv4 address in four bytes or in the last four of sixteen. */
function addressFromGo(bytes: Uint8Array | undefined): string | undefined {
  return bytes?.length === 4 || bytes?.length === 16 ? bytes.slice(-4).join(".") : undefined;
}

function networkFromGo({ IP, Mask }: GoNetwork = {}): string | undefined {
  const address = addressFromGo(IP);
  const bits = (Mask ?? new Uint8Array(0))
    .slice(-4)
    .reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
  return address && `${address}/${bits}`;
}
