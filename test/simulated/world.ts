/** A model peer, two links, the stack, and the host's socket behind it, on one virtual clock. */
import { READY } from "../../src/stack/outside.ts";
import { Stack } from "../../src/stack/stack.ts";
import { configFor } from "../support/stack.ts";
import { type HostSocket, StreamHost } from "../support/stream-host.ts";
import { Clock } from "./clock.ts";
import { Link, type LinkOptions } from "./link.ts";
import { Peer, type PeerOptions } from "./peer.ts";
import { Random } from "./random.ts";
import { type Addresses, emit, parse } from "./segments.ts";

export interface WorldOptions {
  seed: number;
  family: 4 | 6;
  mtu: number;
  offload: boolean;
  link: LinkOptions;
  peer: Partial<PeerOptions>;
  /** Largest piece that the host's application writes and reads at a time, and how often in milliseconds. */
  piece: number;
  pace: number;
  flowBuffer: number;
  /** Ends its stream only after the guest has ended. */
  hostClosesLast: boolean;
  /** A client of a published port, not a connection of the guest's. */
  published: boolean;
}

const GUEST = {
  4: Uint8Array.of(10, 0, 2, 100),
  6: Uint8Array.from([0xfd, ...new Array<number>(14).fill(0), 100]),
};
const REMOTE = {
  4: Uint8Array.of(192, 0, 2, 7),
  6: Uint8Array.from([0x20, 1, ...new Array<number>(13).fill(0), 7]),
};

const NOTHING = {
  syn: false,
  fin: false,
  rst: false,
  sequence: 0,
  ack: undefined,
  window: 0,
  text: new Uint8Array(0),
};

export class World {
  readonly clock = new Clock();
  readonly random: Random;
  readonly host = new StreamHost();
  readonly stack: Stack;
  readonly peer: Peer;
  readonly up: Link<Uint8Array<ArrayBuffer>>;
  readonly down: Link<{ bytes: Uint8Array<ArrayBuffer>; segmentSize: number; complete: boolean }>;
  /** When both sides had everything, in milliseconds from the start. */
  finishedAt = -1;
  private readonly addresses: Addresses;
  private readonly toHost: number;
  private readonly toGuest: number;
  private fed = 0;

  constructor(private readonly options: WorldOptions) {
    const { seed, family, mtu, offload, flowBuffer } = options;
    this.random = new Random(seed);
    this.addresses = {
      family,
      guest: GUEST[family],
      remote: REMOTE[family],
      guestPort: options.published ? 80 : 40_000,
      remotePort: options.published ? 50_000 : 80,
    };
    const config = configFor({ mtu, offload, limits: { ...configFor().limits, flowBuffer } });
    this.stack = new Stack(config, this.host);
    const peerOptions: PeerOptions = {
      isn: this.random.between(-(2 ** 31), 2 ** 31 - 1),
      mss: mtu - (family === 4 ? 40 : 60),
      windowScale: 7,
      sack: true,
      timestamps: true,
      toSend: 0,
      toReceive: 0,
      buffer: 65_536,
      flight: 65_536,
      closesLast: false,
      passive: options.published,
      ...options.peer,
    };
    this.toHost = peerOptions.toSend;
    this.toGuest = peerOptions.toReceive;
    this.up = new Link(this.clock, this.random, options.link, bytes => this.fromGuest(bytes));
    this.down = new Link(this.clock, this.random, options.link, frame => {
      for (const segment of parse(this.addresses, frame.bytes, frame.segmentSize, frame.complete))
        this.peer.receive(segment);
    });
    const appetite = (unread: number) => this.random.between(0, Math.min(unread, options.piece * 2));
    this.peer = new Peer(
      this.clock,
      peerOptions,
      segment => this.up.put(emit(this.addresses, segment)),
      options.pace === 0 ? unread => unread : appetite,
    );
    this.host.onFrame = frame => {
      const bytes = new Uint8Array(new ArrayBuffer(frame.headerLength + frame.payloadLength));
      bytes.set(frame.header.subarray(frame.headerStart, frame.headerStart + frame.headerLength));
      bytes.set(
        frame.payload.subarray(frame.payloadStart, frame.payloadStart + frame.payloadLength),
        frame.headerLength,
      );
      this.down.put({ bytes, segmentSize: frame.segmentSize, complete: frame.checksumStart === 0 });
    };
  }

