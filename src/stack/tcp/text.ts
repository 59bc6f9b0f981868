/**
 * From the guest to the host's socket. In-order bytes go straight from the packet into the socket; what it refuses, and
 * what lies behind a gap, is kept in the receive ring, for which the advertised window is the promise.
 */
import { ERRNO } from "../errno.ts";
import { type Connection, STATE } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { possibleEdge, sendAck } from "./emit.ts";
import {
  enqueue,
  enterTimeWait,
  guestDone,
  hostClosed,
  hostFailed,
  ringEmptied,
  schedule,
} from "./lifecycle.ts";
import { Ranges } from "./ranges.ts";
import { ringSize } from "./ring.ts";
import type { Segment } from "./segment.ts";
import { seqAdd, seqDiff, seqGe, seqGt, seqLe, seqLt } from "./sequence.ts";

/**
 * How long an acknowledgment waits for an answer to go with, in milliseconds. No longer than a nearby answer takes: a guest
 * whose kernel holds more back until it is acknowledged (Nagle) is not to notice.
 */
const ACK_DELAY = 1;

/**
 * Takes the text of an acceptable segment, and its FIN; what lies outside of the window is cut here. False when the
 * connection is gone.
 */
export function takeText(tcp: TcpContext, connection: Connection, segment: Segment, fin: boolean): boolean {
  let { sequence, textStart: start, textLength: length } = segment;
  const { rcvNxt } = connection;
  let ended = fin;
  // What is left of the window was here before.
  const old = seqDiff(rcvNxt, sequence);
  if (old > 0) {
    noteDuplicate(connection, sequence, seqAdd(sequence, Math.min(old, length)));
    connection.ackNow = true;
    if (old > length) return settle(tcp, connection, segment);
    sequence = rcvNxt;
    start += old;
    length -= old;
  }
  const room = seqDiff(acceptEdge(connection), sequence);
  if (length > room) {
    length = Math.max(0, room);
    ended = false;
    connection.ackNow = true;
  }
  if (ended && !connection.finKnown) {
    connection.finKnown = true;
    connection.finSequence = seqAdd(sequence, length);
  }
  if (length > 0 && connection.finKnown) {
    // Nothing can follow a FIN.
    length = Math.min(length, seqDiff(connection.finSequence, sequence));
    if (length < 0) length = 0;
  }
  if (length > 0) {
    if (sequence === connection.rcvNxt) {
      if (!takeInOrder(tcp, connection, segment, start, length)) return false;
    } else keepBeyond(tcp, connection, segment, sequence, start, length);
  } else if (ended && sequence !== connection.rcvNxt) connection.ackNow = true;
  return settle(tcp, connection, segment);
}

/** The first number that is not taken any more: the edge that was advertised, with the rounding of its scale. */
export function acceptEdge(connection: Connection): number {
  return (connection.rcvEdge + (1 << connection.rcvScale) - 1) | 0;
}

/** The FIN that was waited for, and the acknowledgments that follow from what came. */
function settle(tcp: TcpContext, connection: Connection, segment: Segment): boolean {
  let owed = connection.unacknowledged > 0;
  if (connection.finKnown && !connection.finReceived && connection.rcvNxt === connection.finSequence) {
    connection.finReceived = true;
    connection.rcvNxt = seqAdd(connection.rcvNxt, 1);
    owed = true;
    if (connection.state === STATE.ESTABLISHED) connection.state = STATE.CLOSE_WAIT;
    else connection.ackNow = true;
    if (connection.state === STATE.FIN_WAIT_1) connection.state = STATE.CLOSING;
    finish(tcp, connection);
    if (connection.state === STATE.FIN_WAIT_2) enterTimeWait(tcp, connection);
  }
  if (connection.ackNow) enqueue(tcp, connection);
  else if (owed) owe(tcp, connection, segment);
  return connection.entry >= 0;
}

/** Decides between now and a little later (RFC 9293, 3.8.6.3). */
function owe(tcp: TcpContext, connection: Connection, segment: Segment): void {
  if (segment.textLength > connection.mss || connection.unacknowledged >= 2 * connection.mss) {
    connection.ackNow = true;
    enqueue(tcp, connection);
  } else if (!connection.ackLater) {
    connection.ackLater = true;
    connection.ackAt = tcp.now + ACK_DELAY;
    schedule(tcp, connection);
  }
}

function takeInOrder(
  tcp: TcpContext,
  connection: Connection,
  segment: Segment,
  start: number,
  length: number,
): boolean {
  let taken = 0;
  if (connection.rcvTaken === connection.rcvNxt && connection.writable) {
    taken = tcp.outside.send(connection.handle, segment.buffer, start, length);
    if (taken < 0) {
      if (taken !== -ERRNO.EAGAIN && !hostRefuses(tcp, connection)) return false;
      taken = 0;
    }
    if (taken < length) connection.writable = false;
    connection.rcvTaken = seqAdd(connection.rcvTaken, taken);
  }
  if (taken < length) {
    const ring = ringFor(tcp, connection, seqAdd(connection.rcvNxt, length));
    ring.write(seqAdd(connection.rcvNxt, taken), segment.buffer, start + taken, length - taken);
  }
  connection.rcvNxt = seqAdd(connection.rcvNxt, length);
  connection.unacknowledged += length;
  growWindow(tcp, connection, length);
  const { beyond } = connection;
  if (beyond === undefined || beyond.count === 0) return true;
  // A gap is filled, or became smaller.
  connection.ackNow = true;
  if (seqLe(beyond.start(0), connection.rcvNxt)) {
    if (seqGt(beyond.end(0), connection.rcvNxt)) connection.rcvNxt = beyond.end(0);
    beyond.removeBefore(connection.rcvNxt);
    return drain(tcp, connection);
  }
  return true;
}

