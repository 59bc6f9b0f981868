/** How connections end, on either side, and their timers. */
import { type Connection, STATE } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { sendReset } from "./emit.ts";
import { SMALLEST_RING } from "./ring.ts";
import { seqGe } from "./sequence.ts";

/**
 * Twice the longest that a segment lives. On a wire that is a queue in local memory two seconds are ample, and a busy
 * guest's many short connections don't pile up.
 */
const TIME_WAIT = 4000;
/** First keepalive probe after this much silence, in milliseconds. */
export const KEEPALIVE_IDLE = 600_000;
/** How long an empty ring stays with its flow, in milliseconds. */
const RINGS_KEPT = 250;
/** Most connections in TIME-WAIT; beyond, the oldest end early. */
const MOST_WAITING = 4096;

/** Sets the connection's timer for the earliest of its times. `retransmitAt`, where given, is set first. */
export function schedule(
  tcp: TcpContext,
  connection: Connection,
  retransmitAt = connection.retransmitAt,
): void {
  connection.retransmitAt = retransmitAt;
  const when = Math.min(retransmitAt, connection.ackAt, connection.idleAt, connection.ringsAt);
  if (when !== Number.POSITIVE_INFINITY) tcp.timers.set(connection.timer, when);
}

/** Puts the connection in the list of those that the next `flush` sees to. */
export function enqueue(tcp: TcpContext, connection: Connection): void {
  if (connection.queued) return;
  connection.queued = true;
  tcp.queue.push(connection);
}

/** Both sides are to see a reset, the guest only if it knows of the connection. */
export function abort(tcp: TcpContext, connection: Connection): void {
  if (connection.entry >= 0) sendReset(tcp, connection);
  guestAborted(tcp, connection);
}

/** The guest has reset the connection, or is gone: the host's peer sees a reset. */
export function guestAborted(tcp: TcpContext, connection: Connection): void {
  if (connection.handle >= 0) {
    dropHandle(tcp, connection);
    tcp.outside.reset(connection.handle);
    connection.handle = -1;
  }
  remove(tcp, connection);
}

/** The host's socket has failed: the guest sees a reset. */
export function hostFailed(tcp: TcpContext, connection: Connection): void {
  if (connection.entry >= 0 && connection.state !== STATE.TIME_WAIT) sendReset(tcp, connection);
  hostClosed(tcp, connection);
  remove(tcp, connection);
}

/** Lets go of the host's socket. */
export function hostClosed(tcp: TcpContext, connection: Connection): void {
  if (connection.handle < 0) return;
  dropHandle(tcp, connection);
  tcp.outside.close(connection.handle);
  connection.handle = -1;
  if (connection.state === STATE.TIME_WAIT) releasePromise(tcp, connection);
}

/** Both FINs are acknowledged, and the guest owes nothing: what the host has not taken yet goes on without it. */
export function guestDone(tcp: TcpContext, connection: Connection): void {
  if (connection.handle < 0) {
    remove(tcp, connection);
    return;
  }
  unlist(tcp, connection);
  connection.state = STATE.CLOSED;
  releaseSend(tcp, connection);
  connection.retransmitAt = Number.POSITIVE_INFINITY;
  connection.idleAt = Number.POSITIVE_INFINITY;
  connection.ackAt = Number.POSITIVE_INFINITY;
  connection.ringsAt = Number.POSITIVE_INFINITY;
}

export function enterTimeWait(tcp: TcpContext, connection: Connection): void {
  connection.state = STATE.TIME_WAIT;
  releaseSend(tcp, connection);
  connection.idleAt = tcp.now + TIME_WAIT;
  schedule(tcp, connection, Number.POSITIVE_INFINITY);
  if (connection.handle < 0) releasePromise(tcp, connection);
  tcp.waiting.delete(connection);
  tcp.waiting.add(connection);
  if (tcp.waiting.size > MOST_WAITING) endOldestWait(tcp);
}

/** Ends the TIME-WAIT that began first; false when there is none. */
export function endOldestWait(tcp: TcpContext): boolean {
  const { value: oldest, done } = tcp.waiting.values().next();
  if (done) return false;
  guestDone(tcp, oldest);
  return true;
}

/**
 * A ring has become empty: a small one goes back at once, a large one if it is still empty a quarter of a second later, so
 * that a busy flow keeps it.
 */
export function ringEmptied(tcp: TcpContext, connection: Connection): void {
  const { sndRing, rcvRing } = connection;
  if (sndRing !== undefined && sndRing.size === SMALLEST_RING && isSendEmpty(connection))
    releaseSend(tcp, connection);
  if (rcvRing !== undefined && rcvRing.size === SMALLEST_RING && isReceiveEmpty(connection))
    releaseReceive(tcp, connection);
  const large = connection.sndRing !== undefined || connection.rcvRing !== undefined;
  if (!large || connection.ringsAt !== Number.POSITIVE_INFINITY) return;
  connection.ringsAt = tcp.now + RINGS_KEPT;
  schedule(tcp, connection);
}

/** Gives back the rings that are empty. */
export function releaseEmptyRings(tcp: TcpContext, connection: Connection): void {
  if (isSendEmpty(connection)) releaseSend(tcp, connection);
  if (isReceiveEmpty(connection)) releaseReceive(tcp, connection);
}

function isSendEmpty(connection: Connection): boolean {
  return seqGe(connection.sndUna, connection.sndEnd);
}

function isReceiveEmpty(connection: Connection): boolean {
  const { beyond, finReceived, finSequence, rcvNxt, rcvTaken } = connection;
  return rcvTaken === (finReceived ? finSequence : rcvNxt) && (beyond === undefined || beyond.count === 0);
}

/** Gives back the send ring and what it took of the budget beyond the smallest. */
export function releaseSend(tcp: TcpContext, connection: Connection): void {
  const ring = connection.sndRing;
  if (ring === undefined) return;
  connection.sndRing = undefined;
  tcp.budget.release(ring.size - SMALLEST_RING);
  tcp.rings.give(ring);
}

/** Gives back the receive ring; the promise of the window stays. */
function releaseReceive(tcp: TcpContext, connection: Connection): void {
  const ring = connection.rcvRing;
  if (ring === undefined) return;
  connection.rcvRing = undefined;
  tcp.rings.give(ring);
}

/** Forgets the connection. The host's socket is closed already. */
export function remove(tcp: TcpContext, connection: Connection): void {
  connection.state = STATE.CLOSED;
  tcp.timers.cancel(connection.timer);
  unlist(tcp, connection);
  releaseSend(tcp, connection);
  releaseReceive(tcp, connection);
  releasePromise(tcp, connection);
}

function releasePromise(tcp: TcpContext, connection: Connection): void {
  tcp.budget.release(connection.promised);
  connection.promised = 0;
}

/** The guest may speak of it no more. */
function unlist(tcp: TcpContext, connection: Connection): void {
  if (connection.entry < 0) return;
  tcp.waiting.delete(connection);
  tcp.flows.remove(connection.entry);
  connection.entry = -1;
  if (tcp.flows.size === 0) tcp.rings.clear();
}

/** The host's socket is no longer this connection's, and stays as it is. */
export function releaseHandle(tcp: TcpContext, connection: Connection): number {
  const { handle } = connection;
  dropHandle(tcp, connection);
  connection.handle = -1;
  return handle;
}

function dropHandle(tcp: TcpContext, connection: Connection): void {
  tcp.byHandle[connection.handle] = undefined;
}
