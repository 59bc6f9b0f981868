/** The host's side of published ports: sockets that are bound, and listen. Whoever holds them keeps the ports. */
import { hasCode, type SysError, UserError } from "../base/errors.ts";
import { sysError } from "../sys/errno.ts";
import {
  bindSocket,
  closeSocket,
  IP_OPTION,
  IPPROTO,
  IPV6_OPTION,
  LEVEL,
  openSocket,
  SO,
  SocketAddress,
  setInt,
} from "../sys/inet.ts";
import { listen, SOCK } from "../sys/socket.ts";
import { formatIP, type IpAddress, parseIP } from "../wire/addr.ts";

/** The kernel cuts it to net.core.somaxconn. */
const BACKLOG = 4096;

export interface HostPorts {
  protocol: "tcp" | "udp";
  /** An address of the host's, or 0.0.0.0 or `::` for all of one family. */
  hostAddress: IpAddress;
  /** 0: any. */
  hostPort: number;
  /** Ports from `hostPort` on. */
  count: number;
}

const DNS_PORT = 53;

/**
 * For each address of this network namespace, `10.89.0.1`, what a resolver there needs: a UDP socket and a listening TCP
 * socket, in this order. None, and a UserError, where one can't be had.
 */
export function bindResolver(addresses: readonly string[]): number[] {
  const fds: number[] = [];
  try {
    // An IPv6 address that the kernel still asks its neighbours about can't be bound otherwise.
    for (const address of addresses)
      for (const protocol of ["udp", "tcp"] as const)
        fds.push(bound(protocol, parseIP(address)!, DNS_PORT, true));
    return fds;
  } catch (error) {
    for (const fd of fds) closeSocket(fd);
    throw error;
  }
}

/** A socket for each port in order, or none and a UserError that names the port which can't be had. */
export function bindPorts({ protocol, hostAddress, hostPort, count }: HostPorts): number[] {
  const fds: number[] = [];
  try {
    for (let index = 0; index < count; index++)
      fds.push(bound(protocol, hostAddress, hostPort === 0 ? 0 : hostPort + index));
    return fds;
  } catch (error) {
    for (const fd of fds) closeSocket(fd);
    throw error;
  }
}

/** A socket bound to the host's port, and listening if it is TCP. `free`: to an address that may not be there yet. */
function bound(protocol: "tcp" | "udp", host: IpAddress, port: number, free = false): number {
  const tcp = protocol === "tcp";
  const fd = openSocket(host.family, tcp ? SOCK.STREAM : SOCK.DGRAM, tcp ? IPPROTO.TCP : IPPROTO.UDP);
  if (fd < 0) throw refusal(protocol, host, port, sysError("socket", -fd));
  try {
    if (tcp) setInt(fd, LEVEL.SOCKET, SO.REUSEADDR, 1);
    if (host.family === 6) setInt(fd, LEVEL.IPV6, IPV6_OPTION.V6ONLY, 1);
    if (free && host.family === 6) setInt(fd, LEVEL.IPV6, IPV6_OPTION.FREEBIND, 1);
    else if (free) setInt(fd, LEVEL.IP, IP_OPTION.FREEBIND, 1);
    const result = bindSocket(fd, new SocketAddress().set(host.family, host.bytes, port));
    if (result < 0) throw sysError("bind", -result);
    if (tcp) listen(fd, BACKLOG);
    return fd;
  } catch (error) {
    closeSocket(fd);
    throw refusal(protocol, host, port, error as SysError);
  }
}

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
