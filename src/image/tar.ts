/**
 * tar archives, read as a stream of entries: ustar (POSIX.1-1988), pax headers (POSIX.1-2001), and GNU's long names and
 * base-256 numbers. Reading is synchronous and pulls its bytes, so a layer of any size passes through one buffer.
 *
 * Why not a library: docs/adr/0003-unpacker.md.
 */

export class TarError extends Error {
  override readonly name = "TarError";
}

export type EntryType = "file" | "link" | "symlink" | "char" | "block" | "directory" | "fifo";

export interface TarEntry {
  type: EntryType;
  /** As written in the archive; nothing about it is safe. */
  path: string;
  linkPath: string;
  size: number;
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970, either sign, and nanoseconds 0–999999999. */
  mtime: { seconds: number; nanoseconds: number };
  major: number;
  minor: number;
  /** SCHILY.xattr.*, name to bytes. */
  xattrs: Map<string, Uint8Array>;
}

/** Where the bytes come from: fills `buffer` as far as it can, 0 at the end. */
export type ReadBytes = (buffer: Uint8Array) => number;

const BLOCK = 512;
const BUFFER = 1 << 20;
const MAX_META = 1 << 20;
/** Seconds: some thirty thousand years either way. */
const MAX_TIME = 1e12;
const TYPES: Record<string, EntryType> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "link",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};
const decoder = new TextDecoder();

export class TarReader {
  readonly #read: ReadBytes;
  readonly #buffer = new Uint8Array(new ArrayBuffer(BUFFER));
  #start = 0;
  #end = 0;
  #rest = 0;
  #padding = 0;

  constructor(read: ReadBytes) {
    this.#read = read;
  }

