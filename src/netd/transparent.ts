/**
 * TCP sockets of the guest's own network namespace, by which callers of published ports reach it without passing the stack
 * (IP_TRANSPARENT, ip(7)): bound to the caller's address they connect to the guest's, and the guest sees who calls.
 *
 * They come from whoever made the guest's network (`network/transparent.ts`), which has the rights for that; here they are
 * used again and again, since a socket that is disconnected (connect(2) to AF_UNSPEC) can be bound and connected anew. So
 * their number is how many callers can be served so at a time.
 */
import type { Endpoint } from "../stack/endpoint.ts";
import { ERRNO } from "../sys/errno.ts";
import {
  bindSocket,
  closeSocket,
  connectSocket,
  disconnectSocket,
  getInt,
  LEVEL,
  relayStream,
  SO,
  SocketAddress,
} from "../sys/inet.ts";
import { AF } from "../sys/socket.ts";

const scratch = new SocketAddress();

export class TransparentSockets {
  private readonly free: Record<4 | 6, number[]> = { 4: [], 6: [] };
  private readonly families = new Map<number, 4 | 6>();

  /** Ours from now on. Whoever had them before may have left connections behind, which end here. */
  give(fds: readonly number[]): void {
    for (const fd of fds) {
      disconnectSocket(fd);
      relayStream(fd);
      const family = getInt(fd, LEVEL.SOCKET, SO.DOMAIN) === AF.INET6 ? 6 : 4;
      this.families.set(fd, family);
      this.free[family].push(fd);
    }
  }

  /**
   * A socket on its way from `address` to the guest endpoint `to`, whose family both have; -EAGAIN when all are in use,
   * or the negative errno of a connection that can't be.
   */
  connect(address: Uint8Array, to: Endpoint): number {
    const { family } = to;
    const fd = this.free[family].pop();
    if (fd === undefined) return -ERRNO.EAGAIN;
    const bound = bindSocket(fd, scratch.set(family, address, 0));
    const result = bound < 0 ? bound : connectSocket(fd, scratch.set(family, to.address, to.port));
    if (result === 0 || result === -ERRNO.EINPROGRESS) return fd;
    this.release(fd);
    return result;
  }

  /** Takes a socket back; a connection that is not over yet is reset. */
  release(fd: number): void {
    if (disconnectSocket(fd) === 0) this.free[this.families.get(fd)!].push(fd);
  }

  close(): void {
    for (const fd of this.families.keys()) closeSocket(fd);
  }
}
