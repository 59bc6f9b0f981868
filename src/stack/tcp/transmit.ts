/**
 * From the host's socket to the guest: bytes are received straight into the send ring and leave as slices of it.
 *
 * Nothing is read that can't be sent at once: what the guest has no room for stays in the kernel, which then slows the
 * peer down. So between sends the ring holds only what is on its way.
 */
import { TCP_FLAG } from "../../wire/tcp.ts";
import { ERRNO } from "../errno.ts";
import { type Connection, RECOVERY, STATE } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { frameSize, noteSent, optionsLength, SUPER_FRAME, sendAck, sendSegment } from "./emit.ts";
import { hostFailed, schedule } from "./lifecycle.ts";
import { pipe, sendAgain } from "./recovery.ts";
import { SMALLEST_RING } from "./ring.ts";
import { seqAdd, seqDiff, seqMax } from "./sequence.ts";
import { finish } from "./text.ts";

/** A send ring grows no further than this, however slow the guest: more is only queue. */
const LARGEST_RING = 4 * 1024 * 1024;
/** Super-frames of more than this many bytes are read from the host's socket several at a time. */
const SEVERAL_FROM = 16 * 1024;
const FRAMES_READ = 4;

/** Sends what may be sent, lost data first; then arms the timer. */
export function transmit(tcp: TcpContext, connection: Connection): void {
  const state: number = connection.state;
  if (state < STATE.ESTABLISHED || state === STATE.TIME_WAIT) return;
  if (connection.recovery !== RECOVERY.NONE) sendAgain(tcp, connection);
  let blocked = false;
  while (!connection.finSent) {
    const unsent = seqDiff(connection.sndEnd, connection.sndNxt);
    if (unsent <= 0 && connection.hostEnded) {
      sendFin(tcp, connection);
      break;
    }
    if (unsent <= 0 && connection.hostBroken && !connection.readable) {
      hostFailed(tcp, connection);
      return;
    }
    if (unsent <= 0 && !connection.readable) break;
    const room = usable(connection);
    if (room < worthSending(connection)) {
      blocked = true;
      // With the peer's end already told there may be nothing left but FIN, which needs no window.
      if (unsent > 0 || !connection.peerClosed) break;
      if (receive(tcp, connection, connection.mss) < 0) return;
      if (connection.sndEnd === connection.sndNxt && connection.hostEnded) continue;
      break;
    }
    const largest = frameSize(tcp, connection);
    let length = unsent;
    if (unsent <= 0) {
      length = receive(
        tcp,
        connection,
        Math.min(room, largest > SEVERAL_FROM ? largest * FRAMES_READ : largest),
      );
      if (length < 0) return;
      if (length === 0) {
        if (connection.hostEnded || (connection.hostBroken && !connection.readable)) continue;
        break;
      }
    }
    length = Math.min(length, room, largest, connection.sndRing!.contiguous(connection.sndNxt));
    sendData(tcp, connection, length);
  }
  if (connection.flight > 0) {
    if (connection.retransmitAt === Number.POSITIVE_INFINITY)
      schedule(tcp, connection, tcp.now + connection.rto.value);
  } else if (blocked) {
    if (connection.retransmitAt === Number.POSITIVE_INFINITY)
      schedule(tcp, connection, tcp.now + connection.rto.value);
  } else connection.retransmitAt = Number.POSITIVE_INFINITY;
}

/** The persist timer went off: a segment that the window has no room for makes the guest say how large it is (3.8.6.1). */
export function probeWindow(tcp: TcpContext, connection: Connection): void {
  if (connection.finSent) return;
  const empty = connection.sndEnd === connection.sndNxt;
  if (empty && connection.readable && receive(tcp, connection, connection.mss) < 0) return;
  const unsent = seqDiff(connection.sndEnd, connection.sndNxt);
  if (unsent === 0) {
    transmit(tcp, connection);
    return;
  }
  const room = Math.min(unsent, usable(connection), connection.mss - optionsLength(connection));
  if (room > 0) sendData(tcp, connection, Math.min(room, connection.sndRing!.contiguous(connection.sndNxt)));
  else {
    sendSegment(tcp, connection, connection.sndNxt, TCP_FLAG.PSH, 1);
    connection.sndMax = seqMax(connection.sndMax, seqAdd(connection.sndNxt, 1));
  }
  connection.rto.backOff();
  schedule(tcp, connection, tcp.now + connection.rto.value);
}

/** An acknowledgment is owed and no data took it along. */
export function acknowledgeIfOwed(tcp: TcpContext, connection: Connection): void {
  if (connection.ackNow) sendAck(tcp, connection);
}

