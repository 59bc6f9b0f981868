/** Who is at the other end of a Unix socket (unix(7)). */
import { check } from "./errno.ts";
import { libc } from "./libc.ts";
import { bytes } from "./mem.ts";
import { SOL_SOCKET } from "./socket.ts";

const SO_PEERCRED = 17;

/** `struct ucred`: the peer when it connected, in the numbers of this process's namespaces. */
export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

export function peerCredentials(fd: number): PeerCredentials {
  const credentials = bytes(12);
  const length = bytes(4);
  const view = new DataView(credentials.buffer);
  new DataView(length.buffer).setUint32(0, credentials.length, true);
  check(libc.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length), "getsockopt", "SO_PEERCRED");
  return { pid: view.getInt32(0, true), uid: view.getUint32(4, true), gid: view.getUint32(8, true) };
}
