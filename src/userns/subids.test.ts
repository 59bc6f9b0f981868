import { expect, test } from "bun:test";
import fc from "fast-check";
import { mappings, parseSubids } from "./subids.ts";

const SAILOR = { name: "sailor", uid: 1000 };

test("a user's ranges, by name and by number, in the file's order", () => {
  const text =
    "root:1:5\nsailor:100000:65536\n1000:300000:10\n\nsailor:x:3\nsailor:7\nsailor:9:1:1\nsailorman:5:5\n";
  expect(parseSubids(text, SAILOR)).toEqual([
    { start: 100000, count: 65536 },
    { start: 300000, count: 10 },
  ]);
});

test("the user is 0, and what follows is his ranges one after the other", () => {
  expect(mappings(1000, parseSubids("sailor:100000:65536\nsailor:300000:10\n", SAILOR))).toEqual([
    { inside: 0, outside: 1000, count: 1 },
    { inside: 1, outside: 100000, count: 65536 },
    { inside: 65537, outside: 300000, count: 10 },
  ]);
  expect(mappings(1000, [])).toEqual([{ inside: 0, outside: 1000, count: 1 }]);
});

test("no id is mapped twice, which the kernel would refuse", () => {
  const range = fc.record({ start: fc.nat(5000), count: fc.integer({ min: 1, max: 3000 }) });
  fc.assert(
    fc.property(fc.nat(5000), fc.array(range, { maxLength: 8 }), (own, ranges) => {
      const seen = new Set<number>();
      let next = 0;
      for (const { inside, outside, count } of mappings(own, ranges)) {
        expect(inside).toBe(next);
        next += count;
        for (let id = outside; id < outside + count; id++) {
          expect(seen.has(id)).toBe(false);
          seen.add(id);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test("any text is ranges that the kernel can take", () => {
  const line = fc.stringMatching(/^(sailor|1000|x)?:?[0-9a-z]{0,12}:?-?[0-9]{0,12}$/);
  fc.assert(
    fc.property(fc.array(fc.oneof(line, fc.string())), lines => {
      for (const { start, count } of parseSubids(lines.join("\n"), SAILOR)) {
        expect(Number.isSafeInteger(start) && start >= 0).toBe(true);
        expect(count > 0 && start + count <= 2 ** 32).toBe(true);
      }
    }),
  );
});
