/** What a file is (statx(2)) and what a directory holds (getdents64(2)), in the form that `node:fs` gives them. */

const TYPE_MASK = 0o170000;
const FIFO = 0o010000;
const CHARACTER_DEVICE = 0o020000;
const DIRECTORY = 0o040000;
const BLOCK_DEVICE = 0o060000;
const FILE = 0o100000;
const LINK = 0o120000;
const SOCKET = 0o140000;

/** A type of file, asked for as `node:fs` lets one ask. */
abstract class OfType {
  /** The bits of a mode that say it. */
  protected abstract typeBits(): number;

  isFile(): boolean {
    return this.typeBits() === FILE;
  }
  isDirectory(): boolean {
    return this.typeBits() === DIRECTORY;
  }
  isSymbolicLink(): boolean {
    return this.typeBits() === LINK;
  }
  isFIFO(): boolean {
    return this.typeBits() === FIFO;
  }
  isSocket(): boolean {
    return this.typeBits() === SOCKET;
  }
  isCharacterDevice(): boolean {
    return this.typeBits() === CHARACTER_DEVICE;
  }
  isBlockDevice(): boolean {
    return this.typeBits() === BLOCK_DEVICE;
  }
}

/** Bytes of a `struct statx`. */
export const STATX_SIZE = 256;

const wide = (view: DataView, at: number) =>
  view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);

const milliseconds = (view: DataView, at: number) =>
  Number(view.getBigInt64(at, true)) * 1000 + view.getUint32(at + 8, true) / 1e6;

/** A device's number as makedev(3) composes it from major and minor, which lie at `at`. */
function device(view: DataView, at: number): number {
  const major = view.getUint32(at, true);
  const minor = view.getUint32(at + 4, true);
  return (minor & 0xff) + (major & 0xfff) * 0x100 + Math.floor(minor / 0x100) * 0x10_0000;
}

/** A filled `struct statx` as `fs.Stats`. */
export class FileStats extends OfType {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly birthtimeMs: number;

  constructor(view: DataView) {
    super();
    this.dev = device(view, 136);
    this.ino = wide(view, 32);
    this.mode = view.getUint16(28, true);
    this.nlink = view.getUint32(16, true);
    this.uid = view.getUint32(20, true);
    this.gid = view.getUint32(24, true);
    this.rdev = device(view, 128);
    this.size = wide(view, 40);
    this.blksize = view.getUint32(4, true);
    this.blocks = wide(view, 48);
    this.atimeMs = milliseconds(view, 64);
    this.mtimeMs = milliseconds(view, 112);
    this.ctimeMs = milliseconds(view, 96);
    this.birthtimeMs = milliseconds(view, 80);
  }

  protected typeBits(): number {
    return this.mode & TYPE_MASK;
  }
  get atime(): Date {
    return new Date(this.atimeMs);
  }
  get mtime(): Date {
    return new Date(this.mtimeMs);
  }
  get ctime(): Date {
    return new Date(this.ctimeMs);
  }
  get birthtime(): Date {
    return new Date(this.birthtimeMs);
  }
}

/** An entry of a directory as `fs.Dirent`. */
export class DirectoryEntry extends OfType {
  readonly #type: number;
  constructor(
    readonly name: string,
    readonly parentPath: string,
    /** The bits of a mode that say the type. */
    type: number,
  ) {
    super();
    this.#type = type;
  }

  protected typeBits(): number {
    return this.#type;
  }
}

/** One entry as the kernel lists it. */
export interface Listed {
  name: string;
  /** The bits of a mode that say the type; 0 where the file system does not tell. */
  type: number;
}

const decoder = new TextDecoder();

/** The entries in what getdents64(2) wrote, without `.` and `..`. */
export function listed(buffer: Uint8Array<ArrayBuffer>, length: number): Listed[] {
  const view = new DataView(buffer.buffer);
  const entries: Listed[] = [];
  for (let at = 0; at < length; ) {
    const size = view.getUint16(at + 16, true);
    const start = at + 19;
    const name = decoder.decode(buffer.subarray(start, buffer.indexOf(0, start)));
    // `d_type` is the type's bits of a mode, moved down.
    if (name !== "." && name !== "..") entries.push({ name, type: buffer[at + 18]! << 12 });
    at += size;
  }
  return entries;
}
