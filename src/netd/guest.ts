/** A guest as the sockets of its published ports see it. */
import type { Endpoint } from "../stack/endpoint.ts";
import type { SocketAddress } from "../sys/inet.ts";
import type { Loop } from "./loop.ts";

/** What the sockets of published ports need of their tap. */
export interface Guest {
  loop: Loop;
  /** True when the guest has addresses of that family. */
  hasFamily(family: 4 | 6): boolean;
  /** Takes in a socket that was accepted; 0 or a negative errno, and then the socket is closed. */
  adopt(fd: number): number;
  /**
   * Connects an accepted socket without the stack; false where there is no such way, and the socket is as it was. Where the
   * guest refuses, `refused` gets it back as it was.
   */
  relay(fd: number, from: Endpoint, to: Endpoint, refused?: () => void): boolean;
  /** Connects it by the stack, and where the guest refuses, to `otherwise`. */
  tcpAccepted(now: number, fd: number, from: Endpoint, to: Endpoint, otherwise?: Endpoint): void;
  datagramArrived(
    now: number,
    fd: number,
    from: Endpoint,
    to: Endpoint,
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    length: number,
  ): void;
  datagramsClosed(now: number, fd: number): void;
}

export function endpointOf({ family, address, port }: SocketAddress): Endpoint {
  return { family, address, port };
}