/** Bytes that both windows leave. */
function usable(connection: Connection): number {
  const window = connection.sndWnd - connection.flight;
  return Math.min(window, connection.congestion.window - pipe(connection));
}

/**
 * The least that is sent while acknowledgments will come anyway: silly windows are left alone (3.8.6.2.1), and frames
 * stay large.
 */
function worthSending(connection: Connection): number {
  const silly = Math.min(connection.mss, connection.sndWndMost >> 1);
  if (connection.flight === 0) return Math.max(1, silly);
  return Math.max(1, silly, Math.min(SUPER_FRAME, connection.sndWndMost, connection.congestion.window) >> 2);
}

function sendData(tcp: TcpContext, connection: Connection, length: number): void {
  const sequence = connection.sndNxt;
  const end = seqAdd(sequence, length);
  const last = end === connection.sndEnd && !connection.readable;
  const fin = last && connection.hostEnded;
  if (connection.timedAt < 0) {
    connection.timedAt = tcp.now;
    connection.timedEnd = end;
  }
  sendSegment(tcp, connection, sequence, (last ? TCP_FLAG.PSH : 0) | (fin ? TCP_FLAG.FIN : 0), length);
  noteSent(connection, fin ? seqAdd(end, 1) : end);
  if (fin) finSent(tcp, connection);
}

function sendFin(tcp: TcpContext, connection: Connection): void {
  sendSegment(tcp, connection, connection.sndEnd, TCP_FLAG.FIN, 0);
  noteSent(connection, seqAdd(connection.sndEnd, 1));
  finSent(tcp, connection);
}

function finSent(tcp: TcpContext, connection: Connection): void {
  connection.finSent = true;
  connection.state = connection.state === STATE.CLOSE_WAIT ? STATE.LAST_ACK : STATE.FIN_WAIT_1;
  finish(tcp, connection);
}

/**
 * Receives up to `wanted` bytes behind `sndEnd`, or fewer if the ring has less room in one piece. Gives how many came;
 * -1: the host's socket failed, and the connection is gone.
 */
function receive(tcp: TcpContext, connection: Connection, wanted: number): number {
  const ring = roomFor(tcp, connection, wanted);
  const held = seqDiff(connection.sndEnd, connection.sndUna);
  const room = Math.min(wanted, ring.size - held, ring.contiguous(connection.sndEnd));
  if (room <= 0) return 0;
  let got = 0;
  do {
    const at = (connection.sndEnd + got) & ring.mask;
    const count = tcp.outside.receive(connection.handle, ring.bytes, at, room - got);
    if (count > 0) {
      got += count;
      // A short read has emptied the socket; the next byte brings the next edge. With the peer's end already told, one
      // more read tells it in time to send FIN along.
      if (got < room && !connection.readsToTheEnd) connection.readable = false;
    } else if (count === 0) {
      // After a failure the end is only its echo.
      connection.hostEnded = !connection.hostBroken;
      connection.readable = false;
    } else if (count === -ERRNO.EAGAIN) connection.readable = false;
    else if (got > 0) {
      connection.hostBroken = true;
      connection.readable = false;
    } else {
      hostFailed(tcp, connection);
      return -1;
    }
  } while (connection.readable && got < room);
  connection.sndEnd = seqAdd(connection.sndEnd, got);
  return got;
}

/** The send ring, grown if `wanted` bytes find no room in it and there is memory. */
function roomFor(tcp: TcpContext, connection: Connection, wanted: number) {
  const ring = connection.sndRing;
  if (ring === undefined) {
    // As large as it was before the guest had everything.
    if (connection.sndRingSize > SMALLEST_RING && !tcp.budget.reserve(connection.sndRingSize - SMALLEST_RING))
      connection.sndRingSize = SMALLEST_RING;
    const fresh = tcp.rings.take(connection.sndRingSize);
    connection.sndRing = fresh;
    return fresh;
  }
  const held = seqDiff(connection.sndEnd, connection.sndUna);
  if (ring.size - held >= wanted) return ring;
  const size = Math.min(ring.size * 4, largestRing(tcp));
  if (size <= ring.size || tcp.budget.scarce || !tcp.budget.reserve(size - ring.size)) return ring;
  const larger = tcp.rings.take(size);
  ring.moveTo(larger, connection.sndUna, connection.sndEnd);
  tcp.rings.give(ring);
  connection.sndRingSize = size;
  connection.sndRing = larger;
  return larger;
}

/** The largest power of two within the limits. */
function largestRing(tcp: TcpContext): number {
  let size = SMALLEST_RING;
  while (size * 2 <= Math.min(LARGEST_RING, tcp.config.limits.flowBuffer)) size *= 2;
  return size;
}
