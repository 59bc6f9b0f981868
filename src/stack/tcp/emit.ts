/** Segments to the guest: header, options, and a slice of the send ring behind them. */
import {
  putSack,
  putSynOptions,
  putTcp,
  putTimestamps,
  TCP,
  TCP_FLAG,
  TIMESTAMPS_LENGTH,
} from "../../wire/tcp.ts";
import type { Packet } from "../packet.ts";
import { type Connection, STATE } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import type { Segment } from "./segment.ts";
import { seqAdd, seqDiff, seqGt, seqMax } from "./sequence.ts";

const PROTOCOL_TCP = 6;
/** Challenge ACKs to one connection in so many milliseconds (RFC 5961, 7). */
const CHALLENGES = 10;
const CHALLENGE_PERIOD = 5000;
const NO_PAYLOAD = new Uint8Array(new ArrayBuffer(0));
const blocks = new Int32Array(8);

/** Most bytes of TCP header and payload to the guest at this family and MTU, without options. */
export function ourMss(tcp: TcpContext, family: 4 | 6): number {
  return tcp.config.mtu - (family === 4 ? 20 : 40) - TCP.HEADER;
}

/** Largest payload of a super-frame: what an IPv4 packet holds beside the longest headers. */
export const SUPER_FRAME = 65_535 - 20 - 60;

/** Most payload to a frame; of a super-frame, whole segments. */
export function frameSize(tcp: TcpContext, connection: Connection): number {
  const segment = connection.mss - optionsLength(connection);
  if (!tcp.config.offload || segment > SUPER_FRAME >> 1) return segment;
  return SUPER_FRAME - (SUPER_FRAME % segment);
}

/** The clock of a connection's timestamps, in milliseconds. */
export function timestampOf(tcp: TcpContext, connection: Connection): number {
  return (connection.timestampOffset + Math.floor(tcp.now)) | 0;
}

/** Bytes of options that a data segment carries now. */
export function optionsLength(connection: Connection): number {
  return (connection.timestamps ? TIMESTAMPS_LENGTH : 0) + sackLength(connection);
}

function sackLength(connection: Connection): number {
  const count = sackCount(connection);
  return count === 0 ? 0 : 4 + 8 * count;
}

function sackCount(connection: Connection): number {
  if (!connection.sackPermitted) return 0;
  const beyond = connection.beyond === undefined ? 0 : connection.beyond.count;
  const duplicate = connection.duplicateStart === connection.duplicateEnd ? 0 : 1;
  return Math.min(connection.timestamps ? 3 : 4, beyond + duplicate);
}

/**
 * Sends a segment with `length` bytes of the send ring from `sequence` on, which lie in one piece. Acknowledgment and
 * window go with it.
 */
export function sendSegment(
  tcp: TcpContext,
  connection: Connection,
  sequence: number,
  flags: number,
  length: number,
): void {
  const { frame, view } = tcp.output;
  const at = begin(tcp, connection);
  let end = at + TCP.HEADER;
  if (connection.timestamps)
    end = putTimestamps(view, end, timestampOf(tcp, connection), connection.tsRecent);
  const count = sackCount(connection);
  if (count > 0) {
    collectSack(connection, count);
    end = putSack(view, end, blocks, count);
  }
  putTcp(
    view,
    at,
    connection.remotePort,
    connection.guestPort,
    sequence,
    connection.rcvNxt,
    end - at,
    flags | TCP_FLAG.ACK,
    advertise(connection),
  );
  let segmentSize = 0;
  if (length > 0) {
    const ring = connection.sndRing!;
    frame.payload = ring.bytes;
    frame.payloadStart = sequence & ring.mask;
    frame.payloadLength = length;
    const most = connection.mss - (end - at - TCP.HEADER);
    if (length > most) segmentSize = most;
  }
  connection.lastAckSent = connection.rcvNxt;
  connection.unacknowledged = 0;
  connection.ackNow = false;
  connection.ackLater = false;
  connection.ackAt = Number.POSITIVE_INFINITY;
  connection.duplicateStart = connection.duplicateEnd;
  tcp.counters.segmentsOut++;
  tcp.output.send(end - at, TCP.CHECKSUM, segmentSize);
}

export function sendAck(tcp: TcpContext, connection: Connection): void {
  sendSegment(tcp, connection, connection.sndNxt, 0, 0);
}

/** An ACK for a segment that should not have come, but not too many of them (RFC 5961, 3 to 5 and 7). */
export function sendChallenge(tcp: TcpContext, connection: Connection): void {
  if (tcp.now - connection.challengesFrom >= CHALLENGE_PERIOD) {
    connection.challengesFrom = tcp.now;
    connection.challenges = 0;
  }
  if (connection.challenges >= CHALLENGES) return;
  connection.challenges++;
  tcp.counters.challenges++;
  sendAck(tcp, connection);
}

