/**
 * One connection: what RFC 9293 (3.3.1) calls its transmission control block, and the host's socket that it is joined to.
 *
 * `snd` is towards the guest, `rcv` from it. Sequence numbers are signed words; times are the stack's milliseconds, with
 * Infinity for "not set". The functions beside this file do the work; here is only what they work on.
 */
import type { Endpoint } from "../endpoint.ts";
import { Timer } from "../timers.ts";
import { Congestion } from "./congestion.ts";
import type { Ranges } from "./ranges.ts";
import { type Ring, SMALLEST_RING } from "./ring.ts";
import { RetransmissionTimeout } from "./rto.ts";

/** The RFC's states, in an order that can be compared; CONNECTING is ours. */
export const STATE = {
  /** Both sides are done with; the host's socket may still be taking what the guest sent. */
  CLOSED: 0,
  /** The guest's SYN is here, the host's socket is connecting, the SYN is not answered yet. */
  CONNECTING: 1,
  SYN_SENT: 2,
  SYN_RECEIVED: 3,
  ESTABLISHED: 4,
  FIN_WAIT_1: 5,
  FIN_WAIT_2: 6,
  CLOSE_WAIT: 7,
  CLOSING: 8,
  LAST_ACK: 9,
  TIME_WAIT: 10,
} as const;
export type State = (typeof STATE)[keyof typeof STATE];

/** What loss recovery is about. */
export const RECOVERY = { NONE: 0, FAST: 1, TIMEOUT: 2 } as const;

/** A published port's client to the guest. */
export interface Call {
  /** Whom the guest is to see; another port is taken if that one is in use. */
  from: Endpoint;
  /** Address and port in the guest. */
  to: Endpoint;
}

export class Connection {
  state: State = STATE.CONNECTING;
  /** Entry in the table of flows; -1 when it is in it no more. */
  entry = -1;
  family: 4 | 6 = 4;
  /** The guest's address in the first 16 bytes, the remote one, which we answer for, in the others. */
  readonly addresses = new Uint8Array(32);
  guestPort = 0;
  remotePort = 0;
  /** Came in through a published port: we sent the SYN. */
  published = false;
  /** What is tried where the guest refuses it. */
  otherwise: Call | undefined;

  // The host's socket.
  /** -1: none, or closed. */
  handle = -1;
  /** Edges that were told and are not used up. */
  readable = false;
  writable = false;
  /** The peer of the host's socket will send no more; what it sent may still be unread. */
  peerClosed = false;
  /** A short read does not mean that there is no more: an end, or urgent data, may be next. */
  readsToTheEnd = false;
  /** Everything that the peer sent was read. */
  hostEnded = false;
  /** It has failed, which the guest is told once it has what was read before. */
  hostBroken = false;
  /** The guest's FIN was passed on. */
  hostShut = false;

  // Towards the guest.
  iss = 0;
  /** Oldest unacknowledged, next to be sent, and the end of what was ever sent (a window probe lies beyond `sndNxt`). */
  sndUna = 0;
  sndNxt = 0;
  sndMax = 0;
  /** End of the data in `sndRing`; our FIN has this number. */
  sndEnd = 0;
  /** Bytes that the guest takes from `sndUna` on, scaled; and the most that it ever did. */
  sndWnd = 0;
  sndWndMost = 0;
  sndWl1 = 0;
  sndWl2 = 0;
  sndScale = 0;
  finSent = false;
  /** Payload to a segment, before timestamps and SACK are taken off. */
  mss = 536;
  sndRing: Ring | undefined;
  sndRingSize = SMALLEST_RING;
  readonly congestion = new Congestion();
  readonly rto = new RetransmissionTimeout();
  /** Segment whose round trip is being measured: its end, and when it was sent (-1: none is). */
  timedEnd = 0;
  timedAt = -1;

  // Loss recovery (RFC 6675, RFC 6582).
  sackPermitted = false;
  sacked: Ranges | undefined;
  duplicates = 0;
  recovery: number = RECOVERY.NONE;
  /** Recovery ends when this is acknowledged. */
  recover = 0;
  /** What was sent again lies before it (HighRxt). */
  highRxt = 0;
  /** Everything before it that is not acknowledged or sacked counts as lost. */
  lostEdge = 0;
  /** How often the timer went off without an answer. */
  retries = 0;

  // From the guest.
  irs = 0;
  rcvNxt = 0;
  /** First byte that the host's socket has not taken. */
  rcvTaken = 0;
  /** Right edge of the window as it was last advertised, up to the rounding of its scale; it never goes back. */
  rcvEdge = 0;
  /** How much we are ready to hold from `rcvTaken` on. */
  rcvLimit = 0;
  /** What the budget has set aside for `rcvLimit` and the smallest send ring. */
  promised = 0;
  /** Received in order since `rcvLimit` last grew. */
  rcvSinceGrowth = 0;
  rcvScale = 0;
  rcvRing: Ring | undefined;
  /** What lies behind a gap. */
  beyond: Ranges | undefined;
  /** Starts of stretches in `beyond`, latest first, for the order of SACK blocks. */
  recent: Int32Array | undefined;
  recents = 0;
  /** A segment that came twice, for a DSACK (RFC 2883); empty when both are equal. */
  duplicateStart = 0;
  duplicateEnd = 0;
  /** The guest's FIN has this number; true once it is known, though data may be missing before it. */
  finSequence = 0;
  finKnown = false;
  /** The FIN was reached: `rcvNxt` is behind it. */
  finReceived = false;
  lastAckSent = 0;

  // Timestamps (RFC 7323).
  timestamps = false;
  timestampOffset = 0;
  tsRecent = 0;
  tsRecentAt = 0;

  // Acknowledgments that are owed.
  /** In-order bytes that no acknowledgment has covered. */
  unacknowledged = 0;
  ackNow = false;
  ackLater = false;
  /** In the list of those that `flush` sees to. */
  queued = false;

  // Times.
  readonly timer: Timer;
  /** Retransmission, or a window probe when nothing is on its way. */
  retransmitAt = Number.POSITIVE_INFINITY;
  ackAt = Number.POSITIVE_INFINITY;
  /** Large rings that are empty by then go back. */
  ringsAt = Number.POSITIVE_INFINITY;
  /** Keepalive, or the end of a state that ends by itself (SYN-SENT, TIME-WAIT). */
  idleAt = Number.POSITIVE_INFINITY;
  lastHeard = 0;
  probes = 0;
  /** Challenge ACKs since `challengesFrom` (RFC 5961, 7). */
  challenges = 0;
  challengesFrom = Number.NEGATIVE_INFINITY;

  constructor(expire: (connection: Connection, now: number) => void) {
    this.timer = new Timer(now => expire(this, now));
  }

  /** Bytes on their way to the guest, our FIN included. */
  get flight(): number {
    return (this.sndNxt - this.sndUna) | 0;
  }
}
