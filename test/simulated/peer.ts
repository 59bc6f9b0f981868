/**
 * A guest's TCP, simple and correct: cumulative acknowledgments, one retransmission timer with go-back-N, fast retransmit,
 * a receive window that its application opens at its own pace. It checks everything that reaches it: bytes, windows,
 * acknowledgments, SACK blocks, segment sizes.
 */

import { Ranges } from "../../src/stack/tcp/ranges.ts";
import { seqAdd, seqDiff } from "../../src/stack/tcp/sequence.ts";
import { streamByte } from "../support/stream-host.ts";
import type { Clock } from "./clock.ts";

export interface SegmentOfPeer {
  syn: boolean;
  fin: boolean;
  rst: boolean;
  /** Absolute, as is `ack`. */
  sequence: number;
  ack: number | undefined;
  window: number;
  mss?: number;
  windowScale?: number;
  sackPermitted?: boolean;
  timestamps?: [value: number, echo: number];
  /** Pairs of edges. */
  sack?: number[];
  text: Uint8Array;
}

export interface PeerOptions {
  isn: number;
  mss: number;
  windowScale: number | undefined;
  sack: boolean;
  timestamps: boolean;
  /** Bytes that the application sends, and those it will be sent. */
  toSend: number;
  toReceive: number;
  /** Bytes of its receive buffer, and most that may be on the way from it. */
  buffer: number;
  flight: number;
  /** Sends FIN only after the other side's. */
  closesLast: boolean;
  /** Waits for a SYN instead of sending one. */
  passive: boolean;
}

const RTO = 250;
/** Room that a segment leaves for options. */
const OPTIONS = 40;

