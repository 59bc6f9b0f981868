/** splice(2): bytes go from one socket to another by way of a pipe, and are never in this process's memory. */
import { ERRNO } from "./errno.ts";
import { errnoNow } from "./libc.ts";
import { addressOf, bytes } from "./mem.ts";
import { packetLibc } from "./packet-libc.ts";

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const F_SETPIPE_SZ = 1031;
const SPLICE_F_MOVE = 1;
const SPLICE_F_NONBLOCK = 2;
const SPLICE_F_MORE = 4;

/** Bytes that a pipe is asked to hold; the kernel may not let a user have so much (pipe-user-pages-soft). */
export const PIPE_SIZE = 1 << 20;

export interface Pipe {
  read: number;
  write: number;
}

const pair = bytes(8);
const pairView = new DataView(pair.buffer);

/** A pipe as large as can be had; a negative errno when there is none. */
export function openPipe(): Pipe | number {
  if (packetLibc.pipe2(addressOf(pair), O_NONBLOCK | O_CLOEXEC) < 0) return -errnoNow();
  const write = pairView.getInt32(4, true);
  packetLibc.fcntl(write, F_SETPIPE_SZ, PIPE_SIZE);
  return { read: pairView.getInt32(0, true), write };
}

export function closePipe({ read, write }: Pipe): void {
  packetLibc.close(read);
  packetLibc.close(write);
}

/** Moves up to `length` bytes, one end being a pipe's: how many, 0 at the end of the input, or a negative errno. */
export function splicePart(from: number, to: number, length: number, more = false): number {
  const flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0);
  for (;;) {
    const moved = packetLibc.splice(from, 0, to, 0, length, flags);
    if (moved >= 0) return moved;
    const errno = errnoNow();
    if (errno !== ERRNO.EINTR) return -errno;
  }
}
