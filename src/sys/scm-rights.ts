/** Descriptors passed from process to process over a Unix socket (SCM_RIGHTS, unix(7)). */
import { check, ERRNO, sysError } from "./errno.ts";
import { errnoNow, libc } from "./libc.ts";
import { bytes } from "./mem.ts";
import { controlSpace, MessageHeader } from "./message.ts";
import { MSG, SOL_SOCKET } from "./socket.ts";

const SCM_RIGHTS = 1;
const MSG_CTRUNC = 8;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** Sends `fds` with `data`, which holds at least one byte (a stream carries no descriptors without). Ours stay open. */
export function sendFds(socket: number, fds: readonly number[], data: Uint8Array = Uint8Array.of(0)): void {
  const numbers = Int32Array.from(fds);
  const header = new MessageHeader(0, controlSpace(numbers.byteLength));
  const copy = bytes(data.length);
  copy.set(data);
  header.setData(copy, 0, copy.length);
  header.controlLength = header.putControl(0, SOL_SOCKET, SCM_RIGHTS, new Uint8Array(numbers.buffer));
  for (;;) {
    const sent = libc.sendmsg(socket, header.bytes, MSG.NOSIGNAL);
    if (sent === copy.length) return;
    const errno = sent < 0 ? errnoNow() : ERRNO.EMSGSIZE;
    if (errno !== ERRNO.EINTR) throw sysError("sendmsg", errno, "SCM_RIGHTS");
  }
}

export interface ReceivedFds {
  /** What was sent with them; empty at the end of the connection. */
  data: Uint8Array;
  /** Close-on-exec; the receiver closes them. */
  fds: number[];
}

/** Receives one message of up to `size` bytes with up to `most` descriptors; waits for it on a blocking socket. */
export function receiveFds(socket: number, most = 16, size = 4096): ReceivedFds {
  const header = new MessageHeader(0, controlSpace(most * 4));
  const data = bytes(size);
  header.setData(data, 0, size);
  for (;;) {
    header.controlLength = header.control.length;
    const count = libc.recvmsg(socket, header.bytes, MSG_CMSG_CLOEXEC);
    if (count < 0 && errnoNow() === ERRNO.EINTR) continue;
    check(count, "recvmsg", "SCM_RIGHTS");
    const fds: number[] = [];
    const at = header.findControl(SOL_SOCKET, SCM_RIGHTS);
    for (let offset = 0; at >= 0 && offset < header.controlDataLength(at); offset += 4)
      fds.push(header.controlView.getInt32(at + offset, true));
    if (header.flags & MSG_CTRUNC) {
      for (const fd of fds) libc.close(fd);
      throw sysError("recvmsg", ERRNO.EMFILE, "more descriptors than expected");
    }
    return { data: data.slice(0, count), fds };
  }
}
