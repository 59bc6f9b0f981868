import { expect, test } from "bun:test";
import { hasId, hasOutsideId, idCount, outsideId, parseIdMap } from "./user-namespace.ts";

test("a process's map as /proc shows it", () => {
  expect(parseIdMap("         0       1000          1\n         1     100000      65536\n")).toEqual([
    { inside: 0, outside: 1000, count: 1 },
    { inside: 1, outside: 100000, count: 65536 },
  ]);
});

test("ids inside and outside", () => {
  const map = parseIdMap("0 1000 1\n1 100000 65536\n");
  expect([0, 1, 65_536, 65_537].map(id => outsideId(map, id))).toEqual([1000, 100_000, 165_535, undefined]);
  expect([hasId(map, 5), hasId(map, 70_000), hasOutsideId(map, 1000), hasOutsideId(map, 1001)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
  expect(idCount(map)).toBe(65_537);
});