/** Our SYN; with the guest's acknowledged except in SYN-SENT. */
export function sendSyn(tcp: TcpContext, connection: Connection): void {
  const { view } = tcp.output;
  const first = connection.state === STATE.SYN_SENT;
  const at = begin(tcp, connection);
  let end = putSynOptions(
    view,
    at + TCP.HEADER,
    ourMss(tcp, connection.family),
    connection.rcvScale > 0 || first ? connection.rcvScale : -1,
    connection.sackPermitted,
  );
  if (connection.timestamps)
    end = putTimestamps(view, end, timestampOf(tcp, connection), connection.tsRecent);
  // The window of a SYN is never scaled.
  const window = first ? connection.rcvLimit : seqDiff(connection.rcvEdge, connection.rcvNxt);
  putTcp(
    view,
    at,
    connection.remotePort,
    connection.guestPort,
    connection.iss,
    first ? 0 : connection.rcvNxt,
    end - at,
    first ? TCP_FLAG.SYN : TCP_FLAG.SYN | TCP_FLAG.ACK,
    Math.min(window, 0xffff),
  );
  connection.lastAckSent = connection.rcvNxt;
  tcp.counters.segmentsOut++;
  tcp.output.send(end - at, TCP.CHECKSUM, 0);
}

/** A reset from inside the connection. */
export function sendReset(tcp: TcpContext, connection: Connection): void {
  const at = begin(tcp, connection);
  const first = connection.state === STATE.CONNECTING;
  putTcp(
    tcp.output.view,
    at,
    connection.remotePort,
    connection.guestPort,
    first ? 0 : connection.sndNxt,
    connection.rcvNxt,
    TCP.HEADER,
    TCP_FLAG.RST | TCP_FLAG.ACK,
    0,
  );
  tcp.counters.segmentsOut++;
  tcp.counters.resetsOut++;
  tcp.output.send(TCP.HEADER, TCP.CHECKSUM, 0);
}

/** The reset that answers a segment which belongs to no connection, or acknowledges what was never sent (3.10.7.1). */
export function replyWithReset(tcp: TcpContext, packet: Packet, segment: Segment): void {
  if (segment.flags & TCP_FLAG.RST) return;
  const at = tcp.output.begin(
    packet.family,
    PROTOCOL_TCP,
    packet.buffer,
    packet.destination,
    packet.buffer,
    packet.source,
  );
  tcp.output.frame.payload = NO_PAYLOAD;
  const acknowledged = (segment.flags & TCP_FLAG.ACK) !== 0;
  putTcp(
    tcp.output.view,
    at,
    segment.destinationPort,
    segment.sourcePort,
    acknowledged ? segment.acknowledgment : 0,
    acknowledged ? 0 : seqAdd(segment.sequence, segment.span),
    TCP.HEADER,
    acknowledged ? TCP_FLAG.RST : TCP_FLAG.RST | TCP_FLAG.ACK,
    0,
  );
  tcp.counters.segmentsOut++;
  tcp.counters.resetsOut++;
  tcp.output.send(TCP.HEADER, TCP.CHECKSUM, 0);
}

/** How far the window would reach if it were advertised now. */
export function possibleEdge(connection: Connection): number {
  return (connection.rcvTaken + connection.rcvLimit - (1 << connection.rcvScale)) | 0;
}

/**
 * The window field. The edge moves only by steps that are worth it (RFC 9293, 3.8.6.2.2; a quarter of the buffer, since
 * a segment may be as large as the first one), never back; rounding up is covered by what `possibleEdge` leaves free.
 */
function advertise(connection: Connection): number {
  const edge = possibleEdge(connection);
  const gain = seqDiff(edge, connection.rcvEdge);
  if (gain > 0 && gain >= Math.min(connection.rcvLimit >> 2, connection.mss)) connection.rcvEdge = edge;
  const window = seqDiff(connection.rcvEdge, connection.rcvNxt) + (1 << connection.rcvScale) - 1;
  return Math.max(0, Math.min(0xffff, window >> connection.rcvScale));
}

function begin(tcp: TcpContext, connection: Connection): number {
  const at = tcp.output.begin(
    connection.family,
    PROTOCOL_TCP,
    connection.addresses,
    16,
    connection.addresses,
    0,
  );
  tcp.output.frame.payload = NO_PAYLOAD;
  return at;
}

/** Gathers `count` SACK blocks: a duplicate first, then the stretch that changed last (RFC 2018, 4; RFC 2883, 4). */
function collectSack(connection: Connection, count: number): void {
  let filled = 0;
  const put = (start: number, end: number) => {
    blocks[filled * 2] = start;
    blocks[filled * 2 + 1] = end;
    filled++;
  };
  if (connection.duplicateStart !== connection.duplicateEnd)
    put(connection.duplicateStart, connection.duplicateEnd);
  const { beyond } = connection;
  if (beyond === undefined) return;
  const first = filled;
  const known = (start: number) => {
    for (let index = first; index < filled; index++) if (blocks[index * 2] === start) return true;
    return false;
  };
  for (let index = 0; index < connection.recents && filled < count; index++) {
    const at = beyond.holding(connection.recent![index]!);
    if (at >= 0 && !known(beyond.start(at))) put(beyond.start(at), beyond.end(at));
  }
  for (let at = beyond.count - 1; at >= 0 && filled < count; at--)
    if (!known(beyond.start(at))) put(beyond.start(at), beyond.end(at));
}

/** Notes that everything before `end` has been on the wire. */
export function noteSent(connection: Connection, end: number): void {
  if (seqGt(end, connection.sndNxt)) connection.sndNxt = end;
  connection.sndMax = seqMax(connection.sndMax, end);
}
