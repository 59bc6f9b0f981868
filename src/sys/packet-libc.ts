/**
 * The C library's functions of the packet path. Unlike those of `libc.ts` they take buffers as addresses, so that a part
 * of a buffer costs no new view: `addressOf(buffer) + start`, computed in the call itself and never kept (rule 1 of this
 * room's README; every buffer here is a view over an explicit `ArrayBuffer`, and its owner keeps it). Loaded only by who
 * moves packets.
 */
import { dlopen, type FFIFunction } from "bun:ffi";

const I = "i32" as const;
const P = "ptr" as const;
const U = "u32" as const;
const N = "u64_fast" as const;
const S = "i64_fast" as const;

const DECLARATIONS = {
  read: { args: [I, P, N], returns: S },
  write: { args: [I, P, N], returns: S },
  memcpy: { args: [P, P, N], returns: P },
  writev: { args: [I, P, I], returns: S },
  send: { args: [I, P, N, I], returns: S },
  recv: { args: [I, P, N, I], returns: S },
  sendmsg: { args: [I, P, I], returns: S },
  recvmsg: { args: [I, P, I], returns: S },
  socket: { args: [I, I, I], returns: I },
  bind: { args: [I, P, U], returns: I },
  connect: { args: [I, P, U], returns: I },
  accept4: { args: [I, P, P, I], returns: I },
  getsockname: { args: [I, P, P], returns: I },
  getsockopt: { args: [I, I, I, P, P], returns: I },
  setsockopt: { args: [I, I, I, P, U], returns: I },
  shutdown: { args: [I, I], returns: I },
  close: { args: [I], returns: I },
  pipe2: { args: [P, I], returns: I },
  splice: { args: [I, P, I, P, N, U], returns: S },
  fcntl: { args: [I, I, N], returns: I },
  dup3: { args: [I, I, I], returns: I },
  epoll_create1: { args: [I], returns: I },
  epoll_ctl: { args: [I, I, I, P], returns: I },
  epoll_wait: { args: [I, P, I, I], returns: I },
  ioctl: { args: [I, N, N], returns: I },
  inotify_init1: { args: [I], returns: I },
  inotify_add_watch: { args: [I, P, U], returns: I },
  inotify_rm_watch: { args: [I, I], returns: I },
  eventfd: { args: [U, I], returns: I },
  getrlimit: { args: [I, P], returns: I },
  setrlimit: { args: [I, P], returns: I },
} as const;

type Declarations = typeof DECLARATIONS;
/** A pointer is an address of a living buffer, or 0 for NULL. */
type Numbers<A extends readonly unknown[]> = { -readonly [I in keyof A]: number };

export const packetLibc = dlopen("libc.so.6", DECLARATIONS as unknown as Record<string, FFIFunction>)
  .symbols as unknown as {
  readonly [K in keyof Declarations]: (...args: Numbers<Declarations[K]["args"]>) => number;
};
