import { expect, test } from "bun:test";
import fc from "fast-check";
import { END, padding, type TarEntry, TarReader } from "./tar.ts";
import { entryHeader } from "./tar-entry.ts";

const name = fc
  .array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 6 })
  .map(parts => parts.map(part => part.replaceAll(/[/\0]/g, "_")).join("/"))
  .filter(text => text.isWellFormed());
const entry: fc.Arbitrary<TarEntry> = fc.record({
  type: fc.constantFrom("file", "link", "symlink", "char", "block", "fifo"),
  path: name,
  linkPath: fc.option(name, { nil: "" }).map(text => text ?? ""),
  size: fc.constant(0),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 0xfffffffe }),
  gid: fc.integer({ min: 0, max: 0xfffffffe }),
  mtime: fc.record({
    seconds: fc.integer({ min: -1e11, max: 1e11 }),
    nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  }),
  major: fc.integer({ min: 0, max: 0xfff }),
  minor: fc.integer({ min: 0, max: 0xfffff }),
  xattrs: fc
    .array(fc.tuple(fc.stringMatching(/^user\.[a-z]{1,9}$/), fc.uint8Array({ maxLength: 300 })), {
      maxLength: 3,
    })
    .map(pairs => new Map(pairs)),
});

/** Reads an archive of these pieces. */
function reader(...pieces: Uint8Array[]): TarReader {
  let rest = Buffer.concat(pieces);
  return new TarReader(buffer => {
    const count = rest.copy(buffer);
    rest = rest.subarray(count);
    return count;
  });
}

test("an entry is read as it was written", () => {
  fc.assert(
    fc.property(entry, one => {
      const isDevice = one.type === "char" || one.type === "block";
      const read = reader(entryHeader(one), END).next()!;
      expect(read).toEqual({ ...one, major: isDevice ? one.major : 0, minor: isDevice ? one.minor : 0 });
    }),
  );
});

test("data follow their header", () => {
  const data = new TextEncoder().encode("hello");
  const one: TarEntry = {
    ...{ type: "file", path: `${"long/".repeat(40)}name`, linkPath: "", size: data.length, mode: 0o600 },
    ...{ uid: 0, gid: 0, mtime: { seconds: 1, nanoseconds: 5 }, major: 0, minor: 0, xattrs: new Map() },
  };
  const tar = reader(entryHeader(one), data, padding(data.length), END);
  expect(tar.next()?.path).toBe(one.path);
  expect(tar.data(10)).toEqual(data);
  expect(tar.next()).toBeUndefined();
});
