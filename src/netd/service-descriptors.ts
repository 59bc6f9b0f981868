/** That the descriptors of an order are what it needs, asked before anybody reads from them or waits for them. */
import { getInt, IPPROTO, LEVEL } from "../sys/inet.ts";
import { AF, SOCK } from "../sys/socket.ts";
import { parseIP } from "../wire/addr.ts";
import type { ServiceRequest } from "./service-message.ts";

/** Options of socket(7) that tell what a socket is. */
const SO = { TYPE: 3, ACCEPTCONN: 30, PROTOCOL: 38, DOMAIN: 39 } as const;
/** Transparent sockets with one order. */
const MOST_TRANSPARENT = 128;

/** Throws what is wrong. A tap is looked at by the data plane itself. */
export function checkDescriptors(request: ServiceRequest, fds: readonly number[]): void {
  if (request.op === "transparent") {
    checkTransparent(fds);
    return;
  }
  const wanted = howMany(request);
  if (fds.length !== wanted) throw new Error(`${fds.length} descriptors came with it in place of ${wanted}`);
  if (request.op === "ports") {
    const { proto, hostAddr } = request.settings;
    for (const fd of fds) checkSocket(fd, proto, hostAddr);
  } else if (request.op === "resolver") {
    request.settings.addresses.forEach((address, index) => {
      checkSocket(fds[2 * index]!, "udp", address);
      checkSocket(fds[2 * index + 1]!, "tcp", address);
    });
  }
}

function checkTransparent(fds: readonly number[]): void {
  if (fds.length < 1 || fds.length > MOST_TRANSPARENT)
    throw new Error(`${fds.length} descriptors came with it in place of 1 to ${MOST_TRANSPARENT}`);
  for (const fd of fds) {
    const family = getInt(fd, LEVEL.SOCKET, SO.DOMAIN);
    const isTcp = getInt(fd, LEVEL.SOCKET, SO.PROTOCOL) === IPPROTO.TCP;
    if (
      !isTcp ||
      (family !== AF.INET && family !== AF.INET6) ||
      getInt(fd, LEVEL.SOCKET, SO.ACCEPTCONN) !== 0
    )
      throw new Error("a descriptor is no TCP socket");
  }
}

function howMany(request: ServiceRequest): number {
  switch (request.op) {
    case "tap":
      return 1;
    case "ports":
      return request.settings.count;
    case "resolver":
      return 2 * request.settings.addresses.length;
    default:
      return 0;
  }
}

function checkSocket(fd: number, proto: "tcp" | "udp", address: string): void {
  const tcp = proto === "tcp";
  const facts = [
    [SO.DOMAIN, parseIP(address)!.family === 4 ? AF.INET : AF.INET6],
    [SO.TYPE, tcp ? SOCK.STREAM : SOCK.DGRAM],
    [SO.PROTOCOL, tcp ? IPPROTO.TCP : IPPROTO.UDP],
    [SO.ACCEPTCONN, tcp ? 1 : 0],
  ] as const;
  if (facts.every(([option, value]) => getInt(fd, LEVEL.SOCKET, option) === value)) return;
  throw new Error(`a descriptor is no ${tcp ? "listening TCP" : "UDP"} socket of ${address}'s family`);
}
