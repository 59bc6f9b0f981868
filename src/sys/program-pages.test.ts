/** Code and constants are given back and come back; what was written is not touched. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { constantMappings, releaseProgramPages } from "./program-pages.ts";

/** Resident KiB of the mapping that holds `address`; proc_pid_smaps(5). */
function resident(address: number): number {
  for (const block of readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [, start = "", end = ""] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(block) ?? [];
    if (Number.parseInt(start, 16) <= address && address < Number.parseInt(end, 16))
      return Number(/^Rss: +(\d+)/m.exec(block)?.[1]);
  }
  return 0;
}

test("a running program lets go of most of its code, and goes on", () => {
  const largest = constantMappings("/proc/self/exe").sort((a, b) => b.size - a.size)[0]!;
  const before = resident(largest.start);
  releaseProgramPages();
  expect(resident(largest.start)).toBeLessThan(before);
  expect(JSON.parse(JSON.stringify({ still: "here" }))).toEqual({ still: "here" });
});

test("files that are no executables, or none of fixed addresses, have nothing to give back", () => {
  expect(constantMappings("/etc/passwd")).toEqual([]);
  expect(constantMappings("/bin/sh")).toEqual([]);
});
