/**
 * Published ports: sockets of the host whose callers are passed on to the guest through the stack. A range of ports is one
 * publication: it is there as a whole or not at all.
 */
import { UserError } from "../base/errors.ts";
import type { Destination } from "../stack/outside.ts";
import { ERRNO } from "../sys/errno.ts";
import { closeSocket } from "../sys/inet.ts";
import { formatIP, type IpAddress } from "../wire/addr.ts";
import type { Guest } from "./guest.ts";
import { TcpListener } from "./listener.ts";
import { bindPorts, type HostPorts } from "./port-sockets.ts";
import { PublishedUdp } from "./published-udp.ts";

export interface Publication extends HostPorts {
  /** The host's ports are passed on to as many from `guestPort` on. */
  guestAddress: IpAddress;
  /** Of the guest's too, for callers of TCP whom `guestAddress` refuses. */
  otherwise?: IpAddress;
  guestPort: number;
}

export interface PublishedPort extends Publication {
  id: number;
}

interface Socket {
  fd: number;
  close(): void;
}

export class PublishedPorts {
  private readonly publications = new Map<number, { port: PublishedPort; sockets: Socket[] }>();
  private readonly udp = new Map<number, PublishedUdp>();
  private nextId = 1;

  constructor(private readonly guest: Guest) {}

  /**
   * Gives the publication's number once its sockets are bound and listen. Throws a UserError that names the port.
   * `fds`: sockets that somebody has bound already (`bindPorts`), one to a port; they are ours from now on.
   */
  publish(publication: Publication, fds?: readonly number[]): number {
    const waiting = [...(fds ?? [])];
    const sockets: Socket[] = [];
    try {
      this.check(publication);
      if (!fds) waiting.push(...bindPorts(publication));
      for (let fd = waiting.shift(); fd !== undefined; fd = waiting.shift())
        sockets.push(this.open(publication, fd, sockets.length));
    } catch (error) {
      for (const socket of sockets) socket.close();
      for (const fd of waiting) closeSocket(fd);
      throw error;
    }
    const id = this.nextId++;
    this.publications.set(id, { port: { ...publication, id }, sockets });
    return id;
  }

  private check({ guestAddress, hostPort, guestPort, count }: Publication): void {
    if (!this.guest.hasFamily(guestAddress.family))
      throw new UserError(
        `can't publish to ${formatIP(guestAddress)}: the network has no IPv${guestAddress.family}`,
      );
    if (hostPort < 0 || count < 1 || hostPort + count > 65_536 || guestPort < 1 || guestPort + count > 65_536)
      throw new UserError(
        `can't publish ${count} ports from ${hostPort} to ${guestPort}: ports end at 65535`,
      );
  }

  /** Closes the sockets; connections that came by them go on. False when there is no such publication. */
  unpublish(id: number): boolean {
    const publication = this.publications.get(id);
    if (!publication) return false;
    this.publications.delete(id);
    for (const socket of publication.sockets) socket.close();
    return true;
  }

  list(): PublishedPort[] {
    return [...this.publications.values()].map(one => one.port);
  }

  close(): void {
    for (const id of [...this.publications.keys()]) this.unpublish(id);
  }

  /** Takes `fd`, the socket of the publication's port `index`; closes it when that fails. */
  private open(publication: Publication, fd: number, index: number): Socket {
    const { protocol, hostAddress, guestAddress, otherwise } = publication;
    const at = ({ family, bytes: address }: IpAddress) => ({
      ...{ family, address, port: publication.guestPort + index },
    });
    const to = at(guestAddress);
    if (protocol === "tcp") {
      const listener = new TcpListener(this.guest, fd, to, otherwise && at(otherwise));
      return { fd, close: () => listener.close() };
    }
    const socket = new PublishedUdp(this.guest, fd, hostAddress, to);
    this.udp.set(fd, socket);
    return {
      fd,
      close: () => {
        this.udp.delete(fd);
        socket.close();
      },
    };
  }

  /** A datagram from the guest to a caller of a published port. */
  sendTo(
    handle: number,
    to: Destination,
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    length: number,
  ): number {
    return this.udp.get(handle)?.send(to, buffer, start, length) ?? -ERRNO.EBADF;
  }
}
