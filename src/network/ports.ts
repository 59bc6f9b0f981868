/** Host ports: taken before a container starts, and held while it runs. */
import { SysError, UserError } from "../base/errors.ts";
import { closeFd } from "../sys/fd.ts";
import {
  AF,
  bind,
  boundPort,
  inetAddress,
  listen,
  SOCK,
  SOL_SOCKET,
  setOption,
  socket,
} from "../sys/socket.ts";
import { parseIP } from "../wire/addr.ts";

/** The part of a published port that matters here. `hostPort` 0 asks for any free one. */
export interface HostPorts {
  hostIp: string;
  hostPort: number;
  protocol: "tcp" | "udp" | "sctp";
  range: number;
}

const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

function open(protocol: "tcp" | "udp", hostIp: string, port: number): number {
  const ip = parseIP(hostIp || "0.0.0.0");
  if (!ip) throw new UserError(`invalid host address ${JSON.stringify(hostIp)} of a published port`);
  const fd = socket(ip.family === 4 ? AF.INET : AF.INET6, protocol === "tcp" ? SOCK.STREAM : SOCK.DGRAM);
  try {
    if (ip.family === 6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (protocol === "tcp") setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    bind(fd, inetAddress(ip, port));
    if (protocol === "tcp") listen(fd);
    return fd;
  } catch (error) {
    closeFd(fd);
    if (!(error instanceof SysError)) throw error;
    const family = ip.family === 4 ? "4" : "6";
    const verb = protocol === "tcp" ? "listen on the TCP" : "listen on the UDP";
    throw new UserError(
      `cannot ${verb} port: listen ${protocol}${family} ${hostIp}:${port}: bind: ${error.message.replace(/^bind:? ?/, "")}`,
      {
        exitCode: 126,
        status: 409,
        cause: error,
      },
    );
  }
}

/**
 * Binds every port, and chooses those that were left open. Gives the ports with their numbers and the sockets that hold
 * them; after a failure none is held.
 */
export function reservePorts<T extends HostPorts>(ports: readonly T[]): { ports: T[]; sockets: number[] } {
  const sockets: number[] = [];
  try {
    const chosen = ports.map(port => {
      // The kernel here may lack SCTP; its ports are published without being held.
      if (port.protocol === "sctp") {
        if (port.hostPort === 0) throw new UserError("a published SCTP port needs a host port");
        return port;
      }
      if (port.hostPort !== 0) {
        for (let offset = 0; offset < port.range; offset++)
          sockets.push(open(port.protocol, port.hostIp, port.hostPort + offset));
        return port;
      }
      const fd = open(port.protocol, port.hostIp, 0);
      sockets.push(fd);
      return { ...port, hostPort: boundPort(fd) };
    });
    return { ports: chosen, sockets };
  } catch (error) {
    for (const fd of sockets) closeFd(fd);
    throw error;
  }
}

/** The keys of a container's orders to the data plane: its tap's is its id, its ports' are numbered. */
export const portsKey = (id: string, index: number) => `${id}:${index}`;
