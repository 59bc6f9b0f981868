import { expect, test } from "bun:test";
import fc from "fast-check";
import { DetachFilter, parseDetachKeys } from "./detach-keys.ts";

test("keys by name", () => {
  expect([...parseDetachKeys("ctrl-p,ctrl-q")]).toEqual([16, 17]);
  expect([...parseDetachKeys("a,ctrl-[")]).toEqual([97, 27]);
  expect(parseDetachKeys("").length).toBe(0);
  expect(() => parseDetachKeys("ctrl-1")).toThrow("unable to parse detach keys");
  expect(() => parseDetachKeys("a,,b")).toThrow("unable to parse detach keys");
});

test("what is passed on is what stood before the first sequence, however the input is cut", () => {
  const byte = fc.integer({ min: 1, max: 3 });
  fc.assert(
    fc.property(
      fc.array(byte, { minLength: 1, maxLength: 4 }),
      fc.array(fc.array(byte, { maxLength: 6 }), { maxLength: 6 }),
      (keys, pieces) => {
        const text = String.fromCharCode(...pieces.flat());
        const sequence = String.fromCharCode(...keys);
        const at = text.indexOf(sequence);
        const filter = new DetachFilter(Uint8Array.from(keys));
        let passed = "";
        let detached = false;
        for (const piece of pieces) {
          if (detached) break;
          const result = filter.feed(Uint8Array.from(piece));
          passed += String.fromCharCode(...result.pass);
          detached = result.detached;
        }
        expect(detached).toBe(at >= 0);
        if (at >= 0) expect(passed).toBe(text.slice(0, at));
        else {
          expect(text.startsWith(passed)).toBe(true);
          expect(sequence.startsWith(text.slice(passed.length))).toBe(true);
        }
      },
    ),
  );
});
