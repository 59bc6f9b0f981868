/** Files by descriptor and as a whole, as `node:fs` has them. */
import type { PathLike } from "node:fs";
import { O } from "../fd.ts";
import { errnoNow, libc } from "../libc.ts";
import { bytes } from "../mem.ts";
import { again, checked, encoder, failure, isUsual, runtimes, spelled } from "./call.ts";

const OPEN_FLAGS: Partial<Record<string, number>> = {
  r: O.RDONLY,
  "r+": O.RDWR,
  w: O.WRONLY | O.CREAT | O.TRUNC,
  wx: O.WRONLY | O.CREAT | O.TRUNC | O.EXCL,
  "wx+": O.RDWR | O.CREAT | O.TRUNC | O.EXCL,
  a: O.WRONLY | O.CREAT | O.APPEND,
};

function open(path: string, flags: number, mode: number): number {
  return checked(
    again(() => libc.open(spelled(path), flags | O.CLOEXEC, mode)),
    "open",
    path,
  );
}

export function openSync(path: PathLike, flags: string | number = "r", mode = 0o666): number {
  const bits = typeof flags === "number" ? flags : OPEN_FLAGS[flags];
  return isUsual(path) && bits !== undefined
    ? open(path, bits, mode)
    : runtimes().openSync(path, flags, mode);
}

export function closeSync(fd: number): void {
  if (libc.close(fd) < 0) throw Object.assign(failure(errnoNow(), "close"), { fd });
}

function readInto(fd: number, buffer: Uint8Array, position: number | null): number {
  const count =
    position === null
      ? again(() => libc.read(fd, buffer, buffer.byteLength))
      : again(() => libc.pread(fd, buffer, buffer.byteLength, position));
  return checked(count, "read");
}

export function readSync(
  fd: number,
  buffer: Uint8Array | DataView,
  offset = 0,
  length = buffer.byteLength - offset,
  position: number | null = null,
): number {
  return readInto(fd, new Uint8Array(buffer.buffer, buffer.byteOffset + offset, length), position);
}

/** A string is written whole, of bytes as much as goes at once. */
export function writeSync(
  fd: number,
  data: Uint8Array | string,
  offset = 0,
  length?: number,
  position: number | null = null,
): number {
  if (typeof data === "string") return writeWhole(fd, encoder.encode(data));
  const part = offset === 0 && length === undefined ? data : data.subarray(offset, length && offset + length);
  const count =
    position === null
      ? again(() => libc.write(fd, part, part.byteLength))
      : again(() => libc.pwrite(fd, part, part.byteLength, position));
  return checked(count, "write");
}

function writeWhole(fd: number, data: Uint8Array): number {
  let done = 0;
  while (done < data.byteLength) done += writeSync(fd, done === 0 ? data : data.subarray(done));
  return done;
}

const PIECE = 65_536;
let piece: Uint8Array<ArrayBuffer> | undefined;

function readWhole(fd: number): Buffer {
  piece ??= bytes(PIECE);
  const parts: Uint8Array[] = [];
  for (;;) {
    const count = readInto(fd, piece, null);
    if (count === 0) return parts.length === 1 ? Buffer.from(parts[0]!.buffer) : Buffer.concat(parts);
    parts.push(piece.slice(0, count));
  }
}

type Encoding = "utf8" | "utf-8";
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const isUtf8 = (one: unknown) => one === "utf8" || one === "utf-8";

export function readFileSync(file: PathLike | number): Buffer;
export function readFileSync(file: PathLike | number, encoding: Encoding): string;
export function readFileSync(file: PathLike | number, encoding?: Encoding): Buffer | string {
  const isFd = typeof file === "number";
  if (!(isFd || isUsual(file)) || !(encoding === undefined || isUtf8(encoding)))
    return runtimes().readFileSync(file, { encoding });
  const fd = isFd ? file : open(file, O.RDONLY, 0);
  try {
    const whole = readWhole(fd);
    return encoding ? decoder.decode(whole) : whole;
  } finally {
    if (!isFd) libc.close(fd);
  }
}

export function writeFileSync(
  file: PathLike | number,
  data: string | Uint8Array,
  options: { mode?: number; flag?: string } | Encoding = {},
): void {
  const { mode = 0o666, flag = "w" } = typeof options === "string" ? {} : options;
  const isFd = typeof file === "number";
  const isPlain = typeof data === "string" || data instanceof Uint8Array;
  const flags = OPEN_FLAGS[flag];
  const isKnown = typeof options === "object" ? !("encoding" in options) : isUtf8(options);
  if (!(isFd || isUsual(file)) || !isPlain || !isKnown || flags === undefined)
    runtimes().writeFileSync(file, data, options);
  else writeTo(file, flags, mode, typeof data === "string" ? encoder.encode(data) : data);
}

function writeTo(file: string | number, flags: number, mode: number, data: Uint8Array): void {
  const isFd = typeof file === "number";
  const fd = isFd ? file : open(file, flags, mode);
  try {
    writeWhole(fd, data);
  } finally {
    if (!isFd) libc.close(fd);
  }
}
