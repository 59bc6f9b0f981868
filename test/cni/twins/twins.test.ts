/**
 * The same configurations through Go's plugins and ours, each in a host and a container of its own: answers, what is in the
 * kernel and what is on disk must be the same but for what `differences.ts` lists. Nothing expected is written by hand: Go tells.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { newestGoPlugins } from "../../support/go-plugins.ts";
import { CASES } from "./all.ts";
import type { Difference } from "./compare.ts";
import { isKnown, isListed, KNOWN } from "./differences.ts";
import { compareAll, OurPlugins } from "./twin.ts";

const told = new Map(CASES.map(one => [one.name, Promise.withResolvers<Difference[]>()]));
// Whoever fails is told of in its own test.
for (const { promise } of told.values()) promise.catch(() => {});
let ours: OurPlugins;
let all: Promise<void>;

beforeAll(() => {
  ours = new OurPlugins();
  const sides = { newest: newestGoPlugins(), ours: ours.directory };
  all = compareAll(CASES, sides, (one, found) => {
    const { resolve, reject } = told.get(one.name)!;
    if (found instanceof Error) reject(found);
    else resolve(found);
  });
});
afterAll(async () => {
  await all;
  ours[Symbol.dispose]();
});

test("each case has a name of its own", () => {
  expect(told.size).toBe(CASES.length);
});

for (const { name } of CASES)
  test(name, async () => {
    const found = await told.get(name)!.promise;
    expect(found.filter(one => !isListed(one))).toEqual([]);
  });

test("every listed difference occurs", async () => {
  const found = (await Promise.all([...told.values()].map(one => one.promise))).flat();
  const idle = KNOWN.filter(known => !found.some(one => isKnown(one, known)));
  expect(idle.map(({ path, reason }) => `${path}: ${reason}`)).toEqual([]);
});
