/**
 * Loss on the way to the guest: what SACK says is missing (RFC 6675), three duplicate acknowledgments without SACK
 * (RFC 6582), and the timer (RFC 6298). All three send again what lies before `lostEdge` and is not sacked, as far as the
 * congestion window lets them; they differ in where that edge is.
 */
import { TCP_FLAG } from "../../wire/tcp.ts";
import { type Connection, RECOVERY } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { frameSize, optionsLength, sendSegment } from "./emit.ts";
import { Ranges } from "./ranges.ts";
import type { Segment } from "./segment.ts";
import { seqAdd, seqDiff, seqGe, seqGt, seqLe, seqLt, seqMax, seqMin } from "./sequence.ts";

/** Stretches, or segments' worth of bytes, that arrived after a gap before the gap counts as lost (DupThresh). */
const DUPLICATE_THRESHOLD = 3;

/** Takes the segment's SACK blocks to the scoreboard. True if one of them told something new. */
export function takeSack(connection: Connection, segment: Segment): boolean {
  const { options } = segment;
  let news = false;
  for (let index = 0; index < options.sackBlocks; index++) {
    const start = options.sack[index * 2]!;
    const end = options.sack[index * 2 + 1]!;
    // A block below what is acknowledged is a DSACK; one of bytes never sent is a lie.
    if (seqLe(start, connection.sndUna) || seqLe(start, segment.acknowledgment)) continue;
    if (seqGe(start, end) || seqGt(end, connection.sndNxt)) continue;
    connection.sacked ??= new Ranges();
    if (connection.sacked.add(start, end) > 0) news = true;
  }
  return news;
}

/** Bytes that are thought to be on the wire (RFC 6675, SetPipe). */
export function pipe(connection: Connection): number {
  const { sacked, recovery, sndUna, sndNxt } = connection;
  const held = sacked === undefined ? 0 : sacked.bytes;
  if (recovery === RECOVERY.NONE) return connection.flight - held;
  const lost = seqMin(connection.lostEdge, sndNxt);
  let bytes = seqDiff(sndNxt, lost) + Math.max(0, seqDiff(connection.highRxt, sndUna));
  if (held > 0) bytes -= sacked!.within(lost, sndNxt) + sacked!.within(sndUna, connection.highRxt);
  if (!connection.sackPermitted) bytes -= connection.duplicates * connection.mss;
  return Math.max(0, bytes);
}

/** An acknowledgment changed nothing but the scoreboard, or nothing at all. */
export function duplicateArrived(tcp: TcpContext, connection: Connection): void {
  connection.duplicates++;
  if (connection.recovery !== RECOVERY.NONE) {
    if (connection.recovery === RECOVERY.FAST) findLost(connection);
    return;
  }
  const edge = sackedLoss(connection);
  if (connection.duplicates < DUPLICATE_THRESHOLD && seqLe(edge, connection.sndUna)) return;
  tcp.counters.fastRecoveries++;
  connection.congestion.lost(connection.flight, connection.mss);
  connection.recovery = RECOVERY.FAST;
  connection.recover = connection.sndNxt;
  connection.highRxt = connection.sndUna;
  connection.timedAt = -1;
  connection.lostEdge = seqMax(edge, firstSegmentEnd(connection));
  // The first lost segment goes out whatever the window says (RFC 6675, 5, step 4.3).
  resendOne(tcp, connection, frameSize(tcp, connection));
}

/** Something new was acknowledged during recovery. `acked`: bytes. */
export function recoveryAdvanced(connection: Connection, acked: number): void {
  if (seqGe(connection.sndUna, connection.recover)) {
    connection.recovery = RECOVERY.NONE;
    connection.duplicates = 0;
    return;
  }
  connection.highRxt = seqMax(connection.highRxt, connection.sndUna);
  if (connection.recovery === RECOVERY.TIMEOUT) connection.congestion.recovering(acked);
  else {
    if (!connection.sackPermitted) {
      // A partial acknowledgment: the next segment is lost as well (RFC 6582, 3.2, step 3).
      connection.highRxt = connection.sndUna;
      connection.duplicates = Math.max(0, connection.duplicates - Math.ceil(acked / connection.mss));
      connection.lostEdge = firstSegmentEnd(connection);
    } else findLost(connection);
  }
}

