/** The network service's socket in the run directory. Who binds it starts the service, and hands it over listening. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "../base/errors.ts";
import { closeFd, O, openFd } from "../sys/fd.ts";
import { AF, bind, connect, listen, SOCK, socket, unixAddress } from "../sys/socket.ts";

export const SOCKET_NAME = "netd.sock";
/** What the service says; beside the socket. */
export const LOG_NAME = "netd.log";
const BACKLOG = 128;
const MAX_PATH = 107;
const OWNER_ONLY = 0o177;

/** A connection to the service, close-on-exec; undefined when nobody listens. */
export function connectService(runRoot: string): number | undefined {
  const fd = socket(AF.UNIX, SOCK.SEQPACKET);
  try {
    withAddress(runRoot, address => connect(fd, address, join(runRoot, SOCKET_NAME)));
    return fd;
  } catch (error) {
    closeFd(fd);
    if (hasCode(error, "ENOENT", "ECONNREFUSED")) return undefined;
    throw error;
  }
}

/** True when somebody listens: a service, or a data plane that is about to start the next one. */
export function isServing(runRoot: string): boolean {
  const fd = connectService(runRoot);
  if (fd !== undefined) closeFd(fd);
  return fd !== undefined;
}

/** Binds it, in place of one that nobody listens on, and listens; mode 0600. Gives its descriptor. */
export function bindService(runRoot: string): number {
  const path = join(runRoot, SOCKET_NAME);
  rmSync(path, { force: true });
  const fd = socket(AF.UNIX, SOCK.SEQPACKET | SOCK.NONBLOCK);
  const mask = process.umask(OWNER_ONLY);
  try {
    withAddress(runRoot, address => bind(fd, address, path));
    listen(fd, BACKLOG);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  } finally {
    process.umask(mask);
  }
}

/** Addresses hold 107 bytes of path (unix(7)), and directories may be called what they like. */
function withAddress(runRoot: string, use: (address: Uint8Array) => void): void {
  const path = join(runRoot, SOCKET_NAME);
  if (Buffer.byteLength(path) <= MAX_PATH) {
    use(unixAddress(path));
    return;
  }
  const directory = openFd(runRoot, O.PATH | O.DIRECTORY);
  try {
    use(unixAddress(`/proc/self/fd/${directory}/${SOCKET_NAME}`));
  } finally {
    closeFd(directory);
  }
}
