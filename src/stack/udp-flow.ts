/** One guest endpoint's talk with one peer over UDP, and the host's socket behind it. */

import type { Endpoint } from "./endpoint.ts";
import type { Destination, Handle } from "./outside.ts";
import { DNS_PORT } from "./policy.ts";
import { Timer } from "./timers.ts";

/** The least that RFC 4787, 4.3 allows for any port. */
const TIMEOUT = 120_000;
/** A question and its answer, where the well-known port says so (REQ-5 a). */
const DNS_TIMEOUT = 30_000;

export class UdpFlow {
  /** Number of its entry in the table of flows. */
  entry = -1;
  /** When the last datagram went through, either way. */
  used = 0;
  /** Milliseconds of silence that it outlives. */
  readonly timeout: number;
  readonly timer: Timer;

  /** `client`: of a published port, whom answers go to through `handle`; else `handle` is the flow's own socket. */
  constructor(
    readonly guest: Endpoint,
    /** As the guest sees it. */
    readonly peer: Endpoint,
    readonly handle: Handle,
    readonly client: Destination | undefined,
    expire: (flow: UdpFlow) => void,
  ) {
    this.timeout = !client && peer.port === DNS_PORT ? DNS_TIMEOUT : TIMEOUT;
    this.timer = new Timer(() => expire(this));
  }
}
