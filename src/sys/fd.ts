/** File descriptors: opening, reading, writing, flags, pipes, readiness. Descriptors are plain numbers, close-on-exec. */
import { check, ERRNO, sysError } from "./errno.ts";
import { errnoNow, libc } from "./libc.ts";
import { bytes, cstr } from "./mem.ts";

export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  /** A file without a name, in the directory that is opened. */
  TMPFILE: 0o20200000,
} as const;

const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const FD_CLOEXEC = 1;

/** open(2) with O_CLOEXEC. */
export function openFd(path: string, flags: number, mode = 0o600): number {
  return check(libc.open(cstr(path), flags | O.CLOEXEC, mode), "open", path);
}

/** close(2); a descriptor that is closed already is an error of ours, so it throws. */
export function closeFd(fd: number): void {
  check(libc.close(fd), "close", String(fd));
}

/** read(2) into `buffer`: the number of bytes, 0 at the end; retried when a signal interrupts it. */
export function readFd(fd: number, buffer: Uint8Array): number {
  for (;;) {
    const count = libc.read(fd, buffer, buffer.byteLength);
    if (count >= 0) return count;
    if (errnoNow() !== ERRNO.EINTR) return check(count, "read", String(fd));
  }
}

/**
 * A short file's bytes into `buffer`, by three system calls, for who reads a thousand of them: their number, or undefined
 * where there is no such file. What does not fit is left out.
 */
export function readShortFile(path: string, buffer: Uint8Array): number | undefined {
  const fd = libc.open(cstr(path), O.RDONLY | O.CLOEXEC, 0);
  if (fd < 0) {
    const errno = errnoNow();
    if (errno === ERRNO.ENOENT) return undefined;
    throw sysError("open", errno, path);
  }
  try {
    return readFd(fd, buffer);
  } finally {
    libc.close(fd);
  }
}

/** Writes all of `data`, however many calls that takes. */
export function writeFd(fd: number, data: Uint8Array): void {
  let done = 0;
  while (done < data.byteLength) {
    const count = libc.write(fd, data.subarray(done), data.byteLength - done);
    if (count >= 0) done += count;
    else if (errnoNow() !== ERRNO.EINTR) check(count, "write", String(fd));
  }
}

/** pipe2(2): `[read end, write end]`, both close-on-exec. */
export function pipe(): [number, number] {
  const pair = new Int32Array(new ArrayBuffer(8));
  check(libc.pipe2(pair, O.CLOEXEC), "pipe2");
  return [pair[0]!, pair[1]!];
}

/** dup3(2): puts `from` in the place of `over`, which programs that are started inherit; `from` itself is closed. */
export function moveFd(from: number, over: number): void {
  check(libc.dup3(from, over, 0), "dup3", `${from}, ${over}`);
  closeFd(from);
}

/** Sets or clears close-on-exec. */
export function setCloseOnExec(fd: number, on: boolean): void {
  const flags = check(libc.fcntl(fd, F_GETFD, 0), "fcntl", String(fd));
  check(libc.fcntl(fd, F_SETFD, on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC), "fcntl", String(fd));
}

/** Sets or clears O_NONBLOCK, which belongs to the open file: all descriptors of it see the change. */
export function setNonBlocking(fd: number, on: boolean): void {
  const flags = check(libc.fcntl(fd, F_GETFL, 0), "fcntl", String(fd));
  check(libc.fcntl(fd, F_SETFL, on ? flags | O.NONBLOCK : flags & ~O.NONBLOCK), "fcntl", String(fd));
}

/** Waits up to `timeoutMs` (-1: for ever) for `fd` to become readable or to hang up. */
export function waitReadable(fd: number, timeoutMs: number): boolean {
  const POLLIN = 1;
  const pollfd = bytes(8);
  const view = new DataView(pollfd.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, POLLIN, true);
  for (;;) {
    const ready = libc.poll(pollfd, 1, timeoutMs);
    if (ready >= 0) return ready > 0;
    if (errnoNow() !== ERRNO.EINTR) check(ready, "poll");
  }
}

/** ioctl(2) with a pointer argument. */
export function ioctl(fd: number, request: number, argument: Uint8Array | null): number {
  return check(libc.ioctl(fd, request, argument), "ioctl", `0x${request.toString(16)}`);
}
