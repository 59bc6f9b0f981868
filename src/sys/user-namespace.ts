/** User namespaces: which ids one has, and how they are numbered outside it (user_namespaces(7)). */
import { readFileSync } from "node:fs";

/** One line of an id map: `count` ids from `inside` on are those from `outside` on. */
export interface IdMapping {
  inside: number;
  outside: number;
  count: number;
}

/** What a user namespace has of users and of groups. */
export interface IdMaps {
  uids: readonly IdMapping[];
  gids: readonly IdMapping[];
}

/** All ids that there are. */
const ALL = 0xffffffff;

/** The map of a process, as its file under /proc has it. */
export function parseIdMap(text: string): IdMapping[] {
  return text
    .split("\n")
    .map(line => line.trim().split(/\s+/).map(Number))
    .flatMap(([inside, outside, count]) =>
      inside !== undefined && outside !== undefined && count !== undefined
        ? [{ inside, outside, count }]
        : [],
    );
}

/** /proc/PID/uid_map and gid_map; our own where no pid is given. Empty while nobody has written it. */
export const idMap = (kind: "uid" | "gid", pid: number | "self" = "self"): IdMapping[] =>
  parseIdMap(readFileSync(`/proc/${pid}/${kind}_map`, "utf8"));

/** True in the namespace of the machine itself, where root is root. */
export function inInitialUserNamespace(): boolean {
  const [first] = idMap("uid");
  return first !== undefined && first.inside === 0 && first.outside === 0 && first.count === ALL;
}

/** How the id `inside` is numbered outside; undefined when the map has it not. */
export function outsideId(map: readonly IdMapping[], inside: number): number | undefined {
  const range = map.find(one => inside >= one.inside && inside < one.inside + one.count);
  return range && range.outside + inside - range.inside;
}

/** What an id of outside is inside the namespace; undefined for one that it has not. */
export function insideId(map: readonly IdMapping[], outside: number): number | undefined {
  const range = map.find(one => outside >= one.outside && outside < one.outside + one.count);
  return range && range.inside + (outside - range.outside);
}

export const hasId = (map: readonly IdMapping[], inside: number) => outsideId(map, inside) !== undefined;

/** Does the map have the id that is `outside` outside? */
export const hasOutsideId = (map: readonly IdMapping[], outside: number) =>
  map.some(one => outside >= one.outside && outside < one.outside + one.count);

/** How many ids a map has. */
export const idCount = (map: readonly IdMapping[]) => map.reduce((sum, { count }) => sum + count, 0);
