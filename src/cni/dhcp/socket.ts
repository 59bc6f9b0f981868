/** The daemon's socket as seen from outside, and what lies beside it. */
import { dirname, join } from "node:path";
import { hasCode } from "../../base/errors.ts";
import { closeFd } from "../../sys/fd.ts";
import { AF, connect, SOCK, socket, unixAddress } from "../../sys/socket.ts";

/** The directory of the leases that the daemon at this socket keeps. */
export const leasesBeside = (path: string) => join(dirname(path), "dhcp-leases");

/** True when somebody listens. */
export function isServed(path: string): boolean {
  const fd = socket(AF.UNIX, SOCK.STREAM);
  try {
    connect(fd, unixAddress(path), path);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT", "ECONNREFUSED")) return false;
    throw error;
  } finally {
    closeFd(fd);
  }
}
