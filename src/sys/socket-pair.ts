/** Two connected Unix sockets (socketpair(2)) that keep packets apart and carry descriptors. */
import { check } from "./errno.ts";
import { libc } from "./libc.ts";
import { AF, SOCK } from "./socket.ts";

/** Both ends, blocking, close-on-exec (SOCK_SEQPACKET: one send is one receive, and the end is seen). */
export function socketPair(): [number, number] {
  const pair = new Int32Array(new ArrayBuffer(8));
  check(libc.socketpair(AF.UNIX, SOCK.SEQPACKET | SOCK.CLOEXEC, 0, pair), "socketpair");
  return [pair[0]!, pair[1]!];
}
