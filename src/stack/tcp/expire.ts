/** What a connection does when its timer goes off. */
import { type Connection, STATE } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { sendAck, sendSegment, sendSyn } from "./emit.ts";
import { abort, guestAborted, guestDone, KEEPALIVE_IDLE, releaseEmptyRings, schedule } from "./lifecycle.ts";
import { timedOut } from "./recovery.ts";
import { probeWindow, transmit } from "./transmit.ts";

/** Retransmissions without an answer before the guest counts as gone: a good six minutes (R2 of RFC 9293, 3.8.3). */
const MOST_RETRIES = 12;
const MOST_SYN_RETRIES = 5;
const KEEPALIVE_INTERVAL = 30_000;
const KEEPALIVE_PROBES = 6;

export function expired(tcp: TcpContext, connection: Connection, now: number): void {
  if (now >= connection.ackAt) {
    connection.ackAt = Number.POSITIVE_INFINITY;
    if (connection.ackLater) sendAck(tcp, connection);
  }
  if (now >= connection.retransmitAt) {
    connection.retransmitAt = Number.POSITIVE_INFINITY;
    retransmit(tcp, connection);
  }
  if (now >= connection.ringsAt) {
    connection.ringsAt = Number.POSITIVE_INFINITY;
    releaseEmptyRings(tcp, connection);
  }
  if (now >= connection.idleAt) {
    connection.idleAt = Number.POSITIVE_INFINITY;
    idle(tcp, connection);
  }
  if (connection.entry >= 0) schedule(tcp, connection);
}

function retransmit(tcp: TcpContext, connection: Connection): void {
  const state: number = connection.state;
  if (state === STATE.SYN_SENT || state === STATE.SYN_RECEIVED) {
    if (state === STATE.SYN_RECEIVED && connection.retries >= MOST_SYN_RETRIES) {
      abort(tcp, connection);
      return;
    }
    connection.retries++;
    connection.timedAt = -1;
    connection.rto.backOff();
    tcp.counters.retransmits++;
    sendSyn(tcp, connection);
    connection.retransmitAt = tcp.now + connection.rto.value;
    return;
  }
  if (state < STATE.ESTABLISHED || state === STATE.TIME_WAIT) return;
  if (connection.retries >= MOST_RETRIES) {
    abort(tcp, connection);
    return;
  }
  if (connection.flight > 0) {
    connection.retries++;
    connection.rto.backOff();
    timedOut(tcp, connection);
    transmit(tcp, connection);
  } else if (connection.readable || connection.sndEnd !== connection.sndNxt) {
    connection.retries++;
    probeWindow(tcp, connection);
  }
}

function idle(tcp: TcpContext, connection: Connection): void {
  const state: number = connection.state;
  if (state === STATE.TIME_WAIT) guestDone(tcp, connection);
  else if (state === STATE.SYN_SENT) guestAborted(tcp, connection);
  else if (state >= STATE.ESTABLISHED) {
    if (tcp.now - connection.lastHeard < KEEPALIVE_IDLE) {
      connection.idleAt = connection.lastHeard + KEEPALIVE_IDLE;
      return;
    }
    if (connection.probes >= KEEPALIVE_PROBES) {
      abort(tcp, connection);
      return;
    }
    connection.probes++;
    // A number that is acknowledged already makes the guest say where it stands (RFC 9293, 3.8.4).
    sendSegment(tcp, connection, (connection.sndNxt - 1) | 0, 0, 0);
    connection.idleAt = tcp.now + KEEPALIVE_INTERVAL;
  }
}