  /** Runs until both sides have ended, or `limit` milliseconds have passed. True if they have. */
  run(limit = 3_600_000): boolean {
    const { published, pace } = this.options;
    if (published) {
      // The guest has been heard of before.
      this.fromGuest(emit(this.addresses, { ...NOTHING, rst: true }));
      this.stack.tcpAccepted(
        this.clock.now,
        this.host.accept(),
        { family: this.addresses.family, address: this.addresses.remote, port: this.addresses.remotePort },
        { family: this.addresses.family, address: this.addresses.guest, port: this.addresses.guestPort },
      );
      this.tell(READY.WRITABLE);
    } else this.peer.start();
    const begin = this.clock.now;
    this.application();
    this.reading(pace === 0 ? 1 : pace);
    while (this.clock.now - begin < limit) {
      if (this.finishedAt < 0 && this.peer.done && this.socket?.state === "closed")
        this.finishedAt = this.clock.now - begin;
      if (this.peer.wasReset) return false;
      if (this.finishedAt >= 0 && this.stack.usage.tcp === 0) return true;
      const timer = this.stack.nextTimeout();
      if (timer <= this.clock.next) {
        if (timer === Number.POSITIVE_INFINITY) return false;
        this.clock.now = Math.max(this.clock.now, timer);
        this.stack.tick(this.clock.now);
        this.stack.flush(this.clock.now);
      } else this.clock.step();
    }
    return false;
  }

  get socket(): HostSocket | undefined {
    return this.host.sockets[0];
  }

  private fromGuest(bytes: Uint8Array<ArrayBuffer>): void {
    this.stack.input(this.clock.now, bytes, new DataView(bytes.buffer), 0, bytes.length, false);
    if (this.socket !== undefined && !this.connecting) {
      this.connecting = true;
      if (!this.options.published) this.clock.after(3, () => this.tell(READY.WRITABLE));
    }
    this.stack.flush(this.clock.now);
  }

  private connecting = false;

  private tell(events: number): void {
    this.stack.socketReady(this.clock.now, 0, events);
    this.stack.flush(this.clock.now);
  }

  /** The host's application: writes and reads pieces. */
  private application(): void {
    const { piece, pace, hostClosesLast } = this.options;
    const { socket, random } = this;
    if (socket === undefined) {
      this.clock.after(1, () => this.application());
      return;
    }
    if (socket.state === "closed" || socket.state === "reset") return;
    if (pace === 0) {
      socket.room = Number.POSITIVE_INFINITY;
      this.fed = socket.available = this.toGuest;
      socket.ended = true;
      this.tell(READY.READABLE | READY.PEER_CLOSED);
      return;
    }
    const full = socket.room === 0;
    socket.room = Math.max(
      socket.room === Number.POSITIVE_INFINITY ? 0 : socket.room,
      random.between(0, piece),
    );
    let events = full && socket.room > 0 ? READY.WRITABLE : 0;
    const more = Math.min(this.toGuest - this.fed, random.between(0, piece));
    if (more > 0) {
      socket.available += more;
      this.fed += more;
      events |= READY.READABLE;
    }
    const mayEnd = !hostClosesLast || socket.state === "shut";
    if (this.fed === this.toGuest && !socket.ended && mayEnd) {
      socket.ended = true;
      events |= READY.READABLE | READY.PEER_CLOSED;
    }
    if (events !== 0) this.tell(events);
    this.clock.after(pace * random.next() * 2, () => this.application());
  }

  private reading(pace: number): void {
    this.peer.read();
    if (!this.peer.done && !this.peer.wasReset) this.clock.after(pace, () => this.reading(pace));
  }

  /** Everything that was sent has arrived, and nothing is left behind. Throws what is wrong. */
  verify(): void {
    const { socket, peer } = this;
    const { tcp, promised } = this.stack.usage;
    const facts = {
      toHost: socket?.taken,
      toGuest: peer.received,
      socket: socket?.state,
      flows: tcp,
      promised,
    };
    const wanted = { toHost: this.toHost, toGuest: this.toGuest, socket: "closed", flows: 0, promised: 0 };
    if (JSON.stringify(facts) !== JSON.stringify(wanted))
      throw new Error(`${JSON.stringify(facts)} after ${this.clock.now - 1_000_000} ms`);
  }
}
