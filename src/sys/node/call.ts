/** How a call of the C library is made for `node:fs`'s functions: paths in, its errors out. */
import { ERRNO, errnoName } from "../errno.ts";
import { errnoNow } from "../libc.ts";
import { bytes } from "../mem.ts";

/** The runtime's own module, for what is not done here. */
export const runtimes = () => process.getBuiltinModule("node:fs");

export const AT_FDCWD = -100;

/** What the runtime says of the usual errors; of others it is asked. */
const MEANINGS: Partial<Record<string, string>> = {
  EACCES: "permission denied",
  EAGAIN: "resource temporarily unavailable",
  EBADF: "bad file descriptor",
  EEXIST: "file already exists",
  EINVAL: "invalid argument",
  EISDIR: "illegal operation on a directory",
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  ENOTEMPTY: "directory not empty",
  EPERM: "operation not permitted",
  EPIPE: "broken pipe",
  ESRCH: "no such process",
};

/** The error that `node:fs` throws for an errno. */
export function failure(errno: number, syscall: string, path?: string, dest?: string): Error {
  const name = errnoName(errno);
  const [code, meaning] = MEANINGS[name]
    ? [name, MEANINGS[name]]
    : (process.getBuiltinModule("node:util").getSystemErrorMap().get(-errno) ?? [name, "unknown error"]);
  const about = `${path ? ` '${path}'` : ""}${dest ? ` -> '${dest}'` : ""}`;
  const error = new Error(`${code}: ${meaning}, ${syscall}${about}`);
  return Object.assign(error, { code, ...(path && { path }), ...(dest && { dest }), syscall, errno: -errno });
}

/** Passes a result of 0 or more through. */
export function checked(result: number, syscall: string, path?: string, dest?: string): number {
  if (result >= 0) return result;
  throw failure(errnoNow(), syscall, path, dest);
}

/** The call again for as long as a signal interrupts it. */
export function again(call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0 || errnoNow() !== ERRNO.EINTR) return result;
  }
}

export const encoder = new TextEncoder();
const LONGEST_PATH = 4096;
const places = [bytes(LONGEST_PATH), bytes(LONGEST_PATH)] as const;

/** The path for one call: its bytes lie in one of two places that the next call overwrites. Of `isUsual` paths only. */
export function spelled(path: string, place: 0 | 1 = 0): Uint8Array<ArrayBuffer> {
  const buffer = places[place];
  buffer[encoder.encodeInto(path, buffer).written] = 0;
  return buffer;
}

/** A path that is none of those which the runtime has words of its own for, and is not three bytes a character too long. */
export function isUsual(path: unknown): path is string {
  return typeof path === "string" && path !== "" && path.length * 3 < LONGEST_PATH && !path.includes("\0");
}
