import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Entry, tar } from "../../test/support/tar.ts";
import { type TarEntry, TarError, TarReader } from "./tar.ts";
import { cleanPath } from "./unpack.ts";

/** A source that gives at most `piece` bytes at a time. */
function reader(data: Uint8Array, piece = data.length): TarReader {
  let at = 0;
  return new TarReader(buffer => {
    const part = data.subarray(at, at + Math.min(buffer.length, Math.max(piece, 1)));
    buffer.set(part);
    at += part.length;
    return part.length;
  });
}

function readAll(from: TarReader): { entry: TarEntry; data: Uint8Array }[] {
  const all: { entry: TarEntry; data: Uint8Array }[] = [];
  for (let entry = from.next(); entry; entry = from.next()) all.push({ entry, data: from.data(1 << 20) });
  return all;
}

const name = fc.stringMatching(/^[a-z]{1,20}(\/[a-z]{1,20}){0,3}$/);
const id = fc.oneof(fc.nat(0o7777777), fc.nat(2 ** 31 - 1));
const plain = fc.record({
  name,
  data: fc.uint8Array({ maxLength: 2000 }),
  mode: fc.nat(0o7777),
  uid: id,
  gid: id,
  mtime: fc.oneof(fc.nat(2 ** 31 - 1), fc.integer({ min: -1e12, max: 1e12 })),
});
const long = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 200 })
  .filter(text => !/[\0/]/.test(text));

test("what is written is read as it was, in whatever pieces it comes", () => {
  fc.assert(
    fc.property(fc.array(plain, { maxLength: 5 }), fc.integer({ min: 1, max: 1500 }), (entries, piece) => {
      const read = readAll(reader(tar(...entries), piece));
      expect(
        read.map(({ entry: { path, mode, uid, gid, mtime }, data }) => ({
          name: path,
          data,
          mode,
          uid,
          gid,
          mtime: mtime.seconds,
        })),
      ).toEqual(entries);
    }),
  );
});

test("pax headers speak over the header", () => {
  const value = fc.uint8Array({ maxLength: 50 });
  fc.assert(
    fc.property(
      long,
      long,
      value,
      id,
      fc.integer({ min: -1e9, max: 1e9 }),
      (path, linkpath, attribute, uid, time) => {
        const pax = {
          path: `${path}x`,
          linkpath,
          uid: `${uid}`,
          mtime: `${time}.25`,
          "SCHILY.xattr.user.a": attribute,
        };
        const { entry } = readAll(reader(tar({ name: "short", type: "2", link: "l", pax })))[0]!;
        expect([entry.path, entry.linkPath, entry.uid]).toEqual([`${path}x`, linkpath, uid]);
        expect(entry.mtime.seconds + entry.mtime.nanoseconds / 1e9).toBe(Number(`${time}.25`));
        expect(entry.xattrs.get("user.a")).toEqual(attribute);
      },
    ),
  );
});

/** Reads an archive of any bytes to its end: entries of a sound form, or a TarError, and nothing else. */
function survives(data: Uint8Array): void {
  try {
    for (const { entry, data: content } of readAll(reader(data))) {
      expect(content.length).toBe(entry.size);
      expect(Number.isSafeInteger(entry.mtime.seconds)).toBe(true);
      expect(entry.mtime.nanoseconds >= 0 && entry.mtime.nanoseconds < 1e9).toBe(true);
      expect(entry.mode >= 0 && entry.mode <= 0o7777).toBe(true);
      expect(`${entry.path}${entry.linkPath}`).not.toContain("\0");
    }
  } catch (error) {
    expect(error).toBeInstanceOf(TarError);
  }
}

const checksum = (header: Uint8Array) => {
  header.fill(32, 148, 156);
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  header.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
};

test("any bytes, and any header with its checksum right, are read or refused", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3000 }), survives));
  const change = fc.tuple(fc.nat(511), fc.nat(255));
  fc.assert(
    fc.property(plain, fc.array(change, { maxLength: 6 }), fc.nat(3000), (entry, changes, end) => {
      const archive = tar(entry as Entry, { name: "next" });
      for (const [at, byte] of changes) archive[at] = byte;
      checksum(archive);
      survives(archive);
      survives(archive.subarray(0, end));
    }),
    { numRuns: 500 },
  );
});

test("any pax header is read or refused", () => {
  const record = fc.oneof(
    fc.string(),
    fc
      .tuple(
        fc.nat(40),
        fc.constantFrom("path", "size", "uid", "mtime", "SCHILY.xattr.user.x", "", "a\0b"),
        fc.string(),
      )
      .map(([length, key, value]) => `${length} ${key}=${value}\n`),
    fc
      .tuple(
        fc.constantFrom("path", "size", "uid", "gid", "mtime", "linkpath"),
        fc.stringMatching(/^[-+.0-9e]{0,10}$/),
      )
      .map(([key, value]) => `${key.length + value.length + 5} ${key}=${value}\n`),
  );
  fc.assert(
    fc.property(fc.array(record, { maxLength: 3 }), records =>
      survives(tar({ name: "pax", type: "x", data: records.join("") }, { name: "x", data: "data" })),
    ),
    { numRuns: 500 },
  );
});

test("a name made clean stays below the root", () => {
  const part = fc.constantFrom("..", ".", "", "a", "b.c", "...", " ");
  fc.assert(
    fc.property(fc.array(part), parts => {
      const clean = cleanPath(parts.join("/"));
      expect(clean).toMatch(/^\//);
      expect(clean.split("/").filter(one => one === "..")).toEqual([]);
      expect(cleanPath(clean)).toBe(clean);
    }),
  );
});
