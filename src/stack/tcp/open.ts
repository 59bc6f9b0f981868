/**
 * How connections begin. The guest's SYN is answered only once the host's socket is connected, so that the guest sees what
 * a direct connection would have shown; a published port's client is connected already, and we send the SYN.
 */
import { MAX_WINDOW_SCALE } from "../../wire/tcp.ts";
import { ERRNO, isExhaustion } from "../errno.ts";
import type { Packet } from "../packet.ts";
import { type Call, Connection, STATE } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { ourMss, replyWithReset, sendReset, sendSyn } from "./emit.ts";
import {
  endOldestWait,
  guestAborted,
  guestDone,
  hostClosed,
  releaseHandle,
  remove,
  schedule,
} from "./lifecycle.ts";
import { SMALLEST_RING } from "./ring.ts";
import { RTO } from "./rto.ts";
import type { Segment } from "./segment.ts";
import { seqAdd } from "./sequence.ts";

const PROTOCOL_TCP = 6;
/** What a new connection may hold from the guest; while memory is scarce, a smallest ring's worth. */
const FIRST_WINDOW = 65_536;
/** How long the guest has for its answer to a published port's SYN (RFC 1122 names no value; BSD's is this). */
const PUBLISHED_TIMEOUT = 75_000;
/** Least and default segment sizes (RFC 9293, 3.7.1; least as Linux has it). */
const LEAST_MSS = 88;
const DEFAULT_MSS = { 4: 536, 6: 1220 } as const;

/** The guest's SYN, of a flow that is not known. */
export function open(tcp: TcpContext, packet: Packet, segment: Segment): void {
  const connection = admit(tcp);
  if (connection === undefined) {
    replyWithReset(tcp, packet, segment);
    return;
  }
  const { family } = packet;
  const size = family === 4 ? 4 : 16;
  const to = tcp.policy.route(family, packet.buffer, packet.destination, segment.destinationPort);
  for (let index = 0; index < size; index++) {
    connection.addresses[index] = packet.buffer[packet.source + index]!;
    connection.addresses[16 + index] = packet.buffer[packet.destination + index]!;
  }
  connection.family = family;
  connection.guestPort = segment.sourcePort;
  connection.remotePort = segment.destinationPort;
  connection.irs = segment.sequence;
  connection.rcvNxt = seqAdd(segment.sequence, 1);
  if (typeof to === "number") {
    refuse(tcp, connection, to);
    return;
  }
  let handle = tcp.outside.connectTcp(to);
  if (isExhaustion(-handle) && tcp.spare()) handle = tcp.outside.connectTcp(to);
  if (handle < 0) {
    refuse(tcp, connection, -handle);
    return;
  }
  attach(tcp, connection, handle);
  takeSynOptions(tcp, connection, segment);
  connection.lastHeard = tcp.now;
}

/** The guest refused a published port's client, of whom nothing was read yet. */
export function publishedRefused(tcp: TcpContext, connection: Connection): void {
  const { otherwise } = connection;
  if (otherwise === undefined) {
    guestAborted(tcp, connection);
    return;
  }
  const handle = releaseHandle(tcp, connection);
  remove(tcp, connection);
  openPublished(tcp, handle, otherwise);
}

export function openPublished(tcp: TcpContext, handle: number, { from, to }: Call, otherwise?: Call): void {
  const connection = admit(tcp);
  if (connection === undefined) {
    tcp.outside.reset(handle);
    return;
  }
  connection.family = to.family;
  connection.published = true;
  connection.otherwise = otherwise;
  connection.addresses.set(to.address);
  connection.addresses.set(from.address, 16);
  connection.guestPort = to.port;
  if (!choosePort(tcp, connection, from.port)) {
    tcp.outside.reset(handle);
    remove(tcp, connection);
    return;
  }
  attach(tcp, connection, handle);
  connection.writable = true;
  // Bytes may have come with the connection; reading tells.
  connection.readable = true;
  connection.mss = Math.min(DEFAULT_MSS[connection.family], ourMss(tcp, connection.family));
  connection.rcvScale = windowScale(tcp);
  connection.sackPermitted = true;
  connection.timestamps = true;
  begin(tcp, connection);
  connection.state = STATE.SYN_SENT;
  connection.idleAt = tcp.now + PUBLISHED_TIMEOUT;
  sendSyn(tcp, connection);
  schedule(tcp, connection, tcp.now + RTO.INITIAL);
}

/** The host's socket is connected: the guest's SYN is answered. */
export function answerSyn(tcp: TcpContext, connection: Connection): void {
  begin(tcp, connection);
  connection.state = STATE.SYN_RECEIVED;
  connection.writable = true;
  sendSyn(tcp, connection);
  schedule(tcp, connection, tcp.now + RTO.INITIAL);
}

/** The host's socket did not connect, with this errno. */
export function connectFailed(tcp: TcpContext, connection: Connection, errno: number): void {
  hostClosed(tcp, connection);
  refuse(tcp, connection, errno);
}

