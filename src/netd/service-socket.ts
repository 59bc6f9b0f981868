/** The network service's socket in the run directory. Who binds it starts the service, and hands it over listening. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "../base/errors.ts";
import { closeFd } from "../sys/fd.ts";
import { AF, bind, connect, listen, SOCK, socket, unixAddress } from "../sys/socket.ts";

export const SOCKET_NAME = "netd.sock";
/** What the service says; beside the socket. */
export const LOG_NAME = "netd.log";
const BACKLOG = 128;
const OWNER_ONLY = 0o177;

/** A connection to the service, close-on-exec; undefined when nobody listens. */
export function connectService(runRoot: string): number | undefined {
  const path = join(runRoot, SOCKET_NAME);
  const fd = socket(AF.UNIX, SOCK.SEQPACKET);
  try {
    connect(fd, unixAddress(path), path);
    return fd;
  } catch (error) {
    closeFd(fd);
    if (hasCode(error, "ENOENT", "ECONNREFUSED")) return undefined;
    throw error;
  }
}

/** Binds it, in place of one that nobody listens on, and listens; mode 0600. Gives its descriptor. */
export function bindService(runRoot: string): number {
  const path = join(runRoot, SOCKET_NAME);
  const address = unixAddress(path);
  rmSync(path, { force: true });
  const fd = socket(AF.UNIX, SOCK.SEQPACKET | SOCK.NONBLOCK);
  const mask = process.umask(OWNER_ONLY);
  try {
    bind(fd, address, path);
    listen(fd, BACKLOG);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  } finally {
    process.umask(mask);
  }
}
