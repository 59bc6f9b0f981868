/**
 * Published ports: sockets of the host whose callers are passed on to the guest through the stack. A range of ports is one
 * publication: it is there as a whole or not at all.
 */
import { hasCode, type SysError, UserError } from "../base/errors.ts";
import type { Endpoint } from "../stack/endpoint.ts";
import type { Destination } from "../stack/outside.ts";
import type { Policy } from "../stack/policy.ts";
import { ERRNO, sysError } from "../sys/errno.ts";
import {
  bindSocket,
  closeSocket,
  IPPROTO,
  IPV6_OPTION,
  LEVEL,
  openSocket,
  SO,
  SocketAddress,
  setInt,
} from "../sys/inet.ts";
import { listen, SOCK } from "../sys/socket.ts";
import { formatIP, type IpAddress } from "../wire/addr.ts";
import { endpoint, GatewayPorts } from "./callers.ts";
import { TcpListener } from "./listener.ts";
import type { Loop } from "./loop.ts";
import { PublishedUdp } from "./published-udp.ts";

export interface Publication {
  protocol: "tcp" | "udp";
  /** An address of the host's, or 0.0.0.0 or `::` for all of one family. */
  hostAddress: IpAddress;
  hostPort: number;
  /** Ports from `hostPort` on, passed on to as many from `guestPort` on. */
  count: number;
  guestAddress: IpAddress;
  guestPort: number;
}

export interface PublishedPort extends Publication {
  id: number;
}

/** What the sockets of published ports need of their tap. */
export interface Guest {
  loop: Loop;
  policy: Policy;
  /** True when the guest has addresses of that family. */
  hasFamily(family: 4 | 6): boolean;
  /** Takes in a socket that was accepted; 0 or a negative errno, and then the socket is closed. */
  adopt(fd: number): number;
  tcpAccepted(now: number, fd: number, from: Endpoint, to: Endpoint): void;
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

interface Socket {
  fd: number;
  close(): void;
}

export class PublishedPorts {
  private readonly publications = new Map<number, { port: PublishedPort; sockets: Socket[] }>();
  private readonly udp = new Map<number, PublishedUdp>();
  private readonly gatewayPorts = new GatewayPorts();
  /** By accepted socket: its key in `gatewayPorts`. */
  private readonly disguised = new Map<number, number>();
  private nextId = 1;

  constructor(private readonly guest: Guest) {}

  /** Binds and listens before it returns; gives the publication's number. Throws a UserError that names the port. */
  publish(publication: Publication): number {
    const { guestAddress, hostPort, guestPort, count } = publication;
    if (!this.guest.hasFamily(guestAddress.family))
      throw new UserError(
        `can't publish to ${formatIP(guestAddress)}: the network has no IPv${guestAddress.family}`,
      );
    if (hostPort < 0 || count < 1 || hostPort + count > 65_536 || guestPort < 1 || guestPort + count > 65_536)
      throw new UserError(
        `can't publish ${count} ports from ${hostPort} to ${guestPort}: ports end at 65535`,
      );
    const sockets: Socket[] = [];
    try {
      for (let index = 0; index < count; index++) sockets.push(this.open(publication, index));
    } catch (error) {
      for (const socket of sockets) socket.close();
      throw error;
    }
    const id = this.nextId++;
    this.publications.set(id, { port: { ...publication, id }, sockets });
    return id;
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

  private open(publication: Publication, index: number): Socket {
    const { protocol, hostAddress, guestAddress } = publication;
    const hostPort = publication.hostPort === 0 ? 0 : publication.hostPort + index;
    const to = endpoint(guestAddress.bytes, publication.guestPort + index);
    const fd = bound(protocol, hostAddress, hostPort);
    if (protocol === "tcp") {
      const listener = new TcpListener(this.guest, fd, to, this.gatewayPorts, this.disguised);
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

  /** A socket of the stack's is closed. */
  released(fd: number): void {
    const key = this.disguised.get(fd);
    if (key === undefined) return;
    this.disguised.delete(fd);
    this.gatewayPorts.release(key);
  }
}

/** A socket bound to the host's port, and listening if it is TCP. */
function bound(protocol: "tcp" | "udp", host: IpAddress, port: number): number {
  const tcp = protocol === "tcp";
  const fd = openSocket(host.family, tcp ? SOCK.STREAM : SOCK.DGRAM, tcp ? IPPROTO.TCP : IPPROTO.UDP);
  if (fd < 0) throw refusal(protocol, host, port, sysError("socket", -fd));
  try {
    if (tcp) setInt(fd, LEVEL.SOCKET, SO.REUSEADDR, 1);
    if (host.family === 6) setInt(fd, LEVEL.IPV6, IPV6_OPTION.V6ONLY, 1);
    const result = bindSocket(fd, new SocketAddress().set(host.family, host.bytes, port));
    if (result < 0) throw sysError("bind", -result);
    if (tcp) listen(fd, BACKLOG);
    return fd;
  } catch (error) {
    closeSocket(fd);
    throw refusal(protocol, host, port, error as SysError);
  }
}

/** The kernel cuts it to net.core.somaxconn. */
const BACKLOG = 4096;

function refusal(protocol: string, host: IpAddress, port: number, cause: SysError): UserError {
  const shown = host.family === 6 ? `[${formatIP(host)}]:${port}` : `${formatIP(host)}:${port}`;
  const why = cause.message.replace(/^\w+: /, "");
  return new UserError(`can't listen on ${protocol} ${shown}: ${why}`, {
    cause,
    hint: hasCode(cause, "EACCES")
      ? "ports below the sysctl net.ipv4.ip_unprivileged_port_start are for root"
      : undefined,
  });
}