  /** The next entry, or undefined at the end of the archive. What was left of the one before is skipped. */
  next(): TarEntry | undefined {
    while (this.#rest > 0) this.chunk();
    this.#skip(this.#padding);
    this.#padding = 0;
    let pax = new Map<string, Uint8Array>();
    let longPath: string | undefined;
    let longLink: string | undefined;
    for (;;) {
      const header = this.#exact(BLOCK, true);
      if (header === undefined || header.every(byte => byte === 0)) return undefined;
      verifyChecksum(header);
      const flag = String.fromCharCode(header[156]!);
      const size = number(header, 124, 12);
      if (size < 0 || !Number.isSafeInteger(size)) throw new TarError("an entry with an impossible size");
      if (flag === "x" || flag === "g" || flag === "L" || flag === "K") {
        if (size > MAX_META) throw new TarError(`a header of ${size} bytes`);
        const data = this.#exact(size)!;
        this.#skip(-size & (BLOCK - 1));
        // Global pax headers carry comments of version-control tools; nothing in them is for one entry.
        if (flag === "x") pax = parsePax(data);
        else if (flag === "L") longPath = text(data);
        else if (flag === "K") longLink = text(data);
        continue;
      }
      const type = TYPES[flag];
      if (!type) throw new TarError(`an entry of the unknown type ${JSON.stringify(flag)}`);
      const entry = fields(header, type, pax, longPath, longLink, size);
      const hasData = type === "file";
      this.#rest = hasData ? entry.size : 0;
      this.#padding = hasData ? -entry.size & (BLOCK - 1) : 0;
      if (!hasData) entry.size = 0;
      return entry;
    }
  }

  /** The next piece of the current entry's data; undefined at its end. Valid until the next call. */
  chunk(): Uint8Array | undefined {
    if (this.#rest === 0) return undefined;
    if (this.#start === this.#end && !this.#fill()) throw new TarError("the archive ends inside an entry");
    const size = Math.min(this.#rest, this.#end - this.#start);
    const piece = this.#buffer.subarray(this.#start, this.#start + size);
    this.#start += size;
    this.#rest -= size;
    return piece;
  }

  /** All of a small entry's data. */
  data(limit: number): Uint8Array {
    if (this.#rest > limit)
      throw new TarError(`an entry of ${this.#rest} bytes where at most ${limit} are expected`);
    const out = new Uint8Array(this.#rest);
    let at = 0;
    for (let piece = this.chunk(); piece; piece = this.chunk()) {
      out.set(piece, at);
      at += piece.length;
    }
    return out;
  }

  #fill(): boolean {
    this.#start = 0;
    this.#end = this.#read(this.#buffer);
    return this.#end > 0;
  }

  #exact(size: number, mayEnd = false): Uint8Array | undefined {
    const out = new Uint8Array(size);
    let done = 0;
    while (done < size) {
      if (this.#start === this.#end && !this.#fill()) {
        if (mayEnd && done === 0) return undefined;
        throw new TarError("the archive is cut short");
      }
      const count = Math.min(size - done, this.#end - this.#start);
      out.set(this.#buffer.subarray(this.#start, this.#start + count), done);
      this.#start += count;
      done += count;
    }
    return out;
  }

  #skip(size: number): void {
    if (size > 0) this.#exact(size);
  }
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Octal text, or base-256 where the first bit is set (GNU). */
function number(header: Uint8Array, offset: number, length: number): number {
  const field = header.subarray(offset, offset + length);
  if (field[0]! & 0x80) {
    let value = BigInt(field[0]! & 0x7f);
    for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
    if (field[0]! & 0x40) value -= 1n << BigInt(length * 8 - 1);
    return Number(value);
  }
  const digits = text(field).trim();
  if (digits === "") return 0;
  if (!/^[0-7]+$/.test(digits)) throw new TarError(`a number field that holds ${JSON.stringify(digits)}`);
  return Number.parseInt(digits, 8);
}

function verifyChecksum(header: Uint8Array): void {
  let sum = 0;
  for (let index = 0; index < BLOCK; index++) sum += index >= 148 && index < 156 ? 32 : header[index]!;
  if (number(header, 148, 8) !== sum)
    throw new TarError("a header with a wrong checksum: this is no tar archive, or a damaged one");
}

function parsePax(data: Uint8Array): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(32, at);
    const digits = space < 0 ? "" : decoder.decode(data.subarray(at, space));
    const length = Number(digits);
    if (!/^[1-9]\d*$/.test(digits) || at + length > data.length || at + length <= space + 1)
      throw new TarError("a pax header with a wrong record length");
    const record = data.subarray(space + 1, at + length - 1);
    const equals = record.indexOf(61);
    if (equals < 1) throw new TarError("a pax header with a record that has no name");
    const key = decoder.decode(record.subarray(0, equals));
    if (key.includes("\0")) throw new TarError("a pax header with a NUL in a record's name");
    if (key.startsWith("GNU.sparse.")) throw new TarError("a sparse file, which a layer can't hold");
    records.set(key, record.slice(equals + 1));
    at += length;
  }
  return records;
}

function fields(
  header: Uint8Array,
  type: EntryType,
  pax: Map<string, Uint8Array>,
  longPath: string | undefined,
  longLink: string | undefined,
  size: number,
): TarEntry {
  const paxText = (key: string) => {
    const value = pax.get(key);
    if (value?.includes(0)) throw new TarError(`a pax header with a NUL in ${key}`);
    return value && decoder.decode(value);
  };
  const paxNumber = (key: string) => {
    const value = paxText(key);
    if (value === undefined) return undefined;
    if (!/^\d{1,15}$/.test(value)) throw new TarError(`a pax header with ${key}=${JSON.stringify(value)}`);
    return Number(value);
  };
  const magic = decoder.decode(header.subarray(257, 263));
  const prefix = magic === "ustar\0" ? text(header.subarray(345, 500)) : "";
  const name = text(header.subarray(0, 100));
  const isDevice = type === "char" || type === "block";
  const xattrs = new Map<string, Uint8Array>();
  for (const [key, value] of pax)
    if (key.startsWith("SCHILY.xattr.")) xattrs.set(key.slice("SCHILY.xattr.".length), value);
  const path = paxText("path") ?? longPath ?? (prefix ? `${prefix}/${name}` : name);
  return {
    // Before POSIX a directory was a file whose name ended in a slash.
    type: type === "file" && path.endsWith("/") ? "directory" : type,
    path,
    linkPath: paxText("linkpath") ?? longLink ?? text(header.subarray(157, 257)),
    size: paxNumber("size") ?? size,
    mode: number(header, 100, 8) & 0o7777,
    uid: paxNumber("uid") ?? number(header, 108, 8),
    gid: paxNumber("gid") ?? number(header, 116, 8),
    mtime: time(paxText("mtime"), number(header, 136, 12)),
    // Headers of before POSIX have anything there.
    major: isDevice ? number(header, 329, 8) : 0,
    minor: isDevice ? number(header, 337, 8) : 0,
    xattrs,
  };
}

function time(pax: string | undefined, plain: number): TarEntry["mtime"] {
  if (pax === undefined) {
    if (Math.abs(plain) > MAX_TIME) throw new TarError("an entry with an impossible time");
    return { seconds: plain, nanoseconds: 0 };
  }
  const match = /^(-?)(\d{1,12})(?:\.(\d+))?$/.exec(pax);
  if (!match) throw new TarError(`a pax header with mtime=${JSON.stringify(pax)}`);
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (!match[1]) return { seconds: Number(match[2]), nanoseconds };
  return nanoseconds === 0
    ? { seconds: -Number(match[2]), nanoseconds }
    : { seconds: -Number(match[2]) - 1, nanoseconds: 1e9 - nanoseconds };
}

/** The header of a plain file in an archive that we write; names of at most 100 bytes. */
export function fileHeader(path: string, size: number): Uint8Array {
  const header = new Uint8Array(BLOCK);
  const put = (offset: number, value: string) => header.set(new TextEncoder().encode(value), offset);
  const octal = (value: number, width: number) => value.toString(8).padStart(width, "0");
  if (new TextEncoder().encode(path).length > 100) throw new TarError(`the name ${path} is too long`);
  put(0, path);
  put(100, `${octal(0o644, 7)}\0`);
  put(108, `${octal(0, 7)}\0`);
  put(116, `${octal(0, 7)}\0`);
  put(124, size < 8 ** 11 ? `${octal(size, 11)}\0` : "");
  put(136, `${octal(0, 11)}\0`);
  put(148, " ".repeat(8));
  put(156, "0");
  put(257, "ustar\0");
  put(263, "00");
  put(
    148,
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
  );
  return header;
}

/** The zeros that fill a file of `size` bytes up to a whole block. */
export function padding(size: number): Uint8Array {
  return new Uint8Array(-size & (BLOCK - 1));
}

/** The end of an archive. */
export const END = new Uint8Array(2 * BLOCK);
