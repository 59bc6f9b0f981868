import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatIP } from "../../wire/addr.ts";
import { CniError } from "../types.ts";
import { candidates, rangeText, readRangeSets } from "./ranges.ts";
import { readRoutes } from "./routes.ts";

const subnet = fc.tuple(fc.nat(255), fc.integer({ min: 20, max: 30 })).map(([third, length]) => {
  const size = 2 ** (32 - length);
  const base = Math.floor((third * 256) / size) * size;
  return { subnet: `10.1.${base >> 8}.${base & 255}/${length}`, size };
});

test("a set gives out every address once, never network, broadcast or gateway, wherever it begins", () => {
  fc.assert(
    fc.property(subnet, fc.nat(5000), ({ subnet, size }, start) => {
      const [set] = readRangeSets({ subnet }, undefined);
      const { first } = set![0]!;
      const after = first + BigInt(start % size);
      const given = [...candidates(set!, after)].map(one => formatIP(one.ip));
      expect(new Set(given).size).toBe(given.length);
      expect(given.length).toBe(size - 3);
    }),
    { numRuns: 50 },
  );
});

test("ranges of a set follow each other, and the round goes on behind the last address given", () => {
  const [set] = readRangeSets(
    {
      ranges: [
        [
          { subnet: "10.1.0.0/29", rangeStart: "10.1.0.4" },
          { subnet: "10.2.0.0/29", rangeEnd: "10.2.0.3" },
        ],
      ],
    },
    undefined,
  );
  expect(rangeText(set!)).toBe("10.1.0.4-10.1.0.6,10.2.0.1-10.2.0.3");
  const last = (after: bigint | undefined) => [...candidates(set!, after)].map(one => formatIP(one.ip));
  expect(last(undefined)).toEqual(["10.1.0.4", "10.1.0.5", "10.1.0.6", "10.2.0.2", "10.2.0.3"]);
  expect(last(set![0]!.first + 1n)).toEqual(["10.1.0.6", "10.2.0.2", "10.2.0.3", "10.1.0.4", "10.1.0.5"]);
  expect(last(1n)).toEqual(last(undefined));
});

test("an IPv6 range of 2^64 addresses is walked, not listed", () => {
  const [set] = readRangeSets({ subnet: "fd00::/64" }, undefined);
  expect(formatIP(candidates(set!, undefined).next().value!.ip)).toBe("fd00::2");
});

test("a subnet that is an object with a toString of its own is refused like any other", () => {
  expect(() => readRangeSets({ subnet: { toString: {} } }, undefined)).toThrow(
    'invalid CIDR address: {"toString":{}}',
  );
});

test("whatever the configuration says, the answer is range sets or a CniError", () => {
  const text = fc.oneof(fc.constantFrom("10.1.0.0/24", "fd00::/64", "10.1.0.5", "::1", ""), fc.jsonValue());
  const range = fc.record(
    { subnet: text, rangeStart: text, rangeEnd: text, gateway: text },
    { requiredKeys: [] },
  );
  const sets = fc.oneof(fc.jsonValue(), fc.array(fc.array(range, { maxLength: 3 }), { maxLength: 3 }));
  fc.assert(
    fc.property(sets, sets, range, (asked, ranges, own) => {
      try {
        for (const set of readRangeSets({ ...own, ranges }, asked))
          for (const one of set) expect(one.first <= one.last).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(CniError);
      }
    }),
    { numRuns: 1000 },
  );
});

test("a gateway of the other family is refused, and routes that are none", () => {
  const read = (gateway: string) => readRangeSets({ subnet: "10.1.0.0/24", gateway }, undefined);
  expect(() => read("fd00::1")).toThrow("the gateway fd00::1 is not of the family of 10.1.0.0/24");
  expect(() => readRoutes([{ dst: "text" }])).toThrow("invalid CIDR address: text");
  expect(() => readRoutes([{ dst: "0.0.0.0/0", gw: "text" }])).toThrow("invalid IP address: text");
  expect(readRoutes(undefined)).toEqual([]);
});