export class Peer {
  connected = false;
  /** Why it ended early, for tests that see one. */
  wasReset = false;
  received = 0;
  finReceived = false;
  finAcked = false;
  private una: number;
  private nxt: number;
  private max: number;
  private sndWnd = 0;
  private sndScale = 0;
  private rcvScale = 0;
  private synSeen = false;
  private ours = 0;
  private rcvNxt = 0;
  /** Right edges that were promised: by us, and to us. */
  private rightEdge = 0;
  private theirEdge: number | undefined;
  private unread = 0;
  private readonly beyond = new Ranges();
  private recent = 0;
  private timestampRecent = 0;
  private useTimestamps: boolean;
  private useSack: boolean;
  private duplicates = 0;
  private timer = 0;
  private rto = RTO;
  private finAt: number | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly options: PeerOptions,
    private readonly send: (segment: SegmentOfPeer) => void,
    /** Decides how much the application reads of what is there. */
    private readonly reads: (unread: number) => number,
  ) {
    this.una = options.isn;
    this.nxt = options.isn;
    this.max = options.isn;
    this.useTimestamps = options.timestamps;
    this.useSack = options.sack;
  }

  /** Both directions have ended, and both ends are acknowledged. */
  get done(): boolean {
    return this.finReceived && this.finAcked;
  }

  start(): void {
    this.nxt = this.max = seqAdd(this.options.isn, 1);
    this.sendSyn();
    this.arm();
  }

  /** The application reads, which may be news for the other side. */
  read(): void {
    if (!this.connected || this.unread === 0) return;
    const before = this.window();
    this.unread -= Math.min(this.unread, this.reads(this.unread));
    const after = this.window();
    if (before < this.options.mss && after >= Math.min(this.options.mss, this.options.buffer / 2)) this.ack();
    else if (after - before >= this.options.buffer / 2) this.ack();
  }

  receive(segment: SegmentOfPeer): void {
    if (segment.rst) {
      // In LAST-ACK that is as good as an acknowledgment: the other side's TIME-WAIT is over.
      if (this.finReceived && this.finAt !== undefined) this.finAcked = true;
      else this.wasReset = true;
      return;
    }
    if (segment.syn) this.takeSyn(segment);
    if (!this.synSeen) return;
    this.check(segment);
    const span = segment.text.length + (segment.fin ? 1 : 0);
    if (
      segment.timestamps &&
      seqDiff(segment.sequence, this.rcvNxt) <= 0 &&
      seqDiff(segment.timestamps[0], this.timestampRecent) > 0
    )
      this.timestampRecent = segment.timestamps[0];
    if (segment.ack !== undefined) this.takeAck(segment, span);
    if (span > 0) {
      this.takeText(segment);
      this.ack();
    } else if (!segment.syn && seqDiff(segment.sequence, this.rcvNxt) < 0) this.ack();
    this.output();
  }

  private takeSyn(segment: SegmentOfPeer): void {
    if (this.synSeen) {
      this.ack();
      return;
    }
    this.synSeen = true;
    this.rcvNxt = seqAdd(segment.sequence, 1);
    this.ours = seqAdd(segment.sequence, 1);
    this.useTimestamps &&= segment.timestamps !== undefined;
    this.useSack &&= segment.sackPermitted === true;
    if (segment.timestamps) this.timestampRecent = segment.timestamps[0];
    if (this.options.windowScale !== undefined && segment.windowScale !== undefined) {
      this.sndScale = segment.windowScale;
      this.rcvScale = this.options.windowScale;
    }
    this.rightEdge = seqAdd(this.rcvNxt, Math.min(this.options.buffer, 0xffff));
    this.sndWnd = segment.window;
    if (segment.ack === undefined) {
      this.nxt = this.max = seqAdd(this.options.isn, 1);
      this.sendSyn();
      this.arm();
    }
  }

  /** Everything that a segment must not say. */
  private check(segment: SegmentOfPeer): void {
    const end = seqAdd(segment.sequence, segment.text.length);
    const over = seqDiff(end, this.rightEdge);
    if (over > 1 || (over === 1 && segment.text.length > 1))
      throw new Error(`${over} bytes beyond the window`);
    if (segment.text.length > this.options.mss) throw new Error(`a segment of ${segment.text.length} bytes`);
    if (segment.ack !== undefined && seqDiff(segment.ack, this.max) > 0)
      throw new Error("acknowledges what was not sent");
    if (segment.timestamps === undefined && this.useTimestamps) throw new Error("no timestamps");
    const offset = seqDiff(segment.sequence, this.ours);
    for (let index = 0; index < segment.text.length; index++)
      if (segment.text[index] !== streamByte(offset + index, "in"))
        throw new Error(`byte ${offset + index} is wrong`);
    for (let index = 0; index < (segment.sack?.length ?? 0); index += 2) {
      const [left, right] = [segment.sack![index]!, segment.sack![index + 1]!];
      if (seqDiff(right, left) <= 0 || seqDiff(right, this.max) > 0)
        throw new Error("a SACK block of nothing");
    }
    if (segment.ack !== undefined && !segment.syn) {
      const edge = seqAdd(segment.ack, segment.window << this.sndScale);
      // Segments overtake each other: only what is no older than the newest says where the edge is.
      if (this.theirEdge !== undefined && seqDiff(segment.ack, this.una) >= 0) {
        const back = seqDiff(this.theirEdge, edge);
        const newer = seqDiff(segment.ack, this.newestAck) > 0;
        if (newer && back > 1 << this.sndScale) throw new Error(`the window shrank by ${back}`);
      }
      if (this.theirEdge === undefined || seqDiff(edge, this.theirEdge) > 0) this.theirEdge = edge;
      if (seqDiff(segment.ack, this.newestAck) > 0) this.newestAck = segment.ack;
    }
  }

  private newestAck = 0;
  private finExpected: number | undefined;

  private takeAck(segment: SegmentOfPeer, span: number): void {
    const ack = segment.ack!;
    const acked = seqDiff(ack, this.una);
    if (!this.connected) {
      if (ack !== seqAdd(this.options.isn, 1)) return;
      this.connected = true;
      this.newestAck = ack;
      this.una = ack;
      this.sndWnd = segment.syn ? segment.window : segment.window << this.sndScale;
      this.rto = RTO;
      this.arm();
      if (segment.syn) this.ack();
      return;
    }
    if (acked < 0) return;
    if (acked > 0) {
      this.una = ack;
      if (seqDiff(this.nxt, ack) < 0) this.nxt = ack;
      this.duplicates = 0;
      this.rto = RTO;
      this.arm();
      if (this.finAt !== undefined && ack === seqAdd(this.finAt, 1)) this.finAcked = true;
    } else if (span === 0 && seqDiff(this.nxt, this.una) > 0 && ++this.duplicates === 3)
      this.transmit(this.una, this.options.mss - OPTIONS);
    if (!segment.syn) this.sndWnd = segment.window << this.sndScale;
  }

  private takeText(segment: SegmentOfPeer): void {
    const end = seqAdd(segment.sequence, segment.text.length);
    const room = seqDiff(this.rightEdge, segment.sequence);
    const start = seqDiff(segment.sequence, this.rcvNxt) < 0 ? this.rcvNxt : segment.sequence;
    // A window probe may lie beyond the window.
    if (segment.text.length > 0 && room > 0 && seqDiff(end, this.rcvNxt) > 0) {
      const last = seqDiff(end, this.rightEdge) > 0 ? this.rightEdge : end;
      this.beyond.add(start, last);
      this.recent = start;
      if (this.beyond.start(0) === this.rcvNxt) {
        const count = seqDiff(this.beyond.end(0), this.rcvNxt);
        this.received += count;
        this.unread += count;
        this.rcvNxt = this.beyond.end(0);
        this.beyond.removeBefore(this.rcvNxt);
      }
    }
    if (segment.fin) this.finExpected = end;
    if (this.finExpected === this.rcvNxt && !this.finReceived) {
      if (this.received !== this.options.toReceive) throw new Error(`FIN after ${this.received} bytes`);
      this.finReceived = true;
      this.rcvNxt = seqAdd(this.rcvNxt, 1);
    }
  }

  /** Sends what the window allows, and FIN behind the last byte. */
  private output(): void {
    if (!this.connected) return;
    const first = seqAdd(this.options.isn, 1);
    for (;;) {
      const sent = seqDiff(this.nxt, first);
      const room = Math.min(this.sndWnd, this.options.flight) - seqDiff(this.nxt, this.una);
      const length = Math.min(this.options.mss - OPTIONS, this.options.toSend - sent, room);
      if (length > 0) this.transmit(this.nxt, length);
      else {
        const mayEnd = !this.options.closesLast || this.finReceived;
        if (sent === this.options.toSend && mayEnd) this.transmit(this.nxt, 0);
        return;
      }
    }
  }

  /** One segment from `sequence` on; with FIN if it reaches the end. */
  private transmit(sequence: number, most: number): void {
    const offset = seqDiff(sequence, seqAdd(this.options.isn, 1));
    const length = Math.max(0, Math.min(most, this.options.toSend - offset));
    const text = new Uint8Array(length);
    for (let index = 0; index < length; index++) text[index] = streamByte(offset + index, "out");
    const fin = offset + length === this.options.toSend && (!this.options.closesLast || this.finReceived);
    if (fin) this.finAt = seqAdd(sequence, length);
    this.emit({ text, fin, sequence });
    const end = seqAdd(sequence, length + (fin ? 1 : 0));
    if (seqDiff(end, this.nxt) > 0) this.nxt = end;
    if (seqDiff(end, this.max) > 0) this.max = end;
    if (this.timer === 0) this.arm();
  }

  private window(): number {
    const edge = seqAdd(this.rcvNxt, Math.max(0, this.options.buffer - this.unread));
    return Math.max(0, Math.max(seqDiff(edge, this.rcvNxt), seqDiff(this.rightEdge, this.rcvNxt)));
  }

  private ack(): void {
    this.emit({ text: new Uint8Array(0), fin: false, sequence: this.nxt });
  }

  private emit(part: { text: Uint8Array; fin: boolean; sequence: number }): void {
    const field = Math.min(0xffff, this.window() >> this.rcvScale);
    const edge = seqAdd(this.rcvNxt, field << this.rcvScale);
    if (seqDiff(edge, this.rightEdge) > 0) this.rightEdge = edge;
    const sack: number[] = [];
    if (this.useSack && this.beyond.count > 0) {
      const recent = Math.max(0, this.beyond.holding(this.recent));
      sack.push(this.beyond.start(recent), this.beyond.end(recent));
      for (let index = this.beyond.count - 1; index >= 0 && sack.length < 6; index--)
        if (index !== recent) sack.push(this.beyond.start(index), this.beyond.end(index));
    }
    this.send({
      syn: false,
      rst: false,
      ack: this.rcvNxt,
      window: field,
      ...(this.useTimestamps ? { timestamps: [Math.floor(this.clock.now) | 0, this.timestampRecent] } : {}),
      ...(sack.length > 0 ? { sack } : {}),
      ...part,
    });
  }

  private sendSyn(): void {
    const { isn, mss, windowScale, buffer } = this.options;
    this.send({
      syn: true,
      fin: false,
      rst: false,
      sequence: isn,
      ack: this.synSeen ? this.rcvNxt : undefined,
      window: Math.min(0xffff, buffer),
      mss,
      ...(windowScale === undefined ? {} : { windowScale }),
      sackPermitted: this.useSack,
      ...(this.useTimestamps ? { timestamps: [Math.floor(this.clock.now) | 0, this.timestampRecent] } : {}),
      text: new Uint8Array(0),
    });
  }

  private arm(): void {
    const mine = ++this.timer;
    this.clock.after(this.rto, () => {
      if (this.timer !== mine || this.wasReset) return;
      this.expired();
    });
  }

  private expired(): void {
    this.timer = 0;
    this.rto = Math.min(this.rto * 2, 5000);
    if (!this.connected) {
      this.sendSyn();
      this.arm();
      return;
    }
    const waiting = seqDiff(this.max, this.una) > 0;
    const first = seqAdd(this.options.isn, 1);
    if (waiting) {
      // Go back to what is not acknowledged.
      this.nxt = this.una;
      this.duplicates = 0;
      this.transmit(this.una, this.options.mss - OPTIONS);
    } else if (this.sndWnd === 0 && seqDiff(this.nxt, first) < this.options.toSend)
      this.transmit(this.nxt, 1);
    this.output();
    if (this.timer === 0 && !this.done) this.arm();
  }
}
