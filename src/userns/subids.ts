/** Subordinate ids: which ranges of user and group ids a user may map (subuid(5), subgid(5)). */
import { readFileSync } from "node:fs";
import { hasCode } from "../base/errors.ts";
import type { IdMapping } from "../sys/user-namespace.ts";

export interface IdRange {
  start: number;
  count: number;
}

const MAX_ID = 0xfffffffe;

/** The ranges that a file gives to a user, by name or by number, in its order. Lines that make no sense give nothing. */
export function parseSubids(text: string, user: { name: string; uid: number }): IdRange[] {
  const ranges: IdRange[] = [];
  for (const line of text.split("\n")) {
    const [owner, start, count, more] = line.trim().split(":");
    if (owner === undefined || start === undefined || count === undefined || more !== undefined) continue;
    if (owner !== user.name && owner !== String(user.uid)) continue;
    if (!/^\d+$/.test(start) || !/^\d+$/.test(count)) continue;
    const range = { start: Number(start), count: Number(count) };
    if (range.count > 0 && range.start + range.count - 1 <= MAX_ID) ranges.push(range);
  }
  return ranges;
}

/** The ranges of `/etc/subuid` or `/etc/subgid`; none where there is no such file. */
export function readSubids(
  file: "/etc/subuid" | "/etc/subgid",
  user: { name: string; uid: number },
): IdRange[] {
  try {
    return parseSubids(readFileSync(file, "utf8"), user);
  } catch (error) {
    if (hasCode(error, "ENOENT", "EACCES")) return [];
    throw error;
  }
}

/** The user's own id as 0, the ranges from 1 on. A range that holds an id that is mapped already is left out. */
export function mappings(own: number, ranges: readonly IdRange[]): IdMapping[] {
  const list: IdMapping[] = [{ inside: 0, outside: own, count: 1 }];
  let inside = 1;
  for (const { start, count } of ranges) {
    const overlaps = list.some(one => start < one.outside + one.count && one.outside < start + count);
    if (overlaps || inside + count - 1 > MAX_ID) continue;
    list.push({ inside, outside: start, count });
    inside += count;
  }
  return list;
}
