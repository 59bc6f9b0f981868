/**
 * Local UDP ports that several sockets share: all flows of one guest endpoint leave from one port of the host
 * (endpoint-independent mapping, RFC 4787, 4.1), though each has a connected socket of its own.
 *
 * The first socket gets its port from the kernel before it allows sharing: asked with sharing allowed, the kernel might
 * give a port that is shared already. SO_REUSEPORT, unlike SO_REUSEADDR, shares with no other user of the host.
 */
import { LEVEL, localAddress, receivePart, SO, SocketAddress, setInt } from "../sys/inet.ts";
import { bytes } from "../sys/mem.ts";
import type { Outbound } from "./outbound.ts";

interface Shared {
  port: number;
  users: number;
}

const scratch = new SocketAddress();
const nothing = bytes(1);

export class UdpPorts {
  private readonly shared = new Map<string, Shared>();
  private readonly keys = new Map<number, string>();

  constructor(private readonly outbound: Outbound) {}

  /** Binds `fd`, a new socket for a flow of `guestKey` to `address`. 0 or a negative errno. */
  bind(fd: number, family: 4 | 6, address: Uint8Array, guestKey: string): number {
    const key = `${family} ${guestKey}`;
    const known = this.shared.get(key);
    if (known) {
      const result =
        setInt(fd, LEVEL.SOCKET, SO.REUSEPORT, 1) || this.outbound.bind(fd, family, address, known.port);
      if (result < 0) return this.outbound.bind(fd, family, address);
      known.users++;
      this.keys.set(fd, key);
      return 0;
    }
    const result = this.outbound.bind(fd, family, address, 0);
    if (result < 0) return result;
    setInt(fd, LEVEL.SOCKET, SO.REUSEPORT, 1);
    if (localAddress(fd, scratch) < 0) return 0;
    this.shared.set(key, { port: scratch.port, users: 1 });
    this.keys.set(fd, key);
    return 0;
  }

  /** Between bind(2) and connect(2) a shared port takes what was meant for others; throws that away. */
  purge(fd: number): void {
    if (!this.keys.has(fd)) return;
    while (receivePart(fd, nothing, 0, 1) >= 0);
  }

  /** `fd` is about to be closed. */
  release(fd: number): void {
    const key = this.keys.get(fd);
    if (key === undefined) return;
    this.keys.delete(fd);
    const shared = this.shared.get(key)!;
    if (--shared.users === 0) this.shared.delete(key);
  }
}
