import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findSmallFile } from "./small-files.ts";

const directory = mkdtempSync(join(tmpdir(), "portolan-small-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("each file's beginning is seen until one is found; what is gone is passed over", () => {
  const texts = { a: "", b: "xy", c: "abcdef", ü: "wanted", d: "not reached" };
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(directory, name), text);
  const seen: [string, string][] = [];
  const found = findSmallFile(directory, ["a", "b", "gone", "c", "ü", "d"], 4, (name, start) => {
    seen.push([name, Buffer.from(start).toString()]);
    return name === "ü";
  });
  expect(found).toBe("ü");
  expect(seen).toEqual([
    ["a", ""],
    ["b", "xy"],
    ["c", "abcd"],
    ["ü", "want"],
  ]);
  expect(findSmallFile(directory, ["b"], 4, () => false)).toBeUndefined();
});
