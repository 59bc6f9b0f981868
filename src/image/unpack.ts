/**
 * Unpacks one layer (OCI image-spec, layer.md) into an empty directory.
 *
 * It runs in a process of its own (untar-main.ts) that has made that directory its root (chroot(2)) before it reads the first byte: no
 * name, link or device in a layer can reach outside, whatever it says. Layers are trusted no further than that.
 *
 * Whiteouts become the marks that the store's file system takes (marks.ts). Overlay attributes that a layer brings itself
 * are dropped. Owners are set before modes (chown clears set-user-id), capabilities after owners, times of directories last.
 *
 * In a user namespace, devices can't be made and are left out, and so are attributes that only the machine's root may set.
 * An owner that the namespace has not is refused, or becomes its root where that was asked for.
 *
 * Two things can't be settled here, since a layer is unpacked once for all the images that have it: hard links to files
 * of the layers below, and the owners and modes of directories that are named only in passing. They are reported as
 * loose ends (patch.ts).
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeSync,
} from "node:fs";
import { hasCode } from "../base/errors.ts";
import { lchown, mknod, S_IFBLK, S_IFCHR, S_IFIFO, setMtime, setXattr } from "../sys/file.ts";
import { hasId, type IdMapping, idMap, inInitialUserNamespace } from "../sys/user-namespace.ts";
import {
  hide,
  isOverlaysOwn,
  isWhiteout,
  type Marks,
  makeOpaque,
  OPAQUE_MARK,
  unhide,
  WHITEOUT,
} from "./marks.ts";
import { type TarEntry, TarError, type TarReader } from "./tar.ts";

const MAX_ID = 0xfffffffe;
/** Of Linux (`MKDEV`). */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;
const MAX_SYMLINKS = 40;

/** What only the layers below can settle. */
export interface LooseEnds {
  /** Directories that the layer names only in passing. */
  parents: string[];
  /** Hard links, each with its target that is not in the layer. */
  links: [path: string, target: string][];
}

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

function checkDevice(path: string, { major, minor }: TarEntry): void {
  if (!(major >= 0 && major <= MAX_MAJOR && minor >= 0 && minor <= MAX_MINOR))
    throw new TarError(`${path} is the device ${major}:${minor}, which can't be`);
}

export interface UnpackOptions {
  marks: Marks;
  /** Files of owners that the user namespace has not are given to its root. */
  squash: boolean;
}

/** Unpacks one layer into `/`, which is the layer's directory by then. */
export class Unpacker {
  readonly #marks: Marks;
  readonly #squash: boolean;
  readonly #isLimited = !inInitialUserNamespace();
  readonly #uids: readonly IdMapping[] = idMap("uid");
  readonly #gids: readonly IdMapping[] = idMap("gid");
  /** Directories whose times can be set only when nothing more is put into them. */
  readonly #directories = new Map<string, TarEntry>();
  readonly #parents = new Set<string>(["/"]);
  readonly #links = new Map<string, string>();
  /** Devices that can't be made here, and hard links to them. */
  readonly #leftOut = new Set<string>();

  /** To be made before the chroot: it reads /proc. */
  constructor({ marks, squash }: UnpackOptions) {
    this.#marks = marks;
    this.#squash = squash;
  }

