/**
 * Unpacks one layer (OCI image-spec, layer.md) into an empty directory.
 *
 * It runs in a process of its own that has made that directory its root (chroot(2)) before it reads the first byte: no
 * name, link or device in a layer can reach outside, whatever it says. Layers are trusted no further than that.
 *
 * Whiteouts become what overlayfs understands: a character device 0:0 hides a name, `trusted.overlay.opaque` a
 * directory's older contents. Overlay attributes that a layer brings itself are dropped. Owners are set before modes
 * (chown clears set-user-id), capabilities after owners, times of directories last.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeSync,
} from "node:fs";
import { errorText, hasCode } from "../base/errors.ts";
import { writeErr } from "../base/stdio.ts";
import { lchown, mknod, S_IFBLK, S_IFCHR, S_IFIFO, setMtime, setXattr } from "../sys/file.ts";
import { enterRoot } from "../sys/process.ts";
import { type TarEntry, TarError, TarReader } from "./tar.ts";

const OPAQUE_MARK = ".wh..wh..opq";
const WHITEOUT = ".wh.";
const YES = new TextEncoder().encode("y");
const MAX_ID = 0xfffffffe;

/** `a//./b/../c` → `/a/c`; what climbs above the root stays at the root. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function stat(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

const isWhiteout = (one: Stats) => one.isCharacterDevice() && one.rdev === 0;

class Unpacker {
  /** Directories whose times can be set only when nothing more is put into them. */
  readonly #directories = new Map<string, TarEntry>();

  unpack(reader: TarReader): void {
    for (let entry = reader.next(); entry; entry = reader.next()) this.#entry(reader, entry);
    for (const [path, entry] of [...this.#directories].reverse()) {
      if (!stat(path)?.isDirectory()) continue;
      chmodSync(path, entry.mode);
      setMtime(path, entry.mtime.seconds, entry.mtime.nanoseconds);
    }
  }

  #entry(reader: TarReader, entry: TarEntry): void {
    const path = cleanPath(entry.path);
    if (entry.uid > MAX_ID || entry.gid > MAX_ID)
      throw new TarError(`${path} belongs to ${entry.uid}:${entry.gid}, which is no user or group`);
    const slash = path.lastIndexOf("/");
    const [parent, name] = [path.slice(0, slash) || "/", path.slice(slash + 1)];
    if (name === "") {
      if (entry.type === "directory") this.#directories.set("/", entry);
      return;
    }
    if (name.startsWith(WHITEOUT)) {
      this.#whiteout(parent, name);
      return;
    }
    this.#ensureParent(parent);
    const existing = stat(path);
    if (entry.type === "directory") this.#directory(path, entry, existing);
    else {
      if (existing) rmSync(path, { recursive: true, force: true });
      this.#node(reader, path, entry);
    }
  }

  /** A whiteout hides what older layers have; what this layer brings itself stays. */
  #whiteout(parent: string, name: string): void {
    this.#ensureParent(parent);
    if (name === OPAQUE_MARK) {
      setXattr(parent, "trusted.overlay.opaque", YES);
      return;
    }
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw new TarError(`${parent}/${name} is no whiteout that makes sense`);
    const path = `${parent === "/" ? "" : parent}/${hidden}`;
    const existing = stat(path);
    if (!existing) mknod(path, S_IFCHR, 0, 0);
    else if (existing.isDirectory()) setXattr(path, "trusted.overlay.opaque", YES);
  }

  /** Directories that the layer names only in passing. */
  #ensureParent(path: string): void {
    if (path === "/") return;
    const existing = stat(path);
    if (existing?.isDirectory() || existing?.isSymbolicLink()) return;
    this.#ensureParent(path.slice(0, path.lastIndexOf("/")) || "/");
    if (existing) rmSync(path, { force: true });
    mkdirSync(path, { mode: 0o755 });
    if (existing && isWhiteout(existing)) setXattr(path, "trusted.overlay.opaque", YES);
  }

  #directory(path: string, entry: TarEntry, existing: Stats | undefined): void {
    if (!existing?.isDirectory()) {
      if (existing) rmSync(path, { force: true });
      mkdirSync(path, { mode: 0o700 });
      if (existing && isWhiteout(existing)) setXattr(path, "trusted.overlay.opaque", YES);
    }
    lchown(path, entry.uid, entry.gid);
    this.#xattrs(path, entry);
    this.#directories.delete(path);
    this.#directories.set(path, entry);
  }

  #node(reader: TarReader, path: string, entry: TarEntry): void {
    switch (entry.type) {
      case "file":
        this.#file(reader, path, entry);
        return;
      case "link":
        // The target keeps its own owner and mode, whatever this entry says of them.
        linkSync(cleanPath(entry.linkPath), path);
        return;
      case "symlink":
        symlinkSync(entry.linkPath, path);
        break;
      case "fifo":
        mknod(path, S_IFIFO | 0o600, 0, 0);
        break;
      case "char":
        mknod(path, S_IFCHR | 0o600, entry.major, entry.minor);
        break;
      case "block":
        mknod(path, S_IFBLK | 0o600, entry.major, entry.minor);
        break;
      case "directory":
        return;
    }
    lchown(path, entry.uid, entry.gid);
    if (entry.type !== "symlink") chmodSync(path, entry.mode);
    this.#xattrs(path, entry);
    setMtime(path, entry.mtime.seconds, entry.mtime.nanoseconds);
  }

  #file(reader: TarReader, path: string, entry: TarEntry): void {
    const fd = openSync(
      path,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    try {
      for (let piece = reader.chunk(); piece; piece = reader.chunk())
        for (let done = 0; done < piece.length; ) done += writeSync(fd, piece, done);
      if (entry.uid !== 0 || entry.gid !== 0) fchownSync(fd, entry.uid, entry.gid);
      fchmodSync(fd, entry.mode);
    } finally {
      closeSync(fd);
    }
    this.#xattrs(path, entry);
    setMtime(path, entry.mtime.seconds, entry.mtime.nanoseconds);
  }

  #xattrs(path: string, entry: TarEntry): void {
    for (const [name, value] of entry.xattrs) {
      if (/^(user|trusted)\.overlay\./.test(name)) continue;
      try {
        setXattr(path, name, value);
      } catch (error) {
        // Labels of a security module that this host has not are no loss.
        if (!hasCode(error, "EOPNOTSUPP")) throw error;
      }
    }
  }
}

/** The child: `__untar DIRECTORY`, with the tar on standard input. */
export function untarMain(args: readonly string[]): number {
  try {
    process.umask(0);
    enterRoot(args[0]!);
    const reader = new TarReader(buffer => readSync(0, buffer));
    new Unpacker().unpack(reader);
    // What follows the end mark is read to its end, so that the writer is not cut off.
    const rest = new Uint8Array(65536);
    while (readSync(0, rest) > 0);
    return 0;
  } catch (error) {
    writeErr(errorText(error));
    return 1;
  }
}
