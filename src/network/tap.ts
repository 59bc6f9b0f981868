/** The container's end of a user-mode network: the tap in its namespace, with addresses and routes. */
import { writeFileSync } from "node:fs";
import { hasCode, SysError, UserError } from "../base/errors.ts";
import { setUpInterface } from "../netlink/set-up.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { closeFd } from "../sys/fd.ts";
import { openTap } from "../sys/tun.ts";
import { bringLoopbackUp } from "./loopback.ts";
import type { UserModePlan } from "./user-mode.ts";

const DEVICE = "/dev/net/tun";

/**
 * Makes the plan's tap in the calling thread's network namespace, or opens it where it is there already, and gives its
 * descriptor. It is persistent: should the data plane be lost, the container keeps interface, addresses and routes, and
 * the tap can be opened again.
 */
export function openPlannedTap({ ifName: name, mtu, mac, addresses, routes }: UserModePlan): number {
  const { fd } = open(name);
  try {
    bringLoopbackUp();
    ignoreAdvertisements(name);
    using nl = new NetlinkSocket();
    setUpInterface(nl, { name, mtu, ...(mac ? { mac } : {}), addresses, routes });
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/**
 * The addresses are known, and there shall be no others: with a second one of IPv6 the kernel would answer datagrams from
 * either. Where sysctls are closed to us the container has both.
 */
function ignoreAdvertisements(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/accept_ra`, "0");
  } catch (error) {
    if (!hasCode(error, "ENOENT", "EACCES", "EPERM", "EROFS")) throw error;
  }
}

function open(name: string) {
  try {
    return openTap(name, { persist: true });
  } catch (error) {
    throw error instanceof SysError ? explained(error, name) : error;
  }
}

function explained(error: SysError, name: string): UserError {
  const fail = (message: string, hint?: string) =>
    new UserError(`can't make the container's network interface: ${message}`, { hint, cause: error });
  if (error.syscall === "open" && error.code === "EACCES")
    return fail(
      `${DEVICE} is closed to this user`,
      `let users open it (as root: chmod 666 ${DEVICE}), or take --network host or none`,
    );
  if (error.syscall === "open")
    return fail(
      `${DEVICE} is not there (${error.code})`,
      "load the kernel's module (as root: modprobe tun), or take --network host or none",
    );
  return error.code === "EBUSY" ? fail(`${name} is in use`) : fail(error.message);
}
