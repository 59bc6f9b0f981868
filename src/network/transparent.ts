/**
 * A container's own sockets for the callers of its published ports: TCP sockets of its namespace that may have any address
 * (IP_TRANSPARENT, ip(7)), so that the data plane connects callers inside, under their own addresses, and bytes take the
 * kernel's way from socket to socket.
 *
 * What the container answers goes to an address that is not its own. Such packets carry a mark: the sockets' own do, those
 * of connections that were accepted take it over (tcp_fwmark_accept), and refusals reflect it (fwmark_reflect). Marked packets are
 * looked up in a table that takes every address for local, and so stay inside.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { errorText, hasCode } from "../base/errors.ts";
import { log } from "../base/log.ts";
import type { NetdClient } from "../netd/client.ts";
import { linkByName } from "../netlink/link.ts";
import { addRoute } from "../netlink/route.ts";
import { addRule } from "../netlink/rule.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { sysError } from "../sys/errno.ts";
import { closeSocket, IP_OPTION, IPPROTO, IPV6_OPTION, LEVEL, openSocket, SO, setInt } from "../sys/inet.ts";
import { SOCK } from "../sys/socket.ts";
import type { UserModePlan } from "./user-mode.ts";

/** The mark, and the table that it leads to. */
const MARK = 0x706f7274;
const TABLE = 0x706f7274;
/** Before the rule of the main table (32766) and any that a person would write. */
const PRIORITY = 1;
/** Callers at a time, of each family; more take the way through the stack. */
const SOCKETS = { 4: 64, 6: 32 } as const;

/**
 * Prepares the calling thread's network namespace and makes the sockets, of IPv6 too where the container has it. None where the
 * kernel or our rights do not allow it: then callers take the other way.
 */
export function openTransparent(families: readonly (4 | 6)[]): number[] {
  const fds: number[] = [];
  try {
    using nl = new NetlinkSocket();
    const lo = linkByName(nl, "lo")!.index;
    writeSysctl("ipv4/tcp_fwmark_accept");
    for (const family of families) {
      writeSysctl(`ipv${family}/fwmark_reflect`);
      const dst = family === 4 ? "0.0.0.0/0" : "::/0";
      unlessThere(() => addRule(nl, { family, priority: PRIORITY, table: TABLE, mark: MARK }));
      unlessThere(() => addRoute(nl, { dst, index: lo, table: TABLE, type: "local", scope: "host" }));
      for (let count = 0; count < SOCKETS[family]; count++) fds.push(open(family));
    }
    return fds;
  } catch (error) {
    for (const fd of fds) closeSocket(fd);
    log.debug(`published ports are served by the user-mode stack alone: ${errorText(error)}`);
    return [];
  }
}

/** Those in which the container has an address of its own. */
export const familiesOf = ({ guest }: UserModePlan): (4 | 6)[] => [
  ...(guest.ipv4 ? [4 as const] : []),
  ...(guest.ipv6 ? [6 as const] : []),
];

/** Gives the sockets to the data plane, for its tap `key`; here they are closed. */
export async function giveTransparent(
  netd: NetdClient,
  key: string,
  sockets: readonly number[],
): Promise<void> {
  try {
    if (sockets.length > 0) await netd.addTransparent(`${key}:inside`, key, sockets);
  } finally {
    for (const fd of sockets) closeSocket(fd);
  }
}

function writeSysctl(name: string): void {
  const path = `/proc/sys/net/${name}`;
  if (readFileSync(path, "utf8").trim() !== "1") writeFileSync(path, "1");
}

function unlessThere(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
}

function open(family: 4 | 6): number {
  const fd = openSocket(family, SOCK.STREAM, IPPROTO.TCP);
  if (fd < 0) throw sysError("socket", -fd);
  const options = [
    family === 4
      ? ([LEVEL.IP, IP_OPTION.TRANSPARENT, 1] as const)
      : ([LEVEL.IPV6, IPV6_OPTION.TRANSPARENT, 1] as const),
    [LEVEL.SOCKET, SO.MARK, MARK],
    // The port is chosen for the whole connection, and given up with it.
    [LEVEL.IP, IP_OPTION.BIND_ADDRESS_NO_PORT, 1],
  ] as const;
  for (const [level, name, value] of options) {
    const result = setInt(fd, level, name, value);
    if (result < 0) {
      closeSocket(fd);
      throw sysError("setsockopt", -result);
    }
  }
  return fd;
}
