/** What a segment says about our data: acknowledgment, SACK, window, timestamps (RFC 9293, 3.10.7.4, fifth). */
import { TCP_FLAG } from "../../wire/tcp.ts";
import { type Connection, RECOVERY, STATE } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { sendChallenge, timestampOf } from "./emit.ts";
import { enqueue, enterTimeWait, guestDone, ringEmptied, schedule } from "./lifecycle.ts";
import { duplicateArrived, recoveryAdvanced, takeSack } from "./recovery.ts";
import type { Segment } from "./segment.ts";
import { seqDiff, seqGe, seqGt, seqLt } from "./sequence.ts";

/**
 * Takes the acknowledgment of a segment in a synchronized state. False when the segment is to be dropped, or the
 * connection is gone.
 */
export function takeAcknowledgment(tcp: TcpContext, connection: Connection, segment: Segment): boolean {
  const ack = segment.acknowledgment;
  // RFC 5961, 5.2: what acknowledges the future, or a past that no window reaches back to, is not the guest's.
  if (
    seqGt(ack, connection.sndMax) ||
    seqDiff(ack, connection.sndUna) < -Math.max(connection.sndWndMost, 0xffff)
  ) {
    sendChallenge(tcp, connection);
    return false;
  }
  const news = connection.sackPermitted && segment.options.sackBlocks > 0 && takeSack(connection, segment);
  const window = segment.window << connection.sndScale;
  const acked = seqDiff(ack, connection.sndUna);
  if (acked > 0) advanced(tcp, connection, segment, acked);
  // With SACK, what tells of more that arrived behind a gap is a duplicate (RFC 6675, 2), else what tells nothing at all.
  if (news || (acked === 0 && !connection.sackPermitted && isDuplicate(connection, segment, window))) {
    duplicateArrived(tcp, connection);
    enqueue(tcp, connection);
  }
  if (acked >= 0) takeWindow(tcp, connection, segment, window, acked > 0);
  if (acked > 0 && connection.finSent && ack === ((connection.sndEnd + 1) | 0))
    return finAcknowledged(tcp, connection);
  return true;
}

/** RFC 5681, 2. */
function isDuplicate(connection: Connection, segment: Segment, window: number): boolean {
  return (
    connection.flight > 0 &&
    segment.textLength === 0 &&
    !(segment.flags & TCP_FLAG.FIN) &&
    window === connection.sndWnd
  );
}

/**
 * Takes the window of a segment that is newer than the one that the last came with. What acknowledges more is newer too,
 * though it repeats an old text (which the RFC's own rule misses): the edge would else move with the acknowledgment.
 */
function takeWindow(
  tcp: TcpContext,
  connection: Connection,
  segment: Segment,
  window: number,
  advanced: boolean,
): void {
  const { sndWl1, sndWl2 } = connection;
  const newer =
    advanced ||
    seqLt(sndWl1, segment.sequence) ||
    (sndWl1 === segment.sequence && seqGe(segment.acknowledgment, sndWl2));
  if (!newer) return;
  connection.sndWl1 = segment.sequence;
  connection.sndWl2 = segment.acknowledgment;
  if (window === 0 || connection.sndWnd === 0) {
    // A guest that says that it has no room is alive.
    connection.retries = 0;
    if (window > 0 && connection.flight === 0) {
      connection.rto.progress();
      connection.retransmitAt = Number.POSITIVE_INFINITY;
    }
  }
  if (window > connection.sndWnd) enqueue(tcp, connection);
  connection.sndWnd = window;
  if (window > connection.sndWndMost) connection.sndWndMost = window;
}

function advanced(tcp: TcpContext, connection: Connection, segment: Segment, acked: number): void {
  const ack = segment.acknowledgment;
  const limited = connection.flight + 2 * 65_536 > connection.congestion.window;
  measure(tcp, connection, segment);
  connection.sndUna = ack;
  if (seqGt(ack, connection.sndNxt)) connection.sndNxt = ack;
  connection.retries = 0;
  const { sacked } = connection;
  if (sacked !== undefined && sacked.count > 0) sacked.removeBefore(ack);
  if (connection.recovery !== RECOVERY.NONE) recoveryAdvanced(connection, acked);
  else {
    connection.duplicates = 0;
    connection.congestion.acknowledged(acked, connection.mss, limited);
  }
  if (seqGe(ack, connection.sndEnd)) ringEmptied(tcp, connection);
  if (connection.flight > 0) schedule(tcp, connection, tcp.now + connection.rto.value);
  else connection.retransmitAt = Number.POSITIVE_INFINITY;
  enqueue(tcp, connection);
}

/** The round trip, by the segment that is timed, else by the timestamp that comes back (RFC 7323, 4). */
function measure(tcp: TcpContext, connection: Connection, segment: Segment): void {
  if (connection.timedAt >= 0) {
    if (seqLt(segment.acknowledgment, connection.timedEnd)) return;
    connection.rto.measured(tcp.now - connection.timedAt);
    connection.timedAt = -1;
  } else if (segment.options.hasTimestamps && segment.options.timestampEcho !== 0) {
    const elapsed = seqDiff(timestampOf(tcp, connection), segment.options.timestampEcho);
    if (elapsed >= 0 && elapsed < 120_000) connection.rto.measured(elapsed);
    else connection.rto.progress();
  } else connection.rto.progress();
}

/** Our FIN has arrived. False when the connection is gone. */
function finAcknowledged(tcp: TcpContext, connection: Connection): boolean {
  if (connection.state === STATE.FIN_WAIT_1) connection.state = STATE.FIN_WAIT_2;
  else if (connection.state === STATE.CLOSING) enterTimeWait(tcp, connection);
  else if (connection.state === STATE.LAST_ACK) {
    guestDone(tcp, connection);
    return false;
  }
  return true;
}
