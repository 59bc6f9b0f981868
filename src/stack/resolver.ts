/**
 * Frames to guests that have not been heard yet: a few are kept while the wire is asked, as RFC 1122 (2.3.2.2) and
 * RFC 4861 (7.2.2) want at least one to be. Asked again with every new frame; whoever has something to say says it again.
 */
import { putMac } from "../wire/ethernet.ts";
import type { Arp } from "./arp.ts";
import type { Parking } from "./ip-output.ts";
import type { NeighbourDiscovery } from "./neighbour-discovery.ts";
import type { Neighbours } from "./neighbours.ts";
import { OutFrame, type Outside } from "./outside.ts";
import { Timer, type Timers } from "./timers.ts";

const MOST = 16;
/** Milliseconds; whoever was to be told later would not know what to make of it. */
const PATIENCE = 3000;

interface Parked {
  frame: OutFrame;
  family: 4 | 6;
  address: Uint8Array;
}

export class Resolver implements Parking {
  readonly #outside: Outside;
  readonly #neighbours: Neighbours;
  readonly #arp: Arp;
  readonly #discovery: NeighbourDiscovery;
  readonly #parked: Parked[] = [];
  readonly #timers: Timers;
  readonly #timer = new Timer(() => this.#parked.splice(0));
  /** Frames were parked since the last `flush`. */
  #fresh = false;

  constructor(
    outside: Outside,
    neighbours: Neighbours,
    arp: Arp,
    discovery: NeighbourDiscovery,
    timers: Timers,
  ) {
    this.#timers = timers;
    this.#outside = outside;
    this.#neighbours = neighbours;
    this.#arp = arp;
    this.#discovery = discovery;
  }

  park(frame: OutFrame, family: 4 | 6, address: Uint8Array, start: number): void {
    const copy = new OutFrame();
    copy.header.set(frame.header);
    copy.headerStart = frame.headerStart;
    copy.headerLength = frame.headerLength;
    copy.payload = frame.payload.slice(frame.payloadStart, frame.payloadStart + frame.payloadLength);
    copy.payloadLength = frame.payloadLength;
    copy.checksumStart = frame.checksumStart;
    copy.checksumOffset = frame.checksumOffset;
    copy.segmentSize = frame.segmentSize;
    copy.family = family;
    if (this.#parked.length === MOST) this.#parked.shift();
    this.#parked.push({
      frame: copy,
      family,
      address: address.slice(start, start + (family === 4 ? 4 : 16)),
    });
    this.#fresh = true;
    if (family === 4) this.#arp.request(address, start);
    else this.#discovery.solicit(address, start);
  }

  /** Lets what is parked wait for some seconds from now. */
  flush(now: number): void {
    if (!this.#fresh) return;
    this.#fresh = false;
    this.#timers.set(this.#timer, now + PATIENCE);
  }

  /** Somebody was heard: sends what waited for it. */
  heard(): void {
    if (this.#parked.length === 0) return;
    const waiting = this.#parked.splice(0);
    for (const parked of waiting) {
      const mac = this.#neighbours.find(parked.address, parked.family, 0);
      if (mac < 0) {
        this.#parked.push(parked);
        continue;
      }
      const { frame } = parked;
      putMac(new DataView(frame.header.buffer), frame.headerStart, this.#neighbours.macs, mac);
      this.#outside.emit(frame);
    }
  }
}
