/**
 * Headers of tar archives that we write: ustar (POSIX.1-1988), and a pax header (POSIX.1-2001) before it for what that can't
 * hold: long or foreign names, large numbers, extended attributes, parts of a second.
 */
import { type EntryType, padding, type TarEntry } from "./tar.ts";

const BLOCK = 512;
const FLAGS: Readonly<Record<EntryType, string>> = {
  file: "0",
  link: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};
const encoder = new TextEncoder();
const isPlain = (text: string, limit: number) => text.length <= limit && /^[\x20-\x7e]*$/.test(text);
const MAX_ID = 0o7777777;
const MAX_SIZE = 8 ** 11 - 1;

/** The header of an entry, with a pax header before it where one is needed. Its data and their padding follow. */
export function entryHeader(entry: TarEntry): Uint8Array {
  const records: Uint8Array[] = [];
  const pax = (key: string, value: string | Uint8Array) => records.push(paxRecord(key, value));
  const { path, linkPath, size, uid, gid, mtime } = entry;
  if (!isPlain(path, 100)) pax("path", path);
  if (!isPlain(linkPath, 100)) pax("linkpath", linkPath);
  if (size > MAX_SIZE) pax("size", String(size));
  if (uid > MAX_ID) pax("uid", String(uid));
  if (gid > MAX_ID) pax("gid", String(gid));
  if (mtime.nanoseconds !== 0 || mtime.seconds < 0 || mtime.seconds > MAX_SIZE) pax("mtime", paxTime(mtime));
  for (const [name, value] of entry.xattrs) pax(`SCHILY.xattr.${name}`, value);
  const plain = header(entry);
  if (records.length === 0) return plain;
  const data = Buffer.concat(records);
  const before = header({
    ...entry,
    path: `PaxHeaders.0/${path.slice(path.lastIndexOf("/") + 1)}`,
    linkPath: "",
    size: data.length,
    flag: "x",
  });
  return Buffer.concat([before, data, padding(data.length), plain]);
}

/** `LENGTH key=value\n`, where the length counts itself. */
function paxRecord(key: string, value: string | Uint8Array): Uint8Array {
  const rest = Buffer.concat([
    Buffer.from(` ${key}=`),
    typeof value === "string" ? Buffer.from(value) : value,
    Buffer.from("\n"),
  ]);
  let length = rest.length;
  for (let digits = 1; length !== rest.length + digits; digits = String(length).length)
    length = rest.length + digits;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** Seconds as a decimal fraction: a time before 1970 has its nanoseconds counted from below. */
function paxTime({ seconds, nanoseconds }: TarEntry["mtime"]): string {
  const fraction = (value: number) =>
    value === 0 ? "" : `.${String(value).padStart(9, "0").replace(/0+$/, "")}`;
  if (seconds >= 0) return `${seconds}${fraction(nanoseconds)}`;
  return nanoseconds === 0 ? String(seconds) : `-${-(seconds + 1)}${fraction(1_000_000_000 - nanoseconds)}`;
}

function header(entry: TarEntry & { flag?: string }): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (offset: number, text: string, limit: number) =>
    block.set(encoder.encode(text.replace(/[^\x20-\x7e]/g, "?").slice(0, limit)), offset);
  const octal = (offset: number, value: number, digits: number) =>
    put(offset, Math.max(0, value).toString(8).padStart(digits, "0"), digits);
  put(0, entry.path, 100);
  octal(100, entry.mode & 0o7777, 7);
  octal(108, Math.min(entry.uid, MAX_ID), 7);
  octal(116, Math.min(entry.gid, MAX_ID), 7);
  octal(124, Math.min(entry.size, MAX_SIZE), 11);
  octal(136, Math.min(entry.mtime.seconds, MAX_SIZE), 11);
  put(148, " ".repeat(8), 8);
  put(156, entry.flag ?? FLAGS[entry.type], 1);
  put(157, entry.linkPath, 100);
  put(257, "ustar", 5);
  put(263, "00", 2);
  if (entry.type === "char" || entry.type === "block") {
    octal(329, entry.major, 7);
    octal(337, entry.minor, 7);
  }
  octal(
    148,
    block.reduce((sum, byte) => sum + byte, 0),
    6,
  );
  block[154] = 0;
  return block;
}
