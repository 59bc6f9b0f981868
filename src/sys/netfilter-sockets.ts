/**
 * Netfilter sockets (netlink(7), NETLINK_NETFILTER) that are closed without a wait.
 *
 * When one is closed, the kernel first takes down whatever nftables objects anybody has removed a moment ago, and for that
 * lets an RCU grace period pass: some 10 ms, which a process whose last deed was a removal spends in its exit. So the
 * sockets are sent to where nobody can ever receive them: over a pair of Unix sockets, together with an end of that pair.
 * They are open for as long as that is not found to be rubbish, which the kernel's collector of such sockets finds when the
 * pair is closed, and it then closes them in its own time (since Linux 6.9; before that at once, as if nothing had been sent).
 */
import { readdirSync } from "node:fs";
import { errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { closeFd } from "./fd.ts";
import { libc } from "./libc.ts";
import { bytes } from "./mem.ts";
import { sendFds } from "./scm-rights.ts";
import { AF, SOL_SOCKET } from "./socket.ts";
import { socketPair } from "./socket-pair.ts";

const SO_PROTOCOL = 38;
const SO_DOMAIN = 39;
const NETLINK_NETFILTER = 12;

/** What getsockopt(2) says of a descriptor; undefined where that is no socket. */
function option(fd: number, name: number): number | undefined {
  const value = bytes(4);
  const length = new Uint8Array(Uint32Array.of(4).buffer);
  if (libc.getsockopt(fd, SOL_SOCKET, name, value, length) < 0) return undefined;
  return new DataView(value.buffer).getInt32(0, true);
}

/** Those of this process, which a library may have opened. */
function netfilterSockets(): number[] {
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter(fd => option(fd, SO_DOMAIN) === AF.NETLINK && option(fd, SO_PROTOCOL) === NETLINK_NETFILTER);
}

/** Sends copies of those sockets where nobody receives them; gives the descriptors that hold them there, which may be none. */
function sentAway(): number[] {
  const sockets = netfilterSockets();
  if (sockets.length === 0) return [];
  const pair = socketPair();
  try {
    sendFds(pair[0], [pair[1], ...sockets]);
  } catch (error) {
    for (const fd of pair) closeFd(fd);
    throw error;
  }
  return pair;
}

/** Runs `close`, which closes netfilter sockets of this process, and does not wait for what the kernel does then. */
export function withoutWait(close: () => void): void {
  let holders: number[] = [];
  try {
    holders = sentAway();
  } catch (error) {
    // Too many descriptors, or a rule against such sockets: then there is a wait, and nothing else is amiss.
    log.debug(errorText(error));
  }
  close();
  for (const fd of holders) closeFd(fd);
}