/** The timer went off with data on its way: everything that is not sacked counts as lost. */
export function timedOut(tcp: TcpContext, connection: Connection): void {
  tcp.counters.timeouts++;
  const again = connection.recovery === RECOVERY.TIMEOUT && connection.retries > 1;
  connection.congestion.timedOut(connection.flight, connection.mss, again);
  connection.recovery = RECOVERY.TIMEOUT;
  connection.recover = connection.sndNxt;
  connection.lostEdge = connection.sndNxt;
  connection.highRxt = connection.sndUna;
  connection.duplicates = 0;
  connection.timedAt = -1;
  // The guest has gone back on what it said to hold (RFC 2018, 8): the first byte is missing by definition.
  const { sacked } = connection;
  if (sacked !== undefined && sacked.count > 0 && seqLe(sacked.start(0), connection.sndUna)) sacked.clear();
}

/** Sends again what is lost, as far as the window goes. */
export function sendAgain(tcp: TcpContext, connection: Connection): void {
  const largest = frameSize(tcp, connection);
  const segment = connection.mss - optionsLength(connection);
  for (;;) {
    const room = connection.congestion.window - pipe(connection);
    // Whole segments, and one at least if the window is open at all: an empty pipe must not stay so.
    const length = Math.min(largest, room - (room % segment));
    if (length <= 0 || !resendOne(tcp, connection, length)) return;
  }
}

/** Sends the first lost stretch that was not sent again yet, up to `most` bytes of it; false when there is none. */
function resendOne(tcp: TcpContext, connection: Connection, most: number): boolean {
  const { sacked, lostEdge, sndNxt, sndEnd } = connection;
  let start = seqMax(connection.highRxt, connection.sndUna);
  let end = seqMin(lostEdge, sndNxt);
  if (sacked !== undefined && sacked.count > 0) {
    const holding = sacked.holding(start);
    if (holding >= 0) start = sacked.end(holding);
    const next = sacked.after(start);
    if (next < sacked.count) end = seqMin(end, sacked.start(next));
  }
  if (seqGe(start, end)) return false;
  let length = Math.min(seqDiff(end, start), most);
  const text = Math.max(0, Math.min(length, seqDiff(sndEnd, start)));
  if (text > 0) length = Math.min(text, connection.sndRing!.contiguous(start));
  else length = 0;
  const last = seqAdd(start, length) === sndEnd;
  // Our FIN follows the last byte of data.
  const fin = connection.finSent && last && seqGt(end, sndEnd);
  sendSegment(tcp, connection, start, (last ? TCP_FLAG.PSH : 0) | (fin ? TCP_FLAG.FIN : 0), length);
  tcp.counters.retransmits++;
  connection.highRxt = seqAdd(start, length + (fin ? 1 : 0));
  return true;
}

function findLost(connection: Connection): void {
  connection.lostEdge = seqMax(connection.lostEdge, sackedLoss(connection));
  if (seqLt(connection.lostEdge, connection.sndUna)) connection.lostEdge = connection.sndUna;
}

/**
 * Where the lost part ends by what was sacked: at the start of the highest stretch that has enough sacked above it
 * (RFC 6675, IsLost). `sndUna` when nothing is lost by that.
 */
function sackedLoss(connection: Connection): number {
  const { sacked, sndUna } = connection;
  if (sacked === undefined) return sndUna;
  let bytes = 0;
  for (let index = sacked.count - 1; index >= 0; index--) {
    bytes += seqDiff(sacked.end(index), sacked.start(index));
    const enough =
      sacked.count - index >= DUPLICATE_THRESHOLD || bytes > (DUPLICATE_THRESHOLD - 1) * connection.mss;
    if (enough) return sacked.start(index);
  }
  return sndUna;
}

function firstSegmentEnd(connection: Connection): number {
  const end = seqAdd(connection.sndUna, connection.mss - optionsLength(connection));
  return seqMin(end, connection.sndNxt);
}
