/** Files of a directory tree as entries of a tar archive, written as they are read: no file is held in memory. */
import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from "node:fs";
import { hasCode, UserError } from "../base/errors.ts";
import { getXattr } from "../sys/file.ts";
import { plainXattrs } from "./attributes.ts";
import { END, type EntryType, padding, type TarEntry } from "./tar.ts";
import { entryHeader } from "./tar-entry.ts";

const BUFFER = 1 << 18;

export interface TreeOptions {
  /** Whose a file is in the archive; as it is on the disk where nothing is said. */
  owner?: (uid: number, gid: number) => { uid: number; gid: number };
  /** False: devices are left out. */
  devices?: boolean;
  /** Whoever changes the tree meanwhile must not lead us elsewhere: what is opened has to be what was meant. Needs /proc. */
  checked?: boolean;
  /** Whole seconds, for archives whose digest counts. */
  wholeSeconds?: boolean;
}

export class TarTree {
  readonly #buffer = Buffer.alloc(BUFFER);
  /** Names of files with several, by device and inode. */
  readonly #linked = new Map<string, string>();

  /** `write` takes all that it is given before it returns. */
  constructor(
    private readonly write: (data: Uint8Array) => void,
    private readonly options: TreeOptions = {},
  ) {}

  /** `path` as the entry `name`, with all that is below it. What no archive can hold (a socket) is left out. */
  add(path: string, name: string): void {
    const stats = lstatSync(path, { bigint: true });
    this.one(path, name, stats);
    if (stats.isDirectory()) this.below(path, `${name}/`);
  }

  /** What is in the directory `path`, each name behind `prefix`, in the order of names. What vanishes meanwhile is left out. */
  below(path: string, prefix: string): void {
    for (const child of readdirSync(path).sort())
      try {
        this.add(`${path === "/" ? "" : path}/${child}`, `${prefix}${child}`);
      } catch (error) {
        if (!hasCode(error, "ENOENT")) throw error;
      }
  }

  /** One entry, without what is below it. */
  one(path: string, name: string, stats: BigIntStats = lstatSync(path, { bigint: true })): void {
    const type = typeOf(stats);
    if (!type || (this.options.devices === false && (type === "char" || type === "block"))) return;
    const key = `${stats.dev}:${stats.ino}`;
    const first = type !== "directory" && stats.nlink > 1n ? this.#linked.get(key) : undefined;
    if (first !== undefined) {
      this.write(
        entryHeader({ ...this.#entry(path, name, stats, "link"), linkPath: first, xattrs: new Map() }),
      );
      return;
    }
    if (type !== "directory" && stats.nlink > 1n) this.#linked.set(key, name);
    if (type === "file") this.#file(path, name, stats);
    else this.write(entryHeader(this.#entry(path, name, stats, type)));
  }

  /** An empty file, such as one that marks what a layer hides. */
  empty(name: string): void {
    this.write(entryHeader({ ...NOTHING, type: "file", path: name, xattrs: new Map() }));
  }

  end(): void {
    this.write(END);
  }

  #entry(path: string, name: string, stats: BigIntStats, type: EntryType): TarEntry {
    const { owner, wholeSeconds } = this.options;
    const ids = { uid: Number(stats.uid), gid: Number(stats.gid) };
    const second = 1_000_000_000n;
    const nanoseconds = ((stats.mtimeNs % second) + second) % second;
    return {
      ...NOTHING,
      ...(owner ? owner(ids.uid, ids.gid) : ids),
      type,
      path: type === "directory" ? `${name}/` : name,
      linkPath: type === "symlink" ? readlinkSync(path) : "",
      mode: Number(stats.mode) & 0o7777,
      mtime: {
        seconds: Number((stats.mtimeNs - nanoseconds) / second),
        nanoseconds: wholeSeconds ? 0 : Number(nanoseconds),
      },
      // makedev(3), undone.
      major: Number((stats.rdev >> 8n) & 0xfffn),
      minor: Number((stats.rdev & 0xffn) | ((stats.rdev >> 12n) & 0xfff00n)),
      xattrs: new Map(
        plainXattrs(path).map(attribute => [attribute, getXattr(path, attribute) ?? new Uint8Array()]),
      ),
    };
  }

  /** A file that shrinks while it is read is filled up with zeros; of one that grows, what it had comes along. */
  #file(path: string, name: string, stats: BigIntStats): void {
    const entry = this.#entry(path, name, stats, "file");
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      if (this.options.checked && readlinkSync(`/proc/self/fd/${fd}`) !== path)
        throw new UserError(`${path} was replaced while it was read`);
      const size = Number(stats.size);
      this.write(entryHeader({ ...entry, size }));
      for (let left = size; left > 0; ) {
        const wanted = Math.min(left, BUFFER);
        const count = readSync(fd, this.#buffer, 0, wanted, null);
        if (count === 0) this.#buffer.fill(0, 0, wanted);
        this.write(this.#buffer.subarray(0, count || wanted));
        left -= count || wanted;
      }
      this.write(padding(size));
    } finally {
      closeSync(fd);
    }
  }
}

const NOTHING = {
  linkPath: "",
  size: 0,
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  major: 0,
  minor: 0,
};

function typeOf(stats: BigIntStats): EntryType | undefined {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  if (stats.isSymbolicLink()) return "symlink";
  if (stats.isFIFO()) return "fifo";
  if (stats.isCharacterDevice()) return "char";
  return stats.isBlockDevice() ? "block" : undefined;
}
