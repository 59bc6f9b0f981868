/** What TCP asks of its neighbours in the stack: where a connection may go, and ICMP for what may not. */
import type { Endpoint } from "../endpoint.ts";
import type { Destination } from "../outside.ts";

export interface RoutePolicy {
  /**
   * Where a connection to this address (4 or 16 bytes from `start` on) and port goes; or the error that the guest is to
   * see, as an errno, 0 for silence. The result is used before the next call, so that it may be the same object each time.
   */
  route(family: 4 | 6, buffer: Uint8Array, start: number, port: number): Destination | number;
}

export interface ErrorReporter {
  /**
   * Tells `guest` by ICMP that what it sent to `peer` met `errno`. `word`: bytes 4 to 7 of the transport's header that is
   * quoted, for TCP the sequence number.
   */
  report(now: number, errno: number, protocol: number, guest: Endpoint, peer: Endpoint, word: number): void;
}
