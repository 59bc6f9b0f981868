import { expect, test } from "bun:test";
import theirs from "node:path/posix";
import fc from "fast-check";
import { posix as ours } from "./path.ts";

const path = fc
  .array(fc.constantFrom("/", "/", "..", ".", "a", "b", "a.b", ".c", "d.", "é"), { maxLength: 12 })
  .map(parts => parts.join(""));

test("paths are taken apart and put together as node:path does it", () => {
  fc.assert(
    fc.property(fc.array(path, { maxLength: 4 }), path, path, (paths, one, other) => {
      expect(ours.join(...paths)).toBe(theirs.join(...paths));
      expect(ours.resolve(...paths)).toBe(theirs.resolve(...paths));
      expect(ours.relative(one, other)).toBe(theirs.relative(one, other));
      for (const name of ["normalize", "dirname", "basename", "extname"] as const)
        expect([name, one, ours[name](one)]).toEqual([name, one, theirs[name](one)]);
      expect(ours.isAbsolute(one)).toBe(theirs.isAbsolute(one));
      // Where a suffix is named, theirs gives a slash at the end back at times.
      if (!one.endsWith("/")) expect(ours.basename(one, ".b")).toBe(theirs.basename(one, ".b"));
    }),
    { numRuns: 2000 },
  );
});
