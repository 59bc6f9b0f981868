/** The C library's functions by which a process gives up what it may do. Opened only by programs that do so. */
import { dlopen, type FFIFunction } from "bun:ffi";

const DECLARATIONS = {
  capget: { args: ["ptr", "ptr"], returns: "i32" },
  capset: { args: ["ptr", "ptr"], returns: "i32" },
  close_range: { args: ["u32", "u32", "i32"], returns: "i32" },
  pivot_root: { args: ["ptr", "ptr"], returns: "i32" },
  mount_setattr: { args: ["i32", "ptr", "u32", "ptr", "u64_fast"], returns: "i32" },
  prlimit64: { args: ["i32", "i32", "ptr", "ptr"], returns: "i32" },
  /** Declared for seccomp(2) alone: number, operation, flags, `struct sock_fprog`. */
  syscall: { args: ["i64_fast", "u32", "u32", "ptr"], returns: "i64_fast" },
} as const;

type Declarations = typeof DECLARATIONS;
type Argument<T> = T extends "ptr" ? NodeJS.TypedArray | null : number;
type Arguments<A extends readonly unknown[]> = { -readonly [I in keyof A]: Argument<A[I]> };

export const confineLibc = dlopen("libc.so.6", DECLARATIONS as unknown as Record<string, FFIFunction>)
  .symbols as unknown as {
  readonly [K in keyof Declarations]: (...args: Arguments<Declarations[K]["args"]>) => number;
};
