/**
 * What a supervisor and its data plane say to each other, one JSON object to a packet of a SOCK_SEQPACKET pair, with
 * descriptors beside it (SCM_RIGHTS). Every request is answered by an object with its number.
 */

import type { Service } from "../stack/config.ts";

/** A network: where its addresses are and what it may do. All addresses are text. */
export interface TapSettings {
  ipv4: { subnet: string; gateway: string; dns: string; guest: string };
  ipv6?: { prefix: string; gateway: string; dns: string; guest?: string };
  /** Hardware address of what the guest speaks to; absent: one made of the gateway's address. */
  mac?: string;
  /** Bytes of IP packet. */
  mtu: number;
  hostLoopback: boolean;
  /** See `StackConfig`, for this and the next two. */
  shared?: boolean;
  aliases?: { address: string; to: string }[];
  without?: Service[];
  dns: boolean;
  /** Addresses that traffic leaves from, interfaces that it leaves by. */
  outbound: { ipv4?: string; ipv6?: string; device4?: string; device6?: string };
}

/** Ports of the host that lead to a guest; the listening sockets come with it, one to a port, in order. */
export interface PortSettings {
  proto: "tcp" | "udp";
  hostAddr: string;
  hostPort: number;
  guestAddr: string;
  /** Where callers of TCP go whom `guestAddr` refuses: many programs listen on IPv4 alone. */
  otherwise?: string;
  guestPort: number;
  /** Ports in a row. */
  count: number;
}

/** The resolver of a network; with it come, for each address, a UDP socket and a listening TCP socket. */
export interface ResolverSettings {
  network: string;
  /** `dns.podman` */
  domain: string;
  /** Nothing that is asked for leaves the machine. */
  internal: boolean;
  /** Where it listens. */
  addresses: string[];
  /** Who may ask, `10.89.0.0/24`. */
  subnets: string[];
}

/** The names of one container on one network. */
export interface NameSettings {
  network: string;
  container: string;
  /** Without the domain; the container's own name first. */
  names: string[];
  addresses: string[];
  /** The container is also on a network that is not internal, and may ask for all names. */
  outside: boolean;
  /** Addresses of resolvers that the container wants asked in place of the host's; empty for these. */
  resolvers: string[];
}

/** What stays in force until it is taken back. */
export type KeyedOrder =
  | { op: "tap"; key: string; settings: TapSettings }
  | { op: "ports"; key: string; tap: string; settings: PortSettings }
  /** Sockets of the guest's own namespace (`transparent.ts`) come with it. */
  | { op: "transparent"; key: string; tap: string }
  | { op: "resolver"; key: string; settings: ResolverSettings }
  | { op: "name"; key: string; settings: NameSettings };

export type Order = KeyedOrder | { op: "remove"; key: string };

/** `handover` asks for one order that is in force, with its descriptors, and then for the next. */
export type Request = (Order | { op: "handover" }) & { seq: number };

export interface Answer {
  seq: number;
  /** Why the order was not carried out; absent: it was. */
  error?: string;
  /** What was handed over; absent once there is no more. */
  order?: KeyedOrder;
}

/** Said unasked: the device of the order `gone` is no more, somebody removed it in the guest's namespace. */
export interface Notice {
  gone: string;
}

/** The word on the data plane's command line by which it makes no system calls but those of its trade. */
export const SECCOMP = "seccomp";

/** Descriptors to a request; the kernel carries 253 (SCM_MAX_FD). */
export const MAX_DESCRIPTORS = 250;
/** Bytes of a request, far above what the longest takes. */
export const MAX_MESSAGE = 16384;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeMessage(message: Request | Answer | Notice): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(message));
}

export function decodeMessage<T extends Request | Answer | Notice>(data: Uint8Array): T {
  return JSON.parse(decoder.decode(data)) as T;
}
