/** What is in a directory and what it is, as `node:fs` tells and changes it. */
import type { Dirent, PathLike } from "node:fs";
import { ERRNO } from "../errno.ts";
import { O } from "../fd.ts";
import { errnoNow, libc } from "../libc.ts";
import { bytes, cstr } from "../mem.ts";
import { AT_FDCWD, again, checked, failure, isUsual, runtimes, spelled } from "./call.ts";
import { DirectoryEntry, FileStats, type Listed, listed, STATX_SIZE } from "./stats.ts";

type Fs = typeof import("node:fs");

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS_AND_BIRTH = 0xfff;

const statx = new DataView(bytes(STATX_SIZE).buffer);
const statxBytes = new Uint8Array(statx.buffer);

interface StatOptions {
  throwIfNoEntry?: boolean;
  bigint?: boolean;
}

function status(syscall: "statSync" | "lstatSync", flags: number, path: PathLike, options: StatOptions) {
  if (options.bigint || !isUsual(path)) return runtimes()[syscall](path, options) as FileStats | undefined;
  if (libc.statx(AT_FDCWD, spelled(path), flags, STATX_BASIC_STATS_AND_BIRTH, statxBytes) === 0)
    return new FileStats(statx);
  const errno = errnoNow();
  if (options.throwIfNoEntry === false && errno === ERRNO.ENOENT) return undefined;
  throw failure(errno, syscall.slice(0, -4), path);
}

export const statSync = ((path: PathLike, options: StatOptions = {}) =>
  status("statSync", 0, path, options)) as unknown as Fs["statSync"];

export const lstatSync = ((path: PathLike, options: StatOptions = {}) =>
  status("lstatSync", AT_SYMLINK_NOFOLLOW, path, options)) as unknown as Fs["lstatSync"];

export function fstatSync(fd: number): FileStats {
  checked(libc.statx(fd, spelled(""), AT_EMPTY_PATH, STATX_BASIC_STATS_AND_BIRTH, statxBytes), "fstat");
  return new FileStats(statx);
}

const F_OK = 0;

export function existsSync(path: PathLike): boolean {
  return isUsual(path) ? libc.access(spelled(path), F_OK) === 0 : runtimes().existsSync(path);
}

export function accessSync(path: string, mode = F_OK): void {
  if (!isUsual(path)) runtimes().accessSync(path, mode);
  else checked(libc.access(spelled(path), mode), "access", path);
}

/** One call with one path. */
const simple =
  <Rest extends readonly unknown[]>(
    name: "chmodSync" | "chownSync" | "unlinkSync",
    call: (path: Uint8Array, ...rest: Rest) => number,
  ) =>
  (path: PathLike, ...rest: Rest): void => {
    if (!isUsual(path)) (runtimes()[name] as (...words: unknown[]) => void)(path, ...rest);
    else checked(call(spelled(path), ...rest), name.slice(0, -4), path);
  };

export const chmodSync = simple("chmodSync", (path, mode: number) => libc.chmod(path, mode));
export const chownSync = simple("chownSync", (path, uid: number, gid: number) => libc.chown(path, uid, gid));
export const unlinkSync = simple("unlinkSync", path => libc.unlink(path));

export function rmdirSync(path: string): void {
  if (!isUsual(path)) runtimes().rmdirSync(path);
  else checked(libc.rmdir(spelled(path)), "rmdir", path);
}

/** One call with two paths. */
const double =
  (name: "linkSync" | "renameSync" | "symlinkSync", call: (one: Uint8Array, other: Uint8Array) => number) =>
  (one: string, other: string): void => {
    if (!(isUsual(one) && isUsual(other))) runtimes()[name](one, other);
    else checked(call(spelled(one, 0), spelled(other, 1)), name.slice(0, -4), one, other);
  };

export const linkSync = double("linkSync", (from, to) => libc.link(from, to));
export const renameSync = double("renameSync", (from, to) => libc.rename(from, to));
export const symlinkSync = double("symlinkSync", (target, path) => libc.symlink(target, path));

export function fchmodSync(fd: number, mode: number): void {
  checked(libc.fchmod(fd, mode), "fchmod");
}

export function fsyncSync(fd: number): void {
  checked(libc.fsync(fd), "fsync");
}

const LINK_SIZE = 4096;
const decoder = new TextDecoder();

