/** Names of Linux error numbers (asm-generic/errno-base.h, errno.h). */
import { SysError } from "../base/errors.ts";
import { errnoNow } from "./libc.ts";

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  EDOM: 33,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EOVERFLOW: 75,
  EBADFD: 77,
  EUSERS: 87,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTONOSUPPORT: 93,
  ESOCKTNOSUPPORT: 94,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ESTALE: 116,
  EDQUOT: 122,
} as const;

/** Made when first asked for: a loop that long has the runtime compile it, which most commands are over before. */
let names: Map<number, string> | undefined;

/** `2` → `"ENOENT"`; `"E999"` for a number that this table does not hold. */
export function errnoName(errno: number): string {
  names ??= new Map(Object.entries(ERRNO).map(([name, number]) => [number, name]));
  return names.get(errno) ?? `E${errno}`;
}

const MEANINGS: Record<string, string> = {
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  ESRCH: "no such process",
  EACCES: "permission denied",
  EBUSY: "device or resource busy",
  EEXIST: "file exists",
  ENODEV: "no such device",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  EINVAL: "invalid argument",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
  ENAMETOOLONG: "file name too long",
  ENOTEMPTY: "directory not empty",
  ELOOP: "too many levels of symbolic links",
  EOPNOTSUPP: "operation not supported",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  ENETUNREACH: "network is unreachable",
  ECONNREFUSED: "connection refused",
  EHOSTUNREACH: "no route to host",
  EIO: "input/output error",
  EMFILE: "too many open files",
  ENOMEM: "cannot allocate memory",
  ETIMEDOUT: "timed out",
};

/** The SysError for a positive errno, worded as strerror(3) would. */
export function sysError(syscall: string, errno: number, subject = ""): SysError {
  const code = errnoName(errno);
  return new SysError(syscall, errno, code, subject, MEANINGS[code] ?? code);
}

/** Passes a result of 0 or more through; reads errno and throws a SysError otherwise. */
export function check(result: number, syscall: string, subject = ""): number {
  if (result >= 0) return result;
  throw sysError(syscall, errnoNow(), subject);
}
