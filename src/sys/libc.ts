/**
 * The C library's functions that this room wraps. Nothing outside `sys/` imports this file.
 *
 * `ssize_t` results are `i64_fast` (a number, not a bigint), lengths `u64_fast`; pointers take typed arrays or null.
 */
import { dlopen, type FFIFunction, type Pointer, read } from "bun:ffi";

const I = "i32" as const;
const P = "ptr" as const;
const U = "u32" as const;
const N = "u64_fast" as const;
const S = "i64_fast" as const;

const DECLARATIONS = {
  __errno_location: { args: [], returns: P },
  open: { args: [P, I, U], returns: I },
  close: { args: [I], returns: I },
  read: { args: [I, P, N], returns: S },
  write: { args: [I, P, N], returns: S },
  fcntl: { args: [I, I, S], returns: I },
  ioctl: { args: [I, N, P], returns: I },
  pipe2: { args: [P, I], returns: I },
  dup3: { args: [I, I, I], returns: I },
  poll: { args: [P, N, I], returns: I },
  flock: { args: [I, I], returns: I },
  setns: { args: [I, I], returns: I },
  unshare: { args: [I], returns: I },
  unlinkat: { args: [I, P, I], returns: I },
  sethostname: { args: [P, N], returns: I },
  mount: { args: [P, P, P, N, P], returns: I },
  umount2: { args: [P, I], returns: I },
  chroot: { args: [P], returns: I },
  chdir: { args: [P], returns: I },
  mknod: { args: [P, U, N], returns: I },
  fchownat: { args: [I, P, U, U, I], returns: I },
  lsetxattr: { args: [P, P, P, N, I], returns: I },
  lgetxattr: { args: [P, P, P, N], returns: S },
  llistxattr: { args: [P, P, N], returns: S },
  lremovexattr: { args: [P, P], returns: I },
  utimensat: { args: [I, P, P, I], returns: I },
  statfs: { args: [P, P], returns: I },
  socket: { args: [I, I, I], returns: I },
  bind: { args: [I, P, U], returns: I },
  connect: { args: [I, P, U], returns: I },
  listen: { args: [I, I], returns: I },
  getsockname: { args: [I, P, P], returns: I },
  send: { args: [I, P, N, I], returns: S },
  sendto: { args: [I, P, N, I, P, U], returns: S },
  recv: { args: [I, P, N, I], returns: S },
  sendmsg: { args: [I, P, I], returns: S },
  recvmsg: { args: [I, P, I], returns: S },
  socketpair: { args: [I, I, I, P], returns: I },
  shutdown: { args: [I, I], returns: I },
  setsockopt: { args: [I, I, I, P, U], returns: I },
  getsockopt: { args: [I, I, I, P, P], returns: I },
  prctl: { args: [I, N, N, N, N], returns: I },
  execve: { args: [P, P, P], returns: I },
  madvise: { args: [N, N, I], returns: I },
  signal: { args: [I, S], returns: S },
  waitpid: { args: [I, P, I], returns: I },
  if_nametoindex: { args: [P], returns: U },
} as const;

type Declarations = typeof DECLARATIONS;
type Argument<T> = T extends "ptr" ? NodeJS.TypedArray | null : number;
type Arguments<A extends readonly unknown[]> = { -readonly [I in keyof A]: Argument<A[I]> };

/** Stricter than what bun:ffi infers: a pointer argument is a typed array or null, never an address. */
type Libc = {
  readonly [K in keyof Declarations]: (
    ...args: Arguments<Declarations[K]["args"]>
  ) => Declarations[K]["returns"] extends "ptr" ? Pointer | null : number;
};

export const libc = dlopen("libc.so.6", DECLARATIONS as unknown as Record<string, FFIFunction>)
  .symbols as unknown as Libc;

const errnoLocation = libc.__errno_location()!;

/** The calling thread's errno. Read it straight after the call that failed. */
export function errnoNow(): number {
  return read.i32(errnoLocation, 0);
}
