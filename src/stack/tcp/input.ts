/** A segment arrives (RFC 9293, 3.10.7, with the stricter checks of RFC 5961 and RFC 1337). */
import { TCP_FLAG } from "../../wire/tcp.ts";
import type { Packet } from "../packet.ts";
import { takeAcknowledgment } from "./acknowledge.ts";
import { type Connection, STATE } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { replyWithReset, sendAck, sendChallenge, sendSyn } from "./emit.ts";
import { enqueue, enterTimeWait, guestAborted, guestDone, KEEPALIVE_IDLE, schedule } from "./lifecycle.ts";
import { open, publishedRefused, takeSynOptions } from "./open.ts";
import type { Segment } from "./segment.ts";
import { seqDiff, seqGt, seqLe, seqLt } from "./sequence.ts";
import { acceptEdge, takeText } from "./text.ts";

/** A connection that has heard no timestamp for so long takes any (RFC 7323, 5.5): 24 days. */
const PAWS_EXPIRES = 24 * 24 * 3600 * 1000;

/** A segment for which there is no connection. */
export function withoutConnection(tcp: TcpContext, packet: Packet, segment: Segment): void {
  const { flags } = segment;
  if (flags & TCP_FLAG.RST) return;
  if ((flags & (TCP_FLAG.SYN | TCP_FLAG.ACK | TCP_FLAG.FIN)) === TCP_FLAG.SYN) open(tcp, packet, segment);
  else replyWithReset(tcp, packet, segment);
}

export function segmentArrived(
  tcp: TcpContext,
  connection: Connection,
  packet: Packet,
  segment: Segment,
): void {
  const state: number = connection.state;
  if (state >= STATE.SYN_RECEIVED && state !== STATE.TIME_WAIT)
    synchronized(tcp, connection, packet, segment);
  else if (state === STATE.CONNECTING) whileConnecting(tcp, connection, packet, segment);
  else if (state === STATE.SYN_SENT) inSynSent(tcp, connection, packet, segment);
  else if (state === STATE.TIME_WAIT) inTimeWait(tcp, connection, packet, segment);
}

/** The guest repeats itself while the host's socket connects; what else it says is about another connection. */
function whileConnecting(tcp: TcpContext, connection: Connection, packet: Packet, segment: Segment): void {
  const { flags } = segment;
  if (flags & TCP_FLAG.RST) {
    // The number that follows its SYN is the guest's only proof.
    if (segment.sequence === connection.irs || segment.sequence === connection.rcvNxt)
      guestAborted(tcp, connection);
  } else if (flags & TCP_FLAG.ACK) replyWithReset(tcp, packet, segment);
  else if (flags & TCP_FLAG.SYN && segment.sequence !== connection.irs) {
    guestAborted(tcp, connection);
    open(tcp, packet, segment);
  }
}

/** 3.10.7.3. */
function inSynSent(tcp: TcpContext, connection: Connection, packet: Packet, segment: Segment): void {
  const { flags } = segment;
  const acknowledged = (flags & TCP_FLAG.ACK) !== 0;
  if (acknowledged && segment.acknowledgment !== connection.sndNxt) {
    replyWithReset(tcp, packet, segment);
    return;
  }
  if (flags & TCP_FLAG.RST) {
    if (acknowledged) publishedRefused(tcp, connection);
    return;
  }
  if (!(flags & TCP_FLAG.SYN)) return;
  takeSynOptions(tcp, connection, segment);
  connection.lastHeard = tcp.now;
  if (!acknowledged) {
    connection.state = STATE.SYN_RECEIVED;
    sendSyn(tcp, connection);
    schedule(tcp, connection, tcp.now + connection.rto.value);
    return;
  }
  if (connection.timedAt >= 0) connection.rto.measured(tcp.now - connection.timedAt);
  connection.timedAt = -1;
  connection.sndUna = segment.acknowledgment;
  connection.sndWl2 = segment.acknowledgment;
  established(tcp, connection);
  connection.ackNow = true;
}