export function readlinkSync(path: PathLike): string {
  if (!isUsual(path)) return runtimes().readlinkSync(path);
  const target = bytes(LINK_SIZE);
  const length = checked(libc.readlink(spelled(path), target, target.byteLength), "readlink", path);
  return decoder.decode(target.subarray(0, length));
}

function isDirectory(path: string): boolean {
  const isThere = libc.statx(AT_FDCWD, spelled(path), 0, STATX_BASIC_STATS_AND_BIRTH, statxBytes) === 0;
  return isThere && new FileStats(statx).isDirectory();
}

/** The first directory that had to be made, if any; without `recursive` nothing. */
export function mkdirSync(
  path: string,
  { mode = 0o777, recursive = false }: { mode?: number; recursive?: boolean } = {},
): string | undefined {
  if (!isUsual(path)) return runtimes().mkdirSync(path, { mode, recursive });
  if (libc.mkdir(spelled(path), mode) === 0) return recursive ? path : undefined;
  const errno = errnoNow();
  if (recursive && errno === ERRNO.EEXIST && isDirectory(path)) return undefined;
  // Parents to make, and the usual one's reasons why not, are the runtime's.
  if (recursive && errno === ERRNO.ENOENT) {
    const slash = path.lastIndexOf("/");
    const parent = path.slice(0, slash);
    if (slash > 0 && slash < path.length - 1 && isUsual(parent)) {
      const first = mkdirSync(parent, { mode, recursive });
      if (libc.mkdir(spelled(path), mode) === 0) return first ?? path;
    }
    return runtimes().mkdirSync(path, { mode, recursive });
  }
  throw failure(errno, "mkdir", path);
}

const LISTING_SIZE = 32_768;
let listing: Uint8Array<ArrayBuffer> | undefined;

/** The entries of an open directory. */
function entriesOf(fd: number): Listed[] {
  listing ??= bytes(LISTING_SIZE);
  const entries: Listed[] = [];
  for (;;) {
    const length = checked(libc.getdents64(fd, listing, LISTING_SIZE), "scandir");
    if (length === 0) return entries;
    entries.push(...listed(listing, length));
  }
}

function entry({ name, type }: Listed, directory: string): DirectoryEntry {
  const seen = type || lstatSync(`${directory}/${name}`).mode;
  return new DirectoryEntry(name, directory, seen);
}

export function readdirSync(path: PathLike): string[];
export function readdirSync(path: PathLike, options: { withFileTypes: true; recursive?: boolean }): Dirent[];
export function readdirSync(
  path: PathLike,
  options?: { withFileTypes: true; recursive?: boolean },
): string[] | Dirent[] {
  if (!isUsual(path) || options?.recursive) return runtimes().readdirSync(path, options!);
  const flags = O.RDONLY | O.DIRECTORY | O.CLOEXEC;
  const fd = checked(
    again(() => libc.open(spelled(path), flags, 0)),
    "scandir",
    path,
  );
  try {
    const entries = entriesOf(fd);
    return options?.withFileTypes
      ? (entries.map(one => entry(one, path)) as unknown as Dirent[])
      : entries.map(({ name }) => name);
  } finally {
    libc.close(fd);
  }
}

/** Removes `name` in an open directory with all that is in it; false where something does not let it. */
function removeTree(directory: number, name: Uint8Array): boolean {
  if (libc.unlinkat(directory, name, 0) === 0) return true;
  const errno = errnoNow();
  if (errno === ERRNO.ENOENT) return true;
  if (errno !== ERRNO.EISDIR) return false;
  if (libc.unlinkat(directory, name, AT_REMOVEDIR) === 0) return true;
  const fd = libc.openat(directory, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW | O.CLOEXEC, 0);
  if (fd < 0) return false;
  try {
    if (!entriesOf(fd).every(({ name: one }) => removeTree(fd, cstr(one)))) return false;
  } finally {
    libc.close(fd);
  }
  return libc.unlinkat(directory, name, AT_REMOVEDIR) === 0;
}

export function rmSync(path: string, options: { recursive?: boolean; force?: boolean } = {}): void {
  if (isUsual(path)) {
    if (libc.unlink(spelled(path)) === 0) return;
    const errno = errnoNow();
    if (errno === ERRNO.ENOENT && options.force) return;
    if (errno === ERRNO.ENOENT) throw failure(errno, "lstat", path);
    if (errno === ERRNO.EISDIR && options.recursive && removeTree(AT_FDCWD, cstr(path))) return;
  }
  // What is still there, and why it can't go.
  runtimes().rmSync(path, options);
}