/** What a SYN says of its sender; what both sides have is used. */
export function takeSynOptions(tcp: TcpContext, connection: Connection, segment: Segment): void {
  const { options } = segment;
  const { family } = connection;
  const most = ourMss(tcp, family);
  connection.mss = Math.min(most, Math.max(LEAST_MSS, options.mss || DEFAULT_MSS[family]));
  connection.sackPermitted = options.sackPermitted;
  connection.timestamps = options.hasTimestamps;
  connection.tsRecent = options.timestamp;
  connection.tsRecentAt = tcp.now;
  if (options.windowScale >= 0) {
    connection.sndScale = options.windowScale;
    connection.rcvScale = windowScale(tcp);
  } else {
    connection.sndScale = 0;
    connection.rcvScale = 0;
  }
  connection.irs = segment.sequence;
  connection.rcvNxt = seqAdd(segment.sequence, 1);
  connection.rcvTaken = connection.rcvNxt;
  connection.lastAckSent = connection.rcvNxt;
  connection.rcvEdge = seqAdd(
    connection.rcvNxt,
    Math.min(0xffff, connection.rcvLimit - (1 << connection.rcvScale)),
  );
  connection.sndWnd = segment.window;
  connection.sndWndMost = segment.window;
  connection.sndWl1 = segment.sequence;
}

/** Shift with which the largest buffer fits the window field. At least 1, so that 0 can mean "no scaling". */
function windowScale(tcp: TcpContext): number {
  let scale = 1;
  while (scale < MAX_WINDOW_SCALE && tcp.config.limits.flowBuffer > 0xffff << scale) scale++;
  return scale;
}

/** A connection for which there is room in every limit; undefined, and counted, when there is none. */
function admit(tcp: TcpContext): Connection | undefined {
  if (tcp.flows.size >= tcp.config.limits.tcpFlows && !endOldestWait(tcp)) {
    tcp.counters.refusedFlows++;
    return undefined;
  }
  const limit = tcp.budget.scarce ? SMALLEST_RING : Math.min(FIRST_WINDOW, tcp.config.limits.flowBuffer);
  if (!tcp.budget.reserve(limit + SMALLEST_RING)) {
    tcp.counters.refusedBuffer++;
    return undefined;
  }
  const connection = new Connection(tcp.expire);
  connection.rcvLimit = limit;
  connection.promised = limit + SMALLEST_RING;
  return connection;
}

function attach(tcp: TcpContext, connection: Connection, handle: number): void {
  connection.handle = handle;
  tcp.byHandle[handle] = connection;
  connection.entry = tcp.flows.add(
    connection.family,
    connection.addresses,
    0,
    connection.addresses,
    16,
    connection.guestPort,
    connection.remotePort,
    connection,
  );
}

/** Gives the connection a remote port that makes it the only one of its kind: the client's own if that is free. */
function choosePort(tcp: TcpContext, connection: Connection, wanted: number): boolean {
  const { family, addresses, guestPort } = connection;
  for (let attempt = 0; attempt < 64; attempt++) {
    const port = attempt === 0 ? wanted : 1024 + ((wanted + attempt * 641) % (65_536 - 1024));
    const other = tcp.flows.find(family, addresses, 0, addresses, 16, guestPort, port);
    if (other === undefined || other.state === STATE.TIME_WAIT) {
      if (other !== undefined) guestDone(tcp, other);
      connection.remotePort = port;
      return true;
    }
  }
  return false;
}

function begin(tcp: TcpContext, connection: Connection): void {
  const { family, addresses, guestPort, remotePort } = connection;
  connection.iss = tcp.sequences.next(family, addresses, guestPort, remotePort, tcp.now);
  connection.timestampOffset = tcp.sequences.timestampOffset;
  connection.sndUna = connection.iss;
  connection.sndNxt = seqAdd(connection.iss, 1);
  connection.sndMax = connection.sndNxt;
  connection.sndEnd = connection.sndNxt;
  connection.sndWl2 = connection.iss;
  connection.highRxt = connection.iss;
  connection.timedAt = tcp.now;
  connection.timedEnd = connection.sndNxt;
}

/**
 * Forgets the connection and tells the guest what a direct one would have ended with. Where the host's own means have run
 * out, and where nobody answered (ETIMEDOUT), that is silence: the guest tries again, or gives up with the same error.
 */
function refuse(tcp: TcpContext, connection: Connection, errno: number): void {
  switch (errno) {
    case ERRNO.ENETUNREACH:
    case ERRNO.ENETDOWN:
    case ERRNO.EHOSTUNREACH:
    case ERRNO.EHOSTDOWN:
    case ERRNO.EACCES:
    case ERRNO.EPERM:
      report(tcp, connection, errno);
      break;
    case ERRNO.EAFNOSUPPORT:
    case ERRNO.EADDRNOTAVAIL:
      report(tcp, connection, ERRNO.ENETUNREACH);
      break;
    case ERRNO.EMFILE:
    case ERRNO.ENFILE:
    case ERRNO.ENOBUFS:
    case ERRNO.ENOMEM:
      tcp.counters.refusedSockets++;
      break;
    case 0:
    case ERRNO.ETIMEDOUT:
      break;
    default:
      sendReset(tcp, connection);
  }
  remove(tcp, connection);
}

function report(tcp: TcpContext, connection: Connection, errno: number): void {
  const { family, addresses, guestPort, remotePort, irs } = connection;
  const size = family === 4 ? 4 : 16;
  const guest = { family, address: addresses.subarray(0, size), port: guestPort };
  const peer = { family, address: addresses.subarray(16, 16 + size), port: remotePort };
  tcp.errors.report(tcp.now, errno, PROTOCOL_TCP, guest, peer, irs >>> 0);
}