/** 3.10.7.4. */
function synchronized(tcp: TcpContext, connection: Connection, packet: Packet, segment: Segment): void {
  const { flags, options } = segment;
  const reset = (flags & TCP_FLAG.RST) !== 0;
  if (
    connection.state === STATE.SYN_RECEIVED &&
    flags & TCP_FLAG.SYN &&
    segment.sequence === connection.irs
  ) {
    // Our answer to the SYN was lost, or both sides were first at once.
    if (!(flags & TCP_FLAG.ACK)) {
      sendSyn(tcp, connection);
      return;
    }
    if (segment.acknowledgment === connection.sndNxt) {
      acknowledgedSyn(tcp, connection, segment);
      connection.ackNow = true;
      return;
    }
  }
  if (connection.timestamps && !reset) {
    // RFC 7323, 3.2: a segment without the option is not of this connection.
    if (!options.hasTimestamps) return;
    if (seqLt(options.timestamp, connection.tsRecent) && tcp.now - connection.tsRecentAt < PAWS_EXPIRES) {
      sendChallenge(tcp, connection);
      return;
    }
  }
  if (!acceptable(connection, segment)) {
    if (reset) return;
    if (segment.textLength > 0 || flags & TCP_FLAG.FIN) {
      // The guest has not heard our acknowledgment; what it says of our data may still be news.
      noteRepeated(connection, segment);
      sendAck(tcp, connection);
    } else sendChallenge(tcp, connection);
    return;
  }
  if (reset) {
    // RFC 5961, 3.2: only the exact number resets.
    if (segment.sequence === connection.rcvNxt) guestAborted(tcp, connection);
    else sendChallenge(tcp, connection);
    return;
  }
  if (flags & TCP_FLAG.SYN) {
    sendChallenge(tcp, connection);
    return;
  }
  if (!(flags & TCP_FLAG.ACK)) return;
  connection.lastHeard = tcp.now;
  connection.probes = 0;
  if (options.hasTimestamps && connection.timestamps && seqLe(segment.sequence, connection.lastAckSent)) {
    connection.tsRecent = options.timestamp;
    connection.tsRecentAt = tcp.now;
  }
  if (connection.state === STATE.SYN_RECEIVED) {
    if (segment.acknowledgment !== connection.sndNxt) {
      replyWithReset(tcp, packet, segment);
      return;
    }
    acknowledgedSyn(tcp, connection, segment);
  } else if (!takeAcknowledgment(tcp, connection, segment)) return;
  const fin = (flags & TCP_FLAG.FIN) !== 0;
  if (segment.textLength === 0 && !fin) return;
  const state: number = connection.state;
  if (state === STATE.ESTABLISHED || state === STATE.FIN_WAIT_1 || state === STATE.FIN_WAIT_2)
    takeText(tcp, connection, segment, fin);
  else {
    connection.ackNow = true;
    enqueue(tcp, connection);
  }
}

/** Something of the segment lies in the window, or it is empty and lies at its edge at the worst. */
function acceptable(connection: Connection, segment: Segment): boolean {
  const ahead = seqDiff(segment.sequence, connection.rcvNxt);
  const window = Math.max(0, seqDiff(acceptEdge(connection), connection.rcvNxt));
  const span = segment.span;
  // A guest that has filled the window acknowledges from beyond it.
  if (span === 0) return ahead >= 0 && ahead <= window;
  // A probe of a closed window brings a good acknowledgment (3.10.7.4).
  if (window === 0) return ahead === 0;
  return ahead < window && ahead + span > 0;
}

/** A segment of old bytes only: which, is told by DSACK. */
function noteRepeated(connection: Connection, segment: Segment): void {
  const end = (segment.sequence + segment.textLength) | 0;
  if (segment.textLength === 0 || seqGt(end, connection.rcvNxt)) return;
  connection.duplicateStart = segment.sequence;
  connection.duplicateEnd = end;
}

function acknowledgedSyn(tcp: TcpContext, connection: Connection, segment: Segment): void {
  if (connection.timedAt >= 0 && connection.retries === 0)
    connection.rto.measured(tcp.now - connection.timedAt);
  connection.timedAt = -1;
  connection.retries = 0;
  connection.sndUna = segment.acknowledgment;
  const scale = segment.flags & TCP_FLAG.SYN ? 0 : connection.sndScale;
  connection.sndWnd = segment.window << scale;
  connection.sndWndMost = connection.sndWnd;
  connection.sndWl1 = segment.sequence;
  connection.sndWl2 = segment.acknowledgment;
  established(tcp, connection);
}

function established(tcp: TcpContext, connection: Connection): void {
  connection.state = STATE.ESTABLISHED;
  connection.retries = 0;
  connection.idleAt = tcp.now + KEEPALIVE_IDLE;
  schedule(tcp, connection, Number.POSITIVE_INFINITY);
  enqueue(tcp, connection);
}

/** TIME-WAIT: a new SYN opens the connection anew, the guest's FIN is acknowledged once more, a RST is left alone. */
function inTimeWait(tcp: TcpContext, connection: Connection, packet: Packet, segment: Segment): void {
  const { flags, options } = segment;
  // RFC 1337: an old RST must not end the wait.
  if (flags & TCP_FLAG.RST) return;
  if (flags & TCP_FLAG.SYN && !(flags & TCP_FLAG.ACK)) {
    // RFC 6191: a later timestamp, or without timestamps a later number, shows that it is new.
    const later =
      (connection.timestamps && options.hasTimestamps && seqGt(options.timestamp, connection.tsRecent)) ||
      seqGt(segment.sequence, connection.rcvNxt);
    if (later) {
      guestDone(tcp, connection);
      open(tcp, packet, segment);
      return;
    }
  }
  sendChallenge(tcp, connection);
  if (flags & TCP_FLAG.FIN) enterTimeWait(tcp, connection);
}
