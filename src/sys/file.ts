/** What node:fs lacks of files: ownership of links, device nodes, extended attributes, exact times, file-system facts. */
import { check, ERRNO, sysError } from "./errno.ts";
import { errnoNow, libc } from "./libc.ts";
import { bytes, cstr } from "./mem.ts";

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;

/** lchown(2): the link itself, not what it points to. Ids up to 2^32-2. */
export function lchown(path: string, uid: number, gid: number): void {
  check(libc.fchownat(AT_FDCWD, cstr(path), uid, gid, AT_SYMLINK_NOFOLLOW), "lchown", path);
}

/** mknod(2). `mode` holds the type (`S_IFCHR | 0o666`). */
export function mknod(path: string, mode: number, major: number, minor: number): void {
  const device = (minor & 0xff) + major * 256 + Math.floor(minor / 256) * 0x100000;
  check(libc.mknod(cstr(path), mode, device), "mknod", path);
}

/** lsetxattr(2). */
export function setXattr(path: string, name: string, value: Uint8Array): void {
  check(libc.lsetxattr(cstr(path), cstr(name), value, value.byteLength, 0), "lsetxattr", `${path} ${name}`);
}

/** lgetxattr(2); undefined when the attribute is not there or the file system has none. */
export function getXattr(path: string, name: string): Uint8Array | undefined {
  const buffer = bytes(65536);
  const size = libc.lgetxattr(cstr(path), cstr(name), buffer, buffer.byteLength);
  if (size >= 0) return buffer.slice(0, size);
  const errno = errnoNow();
  if (errno === ERRNO.ENODATA || errno === ERRNO.EOPNOTSUPP) return undefined;
  throw sysError("lgetxattr", errno, `${path} ${name}`);
}

/** Is the attribute there? */
export function hasXattr(path: string, name: string): boolean {
  const size = libc.lgetxattr(cstr(path), cstr(name), null, 0);
  if (size >= 0) return true;
  const errno = errnoNow();
  if (errno === ERRNO.ENODATA || errno === ERRNO.EOPNOTSUPP) return false;
  throw sysError("lgetxattr", errno, `${path} ${name}`);
}

/** llistxattr(2): the names. */
export function listXattrs(path: string): string[] {
  const buffer = bytes(65536);
  const size = check(libc.llistxattr(cstr(path), buffer, buffer.byteLength), "llistxattr", path);
  return new TextDecoder().decode(buffer.subarray(0, size)).split("\0").filter(Boolean);
}

/** lremovexattr(2). */
export function removeXattr(path: string, name: string): void {
  check(libc.lremovexattr(cstr(path), cstr(name)), "lremovexattr", `${path} ${name}`);
}

/** Sets the modification time, in seconds and nanoseconds since 1970 (either sign), of a file or of the link itself. */
export function setMtime(path: string, seconds: number, nanoseconds = 0): void {
  const times = bytes(32);
  const view = new DataView(times.buffer);
  for (const offset of [0, 16]) {
    view.setBigInt64(offset, BigInt(seconds), true);
    view.setBigInt64(offset + 8, BigInt(nanoseconds), true);
  }
  check(libc.utimensat(AT_FDCWD, cstr(path), times, AT_SYMLINK_NOFOLLOW), "utimensat", path);
}

export interface FileSystemFacts {
  /** Magic number of the type (statfs(2)): 0x794c7630 overlay, 0xef53 ext4, 0x01021994 tmpfs. */
  type: number;
  blockSize: number;
  /** Blocks in all, free, and free to an ordinary user. */
  blocks: number;
  free: number;
  available: number;
  /** Of the mount: `ST_NOEXEC` and so on. */
  flags: number;
}

/** Flags of statfs(2). */
export const ST_NOEXEC = 8;

/** statfs(2). */
export function fileSystemOf(path: string): FileSystemFacts {
  const buffer = bytes(120);
  check(libc.statfs(cstr(path), buffer), "statfs", path);
  const view = new DataView(buffer.buffer);
  return {
    type: Number(view.getBigInt64(0, true)),
    blockSize: Number(view.getBigInt64(8, true)),
    blocks: Number(view.getBigUint64(16, true)),
    free: Number(view.getBigUint64(24, true)),
    available: Number(view.getBigUint64(32, true)),
    flags: Number(view.getBigInt64(80, true)),
  };
}
