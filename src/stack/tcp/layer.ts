/**
 * TCP for the guest: its connections end here and go on as sockets of the host. See README.md for how.
 *
 * Calls give the time; nothing here waits. Acknowledgments that a batch of segments calls for are sent by `flush`.
 */
import type { StackConfig } from "../config.ts";
import { FlowTable } from "../flow-table.ts";
import type { IpOutput } from "../ip-output.ts";
import { type Handle, type Outside, READY } from "../outside.ts";
import type { Packet } from "../packet.ts";
import type { Timers } from "../timers.ts";
import { type Call, type Connection, STATE } from "./connection.ts";
import { type TcpContext, TcpCounters } from "./context.ts";
import { expired } from "./expire.ts";
import { segmentArrived, withoutConnection } from "./input.ts";
import { InitialSequence } from "./isn.ts";
import { abort, hostFailed } from "./lifecycle.ts";
import { answerSyn, connectFailed, openPublished } from "./open.ts";
import { pathTooNarrow, unreachableFromGuest } from "./path.ts";
import type { ErrorReporter, RoutePolicy } from "./policy.ts";
import { Budget, RingPool } from "./ring.ts";
import { Segment } from "./segment.ts";
import { hostWritable } from "./text.ts";
import { acknowledgeIfOwed, transmit } from "./transmit.ts";

export class TcpLayer {
  readonly counters = new TcpCounters();
  readonly #tcp: TcpContext;
  readonly #segment = new Segment();

  constructor(
    config: StackConfig,
    outside: Outside,
    output: IpOutput,
    policy: RoutePolicy,
    timers: Timers,
    errors: ErrorReporter,
    spare: () => boolean = () => false,
  ) {
    this.#tcp = {
      config,
      outside,
      output,
      policy,
      errors,
      timers,
      spare,
      flows: new FlowTable<Connection>(config.secret),
      byHandle: [],
      budget: new Budget(config.limits.totalBuffer),
      rings: new RingPool(),
      sequences: new InitialSequence(config.secret),
      counters: this.counters,
      now: 0,
      queue: [],
      waiting: new Set(),
      expire: (connection, now) => {
        this.#tcp.now = now;
        expired(this.#tcp, connection, now);
      },
    };
  }

  /** Connections that the guest may still speak of, those in TIME-WAIT included. */
  get flows(): number {
    return this.#tcp.flows.size;
  }

  /** Bytes that the flows have been promised. */
  get promised(): number {
    return this.#tcp.budget.used;
  }

  /** Connections that a limit of the stack's has refused since it began. */
  get refused(): number {
    return this.counters.refusedFlows + this.counters.refusedBuffer;
  }

  /** A packet of the guest's. */
  input(now: number, packet: Packet): void {
    const tcp = this.#tcp;
    const segment = this.#segment;
    tcp.now = now;
    tcp.counters.segmentsIn++;
    if (!segment.read(packet)) {
      tcp.counters.badSegments++;
      return;
    }
    const { buffer } = packet;
    const connection = tcp.flows.find(
      packet.family,
      buffer,
      packet.source,
      buffer,
      packet.destination,
      segment.sourcePort,
      segment.destinationPort,
    );
    if (connection === undefined) withoutConnection(tcp, packet, segment);
    else segmentArrived(tcp, connection, packet, segment);
  }

  /** Sends what a batch of calls to `input` has made due: data that the guest has room for now, and acknowledgments. */
  flush(now: number): void {
    const tcp = this.#tcp;
    tcp.now = now;
    const { queue } = tcp;
    for (let index = 0; index < queue.length; index++) {
      const connection = queue[index]!;
      connection.queued = false;
      if (connection.entry < 0) continue;
      transmit(tcp, connection);
      if (connection.entry >= 0) acknowledgeIfOwed(tcp, connection);
    }
    queue.length = 0;
  }

  /** `events` of READY, for a handle that `connectTcp` or `accepted` brought. False if it is none of ours. */
  socketReady(now: number, handle: Handle, events: number): boolean {
    const tcp = this.#tcp;
    const connection = tcp.byHandle[handle];
    if (connection === undefined) return false;
    tcp.now = now;
    if (events & READY.READABLE) connection.readable = true;
    if (events & READY.URGENT) connection.readsToTheEnd = true;
    if (events & READY.PEER_CLOSED) {
      connection.peerClosed = true;
      connection.readsToTheEnd = true;
      connection.readable = true;
    }
    if (connection.state === STATE.CONNECTING) {
      if (!(events & (READY.WRITABLE | READY.ERROR))) return true;
      const errno = tcp.outside.takeError(handle);
      if (errno !== 0) connectFailed(tcp, connection, errno);
      else answerSyn(tcp, connection);
      return true;
    }
    if (events & READY.ERROR) connection.readable = true;
    if (events & READY.WRITABLE && !connection.writable) {
      connection.writable = true;
      hostWritable(tcp, connection);
    }
    if (connection.readable && !connection.hostEnded) transmit(tcp, connection);
    // What came before the failure was read above: afterwards the socket would only say that it is at its end.
    if (events & READY.ERROR && connection.handle >= 0 && tcp.outside.takeError(handle) !== 0)
      hostFailed(tcp, connection);
    return true;
  }

  /** A client of a published port; `otherwise`: what is tried where the guest refuses the first. */
  accepted(now: number, handle: Handle, call: Call, otherwise?: Call): void {
    this.#tcp.now = now;
    openPublished(this.#tcp, handle, call, otherwise);
  }

  /**
   * The guest, or a router in it, has sent an ICMP error about a packet of ours. `quote`: that packet; offsets of its
   * addresses and of its TCP header, of which eight bytes are there. `mtu`: what fits, when that is what the error says; 0
   * for an unreachable.
   */
  guestError(
    now: number,
    family: 4 | 6,
    quote: Uint8Array,
    source: number,
    destination: number,
    transport: number,
    mtu: number,
  ): void {
    const tcp = this.#tcp;
    tcp.now = now;
    const word = (at: number) => (quote[transport + at]! << 8) | quote[transport + at + 1]!;
    const connection = tcp.flows.find(family, quote, destination, quote, source, word(2), word(0));
    if (connection === undefined) return;
    const sequence = (word(4) << 16) | word(6);
    if (mtu > 0) pathTooNarrow(tcp, connection, sequence, mtu);
    else unreachableFromGuest(tcp, connection, sequence);
  }

  /** Resets every connection on both sides. */
  close(now: number): void {
    const tcp = this.#tcp;
    tcp.now = now;
    tcp.flows.forEach(connection => {
      abort(tcp, connection);
    });
    // Those that the guest is done with, and that still had something to hand over.
    for (const connection of tcp.byHandle) if (connection !== undefined) abort(tcp, connection);
  }
}