  /** Reads it to its end. Throws TarError and what the kernel says. */
  unpack(reader: TarReader): LooseEnds {
    for (let entry = reader.next(); entry; entry = reader.next()) this.#entry(reader, entry);
    for (const [path, entry] of [...this.#directories].reverse()) {
      if (!stat(path)?.isDirectory()) continue;
      chmodSync(path, entry.mode);
      setMtime(path, entry.mtime.seconds, entry.mtime.nanoseconds);
    }
    return {
      parents: [...this.#parents].filter(path => stat(path)?.isDirectory()),
      // A directory on the way may have become a link since.
      links: [...this.#links].filter(([path]) => !stat(path) && this.#resolve(path) === path),
    };
  }

  #entry(reader: TarReader, entry: TarEntry): void {
    const path = cleanPath(entry.path);
    if (!(entry.uid >= 0 && entry.uid <= MAX_ID && entry.gid >= 0 && entry.gid <= MAX_ID))
      throw new TarError(`${path} belongs to ${entry.uid}:${entry.gid}, which is no user or group`);
    const slash = path.lastIndexOf("/");
    const [parent, name] = [path.slice(0, slash) || "/", path.slice(slash + 1)];
    if (name === "") {
      if (entry.type !== "directory") throw new TarError(`a ${entry.type} in place of the root directory`);
      this.#directory("/", entry, stat("/"));
      return;
    }
    if (name.startsWith(WHITEOUT)) {
      this.#whiteout(parent, name);
      return;
    }
    this.#ensureParent(parent);
    if (this.#links.size > 0) this.#links.delete(this.#resolve(path));
    const existing = stat(path);
    if (this.#leftOut.size > 0) this.#leftOut.delete(this.#resolve(path));
    const wasHidden = unhide(path, existing, this.#marks);
    if (entry.type === "directory") this.#directory(path, entry, wasHidden ? undefined : existing, wasHidden);
    else {
      if (existing) rmSync(path, { recursive: true, force: true });
      this.#node(reader, path, entry);
    }
  }

  /** Makes an entry's owner the owner of what lies at `path`. */
  #give(path: string, entry: TarEntry): void {
    this.#checkOwner(path, entry);
    try {
      lchown(path, entry.uid, entry.gid);
    } catch (error) {
      if (!hasCode(error, "EPERM")) throw error;
      throw new TarError(
        `the store's file system refuses to give ${path} to ${entry.uid}:${entry.gid}: name a directory on another one by --root`,
      );
    }
  }

  /** Words as Podman's users know them: the number of ids that a user has is theirs to change. */
  #checkOwner(path: string, entry: TarEntry): void {
    const [hasUid, hasGid] = [hasId(this.#uids, entry.uid), hasId(this.#gids, entry.gid)];
    if (hasUid && hasGid) return;
    if (!this.#squash)
      throw new TarError(
        `potentially insufficient UIDs or GIDs available in user namespace (requested ${entry.uid}:${entry.gid} for ${path}): Check /etc/subuid and /etc/subgid, then run "portolan system migrate"`,
      );
    if (!hasUid) entry.uid = 0;
    if (!hasGid) entry.gid = 0;
  }

  /** A whiteout hides what older layers have; what this layer brings itself stays. */
  #whiteout(parent: string, name: string): void {
    this.#ensureParent(parent);
    if (name === OPAQUE_MARK) {
      makeOpaque(parent, this.#marks);
      return;
    }
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw new TarError(`${parent}/${name} is no whiteout that makes sense`);
    const path = `${parent === "/" ? "" : parent}/${hidden}`;
    const existing = stat(path);
    if (existing?.isDirectory()) this.#makeOpaque(path);
    else if (!existing && !this.#links.has(this.#resolve(path))) hide(path, this.#marks);
  }

  /** Makes the directories that the layer names only in passing. */
  #ensureParent(path: string, symlinks = 0): void {
    if (path === "/") return;
    const existing = stat(path);
    if (existing?.isDirectory()) return;
    const above = path.slice(0, path.lastIndexOf("/")) || "/";
    this.#ensureParent(above, symlinks);
    if (existing?.isSymbolicLink()) {
      // The directory it means may be of a lower layer, and nothing of it be here yet.
      if (symlinks === MAX_SYMLINKS) throw new TarError(`${path}: too many levels of symbolic links`);
      const target = readlinkSync(path);
      this.#ensureParent(cleanPath(target.startsWith("/") ? target : `${above}/${target}`), symlinks + 1);
      return;
    }
    const wasHidden = unhide(path, existing, this.#marks);
    if (existing && !wasHidden) throw new TarError(`${path}: not a directory`);
    mkdirSync(path, { mode: 0o755 });
    if (wasHidden) this.#makeOpaque(path);
    else this.#parents.add(path);
  }

  /** A directory that was removed and made anew has nothing of the one below. */
  #makeOpaque(path: string): void {
    makeOpaque(path, this.#marks);
    this.#parents.delete(path);
  }

  /** `path` with the links of this layer on its way followed; its last part is left as it is. */
  #resolve(path: string): string {
    let at = "/";
    const rest = path.split("/").filter(Boolean);
    for (let symlinks = 0; rest.length > 0; ) {
      const part = rest.shift()!;
      const next = cleanPath(`${at}/${part}`);
      if (rest.length === 0 || !stat(next)?.isSymbolicLink()) at = next;
      else {
        if (++symlinks > MAX_SYMLINKS) throw new TarError(`${path}: too many levels of symbolic links`);
        const target = readlinkSync(next);
        if (target.startsWith("/")) at = "/";
        rest.unshift(...target.split("/").filter(Boolean));
      }
    }
    return at;
  }

  #directory(path: string, entry: TarEntry, existing: Stats | undefined, wasHidden = false): void {
    if (!existing?.isDirectory()) {
      if (existing) rmSync(path, { force: true });
      mkdirSync(path, { mode: 0o700 });
      if (wasHidden) this.#makeOpaque(path);
    }
    this.#parents.delete(path);
    this.#give(path, entry);
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
        this.#link(path, cleanPath(entry.linkPath));
        return;
      case "symlink":
        symlinkSync(entry.linkPath, path);
        break;
      case "fifo":
        mknod(path, S_IFIFO | 0o600, 0, 0);
        break;
      case "char":
      case "block":
        if (!this.#device(path, entry)) return;
        break;
      case "directory":
        return;
    }
    this.#give(path, entry);
    if (entry.type !== "symlink") chmodSync(path, entry.mode);
    this.#xattrs(path, entry);
    setMtime(path, entry.mtime.seconds, entry.mtime.nanoseconds);
  }

  /** Makes a device; false where none is made: one that hides what is below, or any in a user namespace. */
  #device(path: string, entry: TarEntry): boolean {
    const { type, major, minor } = entry;
    checkDevice(path, entry);
    if (type === "char" && major === 0 && minor === 0) hide(path, this.#marks);
    else if (this.#isLimited) this.#leftOut.add(this.#resolve(path));
    else {
      mknod(path, (type === "char" ? S_IFCHR : S_IFBLK) | 0o600, major, minor);
      return true;
    }
    return false;
  }

  /** The target keeps its own owner and mode, whatever the entry says of them. */
  #link(path: string, target: string): void {
    const existing = stat(target);
    if (!existing || isWhiteout(existing)) {
      const [from, to] = [this.#resolve(path), this.#resolve(target)];
      if (from === to) throw new TarError(`${path} is a hard link to itself`);
      if (this.#leftOut.has(to)) this.#leftOut.add(from);
      else this.#links.set(from, this.#links.get(to) ?? to);
    } else if (existing.isDirectory()) throw new TarError(`${path} is a hard link to a directory`);
    else linkSync(target, path);
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
      if (entry.uid !== 0 || entry.gid !== 0) this.#give(path, entry);
      fchmodSync(fd, entry.mode);
    } finally {
      closeSync(fd);
    }
    this.#xattrs(path, entry);
    setMtime(path, entry.mtime.seconds, entry.mtime.nanoseconds);
  }

  #xattrs(path: string, entry: TarEntry): void {
    for (const [name, value] of entry.xattrs) {
      if (isOverlaysOwn(name)) continue;
      try {
        setXattr(path, name, value);
      } catch (error) {
        // Labels of a security module that this host has not are no loss.
        if (!hasCode(error, "EOPNOTSUPP") && !(this.#isLimited && hasCode(error, "EPERM"))) throw error;
      }
    }
  }
}
