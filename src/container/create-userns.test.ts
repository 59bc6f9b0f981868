import { expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { hasId, type IdMapping, idCount, outsideId } from "../sys/user-namespace.ts";
import { allocate, subtract } from "./auto-ids.ts";
import { checkMappings, keepMapping, parseAuto, parseIdMappings, parseKeepId } from "./create-userns.ts";

const CALLER = { uid: 1000, gid: 100, inside: true };

test("a mapping is three numbers; one of nothing is none", () => {
  expect(parseIdMappings(["0:100000:65536", "70000:1:1", "5:5:0"], "UID")).toEqual([
    { inside: 0, outside: 100000, count: 65536 },
    { inside: 70000, outside: 1, count: 1 },
  ]);
  for (const text of ["0:1", "0:x:1", "a", "", "1:2:3:4", "0:1:4294967296", "-1:0:1", "0::1", "0x0:0:1"])
    expect(() => parseIdMappings(["0:0:1", text], "GID")).toThrow(
      `initializing ID mappings: GID setting is malformed expected ["uint32:uint32:uint32"]: ["0:0:1" "${text}"]`,
    );
});

test("what the kernel would not take is refused: no root, ids twice on either side, ids beyond all", () => {
  const check = (...texts: string[]) => checkMappings(parseIdMappings(texts, "UID"));
  expect(() => check("1:0:5")).toThrow("container ID 0 cannot be mapped to a host ID");
  const conflict = (one: string) =>
    `GID mapping ${one} conflicts with other mappings: invalid mappings specified`;
  expect(() => check("0:100:10", "5:200:10")).toThrow(conflict("5:200:10"));
  expect(() => check("0:200:10", "5:100:10")).toThrow(conflict("0:200:10"));
  expect(() => check("0:100:10", "10:105:10")).toThrow(conflict("10:105:10"));
  expect(() => check("0:4294967290:100")).toThrow(conflict("0:4294967290:100"));
  check("0:100:10", "10:200:10");
});

test("keep-id and auto take their options, and no others", () => {
  expect(parseKeepId("", CALLER)).toEqual({ uid: 1000, gid: 100 });
  expect(parseKeepId("gid=5,uid=6", CALLER)).toEqual({ uid: 6, gid: 5 });
  expect(parseAuto("size=9,uidmapping=0:5:1,gidmapping=3:4:5")).toEqual({
    size: 9,
    uids: [{ inside: 0, outside: 5, count: 1 }],
    gids: [{ inside: 3, outside: 4, count: 5 }],
  });
  expect(() => parseKeepId("size=1", CALLER)).toThrow('unknown option specified: "size"');
  expect(() => parseKeepId("uid=x", CALLER)).toThrow('strconv.ParseUint: parsing "x": invalid syntax');
  expect(() => parseAuto("size=-1")).toThrow('strconv.ParseUint: parsing "-1": invalid syntax');
});

test("the caller keeps the id, and all other ids are somebody's", () => {
  expect(keepMapping(4321, 65_537)).toEqual([
    { inside: 0, outside: 1, count: 4321 },
    { inside: 4321, outside: 0, count: 1 },
    { inside: 4322, outside: 4322, count: 61_215 },
  ]);
  expect(keepMapping(0, 10)).toEqual([
    { inside: 0, outside: 0, count: 1 },
    { inside: 1, outside: 1, count: 9 },
  ]);
  fc.assert(
    fc.property(fc.nat(200_000), fc.integer({ min: 2, max: 70_000 }), (id, total) => {
      const map = keepMapping(id, total);
      checkMappings(map);
      expect(outsideId(map, id)).toBe(0);
      expect(idCount(map)).toBe(total);
      expect(Math.max(...map.map(one => one.outside + one.count))).toBe(total);
    }),
  );
});

const runs = fc.array(fc.record({ start: fc.nat(300), count: fc.integer({ min: 1, max: 50 }) }), {
  maxLength: 6,
});
const idsOf = (list: readonly { start: number; count: number }[]) =>
  new Set(list.flatMap(({ start, count }) => Array.from({ length: count }, (_, index) => start + index)));

test("runs of ids without others, id by id", () => {
  fc.assert(
    fc.property(runs, runs, (all, used) => {
      const taken = idsOf(used);
      expect(idsOf(subtract(all, used))).toEqual(new Set([...idsOf(all)].filter(id => !taken.has(id))));
    }),
  );
});

test("what auto allocates covers all that was asked for, with free ids alone, or is refused", () => {
  const forced: IdMapping[] = [{ inside: 3, outside: 5000, count: 2 }];
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 120 }), runs, fc.boolean(), (size, some, isForced) => {
      const free = subtract([{ start: 0, count: 400 }], some);
      let map: IdMapping[];
      try {
        map = allocate(size, free, isForced ? forced : []);
      } catch (error) {
        expect((error as UserError).message).toContain("could not find enough available IDs");
        expect(idsOf(free).size).toBeLessThan(size);
        return;
      }
      checkMappings(map);
      for (let id = 0; id < size; id++) expect(hasId(map, id)).toBe(true);
      const own = map
        .filter(one => one.outside < 5000)
        .map(one => ({ start: one.outside, count: one.count }));
      expect(idsOf(own).isSubsetOf(idsOf(free))).toBe(true);
    }),
  );
});

test("any text is a mapping or refused in one line", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9:]{0,14}$/)), text => {
      for (const parse of [
        () => parseIdMappings([text], "UID"),
        () => parseAuto(text),
        () => parseKeepId(text, CALLER),
      ])
        try {
          parse();
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
    }),
  );
});
