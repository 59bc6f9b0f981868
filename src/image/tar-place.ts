/**
 * Puts what a tar archive holds into directories that are there: what lies in its way is replaced, directories are joined.
 * No entry leads out of `base`: `..` is of no use, and links on the way are followed only where that is asked for, by a
 * process whose root is the container's.
 */
import {
  chmodSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import { lchown, mknod, S_IFIFO, setMtime, setXattr } from "../sys/file.ts";
import { isOverlaysOwn } from "./marks.ts";
import type { TarEntry, TarReader } from "./tar.ts";
import { cleanPath } from "./unpack.ts";

export interface PlaceOptions {
  /** To whom what comes as `uid:gid` shall belong. */
  owner: (uid: number, gid: number) => { uid: number; gid: number };
  /** A directory may take the place of something else, and the reverse. */
  overwrite: boolean;
  /** Links among the directories that are there lead on. */
  follow: boolean;
}

/** Places every entry below `base`. Throws UserError where something is in the way. Devices are passed over. */
export function placeTar(reader: TarReader, base: string, options: PlaceOptions): void {
  new Placer(base === "/" ? "" : base, options).place(reader);
}

class Placer {
  /** Directories, whose times can be set only when nothing more is put into them. */
  readonly #directories = new Map<string, TarEntry>();

  constructor(
    private readonly base: string,
    private readonly options: PlaceOptions,
  ) {}

  place(reader: TarReader): void {
    for (let entry = reader.next(); entry; entry = reader.next()) this.#entry(reader, entry);
    for (const [path, { mode, mtime }] of [...this.#directories].reverse()) {
      chmodSync(path, mode);
      setMtime(path, mtime.seconds, mtime.nanoseconds);
    }
  }

  #entry(reader: TarReader, entry: TarEntry): void {
    if (entry.type === "char" || entry.type === "block") return;
    const clean = cleanPath(entry.path);
    const path = clean === "/" ? this.base || "/" : `${this.base}${clean}`;
    if (clean !== "/") this.#way(dirname(clean));
    if (entry.type === "directory") {
      this.#directory(path, entry);
      return;
    }
    let existing = lstatSync(path, { throwIfNoEntry: false });
    if (existing?.isDirectory()) {
      if (!this.options.overwrite)
        throw new UserError(`copier: put: error creating ${JSON.stringify(path)}: file exists`);
      rmSync(path, { recursive: true });
      existing = undefined;
    }
    if (entry.type === "file") this.#file(reader, path, existing);
    else {
      if (existing) rmSync(path, { force: true });
      if (entry.type === "link") {
        const target = cleanPath(entry.linkPath);
        this.#way(dirname(target));
        linkSync(`${this.base}${target}`, path);
        return;
      }
      if (entry.type === "symlink") symlinkSync(entry.linkPath, path);
      else mknod(path, S_IFIFO | 0o600, 0, 0);
    }
    this.#attributes(path, entry);
    if (entry.type !== "symlink") chmodSync(path, entry.mode);
    setMtime(path, entry.mtime.seconds, entry.mtime.nanoseconds);
  }

  /** What is at `path`, through a link where links lead on. */
  #look(path: string): Stats | undefined {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    return stats?.isSymbolicLink() && this.options.follow
      ? (statSync(path, { throwIfNoEntry: false }) ?? stats)
      : stats;
  }

  /** Makes the directories that an entry lies in, where they are missing. */
  #way(clean: string): void {
    let path = this.base;
    for (const part of clean.split("/").filter(Boolean)) {
      path += `/${part}`;
      const stats = this.#look(path);
      if (!stats) {
        mkdirSync(path, { mode: 0o755 });
        this.#own(path, 0, 0);
      } else if (!stats.isDirectory()) throw notDirectory(path);
    }
  }

  #directory(path: string, entry: TarEntry): void {
    let existing = this.#look(path);
    if (existing && !existing.isDirectory()) {
      if (!this.options.overwrite) throw notDirectory(path);
      rmSync(path);
      existing = undefined;
    }
    if (!existing) mkdirSync(path, { mode: 0o700 });
    this.#attributes(path, entry);
    this.#directories.set(path, entry);
  }

  #file(reader: TarReader, path: string, existing: Stats | undefined): void {
    let flags = constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_CREAT;
    try {
      // A program that runs keeps the file that it was.
      if (existing) rmSync(path, { recursive: true });
      flags |= constants.O_EXCL;
    } catch (error) {
      // Something is mounted there.
      if (!hasCode(error, "EBUSY")) throw error;
      flags |= constants.O_TRUNC;
    }
    const fd = openSync(path, flags, 0o600);
    try {
      for (let piece = reader.chunk(); piece; piece = reader.chunk())
        for (let done = 0; done < piece.length; ) done += writeSync(fd, piece, done);
    } finally {
      closeSync(fd);
    }
  }

  #own(path: string, uid: number, gid: number): void {
    const owner = this.options.owner(uid, gid);
    lchown(path, owner.uid, owner.gid);
  }

  /** Owner, then what a change of owner would take away. */
  #attributes(path: string, entry: TarEntry): void {
    this.#own(path, entry.uid, entry.gid);
    for (const [name, value] of entry.xattrs)
      try {
        if (!isOverlaysOwn(name)) setXattr(path, name, value);
      } catch (error) {
        // What this file system or this user can't have.
        if (!hasCode(error, "EOPNOTSUPP", "EPERM")) throw error;
      }
  }
}

const notDirectory = (path: string) =>
  new UserError(`copier: put: error creating ${JSON.stringify(path)}: ${path} exists but is not a directory`);