function keepBeyond(
  tcp: TcpContext,
  connection: Connection,
  segment: Segment,
  sequence: number,
  start: number,
  length: number,
): void {
  connection.beyond ??= new Ranges();
  const end = seqAdd(sequence, length);
  const added = connection.beyond.add(sequence, end);
  if (added > 0) ringFor(tcp, connection, end).write(sequence, segment.buffer, start, length);
  else if (added === 0) noteDuplicate(connection, sequence, end);
  noteRecent(connection, sequence);
  // Each tells the guest's fast retransmit something: none is saved.
  sendAck(tcp, connection);
}

/**
 * Gives the host's socket what the ring holds for it, then its end. False when the connection is gone for the guest.
 */
export function drain(tcp: TcpContext, connection: Connection): boolean {
  const ring = connection.rcvRing;
  const end = connection.finReceived ? connection.finSequence : connection.rcvNxt;
  while (ring !== undefined && connection.writable && seqLt(connection.rcvTaken, end)) {
    const length = Math.min(seqDiff(end, connection.rcvTaken), ring.contiguous(connection.rcvTaken));
    const at = connection.rcvTaken & ring.mask;
    const taken = tcp.outside.send(connection.handle, ring.bytes, at, length);
    if (taken < 0 && taken !== -ERRNO.EAGAIN && !hostRefuses(tcp, connection)) return false;
    if (taken < length) connection.writable = false;
    if (taken > 0) connection.rcvTaken = seqAdd(connection.rcvTaken, taken);
  }
  if (connection.rcvTaken === end) ringEmptied(tcp, connection);
  finish(tcp, connection);
  return connection.entry >= 0;
}

/**
 * The host's socket takes nothing any more. What it has received before that is still for the guest (an answer that was
 * sent ahead of a reset, say), and is read first. False when there can be nothing, and the connection is gone.
 */
function hostRefuses(tcp: TcpContext, connection: Connection): boolean {
  if (connection.hostEnded || connection.state < STATE.ESTABLISHED) {
    hostFailed(tcp, connection);
    return false;
  }
  connection.hostBroken = true;
  connection.readable = true;
  enqueue(tcp, connection);
  return true;
}

/** The host's socket takes bytes again: what waits, and news of the window when that is worth a segment. */
export function hostWritable(tcp: TcpContext, connection: Connection): void {
  if (!drain(tcp, connection)) return;
  if (connection.finReceived || connection.state < STATE.ESTABLISHED) return;
  const gain = seqDiff(possibleEdge(connection), connection.rcvEdge);
  const seen = seqDiff(connection.rcvEdge, connection.rcvNxt);
  const worth = Math.min(connection.rcvLimit >> 1, Math.max(2 * connection.mss, connection.rcvLimit >> 2));
  if (gain >= worth || (seen < connection.mss && gain >= Math.min(connection.mss, connection.rcvLimit >> 1)))
    sendAck(tcp, connection);
}

/** Passes the guest's end on once everything before it was taken, and lets go of a socket that has done both ways. */
export function finish(tcp: TcpContext, connection: Connection): void {
  if (connection.handle < 0) return;
  if (connection.finReceived && !connection.hostShut && connection.rcvTaken === connection.finSequence) {
    connection.hostShut = true;
    if (!connection.hostEnded) tcp.outside.shutdownWrite(connection.handle);
  }
  if (connection.hostShut && connection.hostEnded) {
    hostClosed(tcp, connection);
    if (connection.entry < 0) guestDone(tcp, connection);
  }
}

/** The receive ring, large enough for everything up to `end`. */
function ringFor(tcp: TcpContext, connection: Connection, end: number) {
  const needed = seqDiff(end, connection.rcvTaken);
  const ring = connection.rcvRing;
  if (ring !== undefined && ring.size >= needed) return ring;
  const larger = tcp.rings.take(ringSize(needed));
  if (ring !== undefined) {
    const { beyond, rcvNxt } = connection;
    const last = beyond !== undefined && beyond.count > 0 ? beyond.end(beyond.count - 1) : rcvNxt;
    // What was just added to `beyond` is not written yet; the old ring holds no more than its size.
    const held = Math.min(ring.size, seqDiff(last, connection.rcvTaken));
    ring.moveTo(larger, connection.rcvTaken, seqAdd(connection.rcvTaken, held));
    tcp.rings.give(ring);
  }
  connection.rcvRing = larger;
  return larger;
}

/** The window doubles when a whole one was used and the host's socket keeps up. */
function growWindow(tcp: TcpContext, connection: Connection, length: number): void {
  connection.rcvSinceGrowth += length;
  if (connection.rcvSinceGrowth < connection.rcvLimit || connection.rcvTaken !== connection.rcvNxt) return;
  connection.rcvSinceGrowth = 0;
  const limit = connection.rcvLimit * 2;
  const most = Math.min(tcp.config.limits.flowBuffer, 0xffff << connection.rcvScale);
  if (limit > most || tcp.budget.scarce || !tcp.budget.reserve(connection.rcvLimit)) return;
  connection.promised += connection.rcvLimit;
  connection.rcvLimit = limit;
}

function noteDuplicate(connection: Connection, start: number, end: number): void {
  if (seqGe(start, end)) return;
  connection.duplicateStart = start;
  connection.duplicateEnd = end;
}

/** Puts `sequence` in front of the stretches that SACK blocks are made of. */
function noteRecent(connection: Connection, sequence: number): void {
  connection.recent ??= new Int32Array(4);
  const { recent } = connection;
  for (let index = recent.length - 1; index > 0; index--) recent[index] = recent[index - 1]!;
  recent[0] = sequence;
  connection.recents = Math.min(recent.length, connection.recents + 1);
}
