/**
 * Initial sequence numbers (RFC 6528): a clock of 4 µs plus a keyed hash of the addresses and ports; and the offset at
 * which a connection's timestamps begin (RFC 7323, 5.4), from the same hash.
 */
import { SipHash } from "../siphash.ts";

export class InitialSequence {
  private readonly hash: SipHash;
  private readonly input = new Uint8Array(37);
  /** Set by `next`: what to add to the clock for this connection's timestamps. */
  timestampOffset = 0;

  /** `secret`: 16 bytes. */
  constructor(secret: Uint8Array) {
    this.hash = new SipHash(secret);
  }

  /** `addresses`: 32 bytes, the guest's and the remote one, 16 each. `now` in milliseconds. */
  next(family: 4 | 6, addresses: Uint8Array, guestPort: number, remotePort: number, now: number): number {
    const { input, hash } = this;
    input.set(addresses);
    input[32] = guestPort >> 8;
    input[33] = guestPort;
    input[34] = remotePort >> 8;
    input[35] = remotePort;
    input[36] = family;
    hash.hash(input, 37);
    this.timestampOffset = hash.high | 0;
    return (hash.low + Math.floor(now * 250)) | 0;
  }
}
