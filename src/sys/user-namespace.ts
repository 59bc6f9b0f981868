/** The user namespace that this process is in: which ids it has (user_namespaces(7)). */
import { readFileSync } from "node:fs";

/** A run of ids: `size` of them, from `inside` on as the namespace counts them and from `outside` on as its parent does. */
export interface IdRange {
  inside: number;
  outside: number;
  size: number;
}

/** All ids that there are. */
const ALL = 0xffffffff;

/** /proc/PID/uid_map and gid_map, line by line; `self` where no pid is given. */
export function idMap(kind: "uid" | "gid", pid: number | "self" = "self"): IdRange[] {
  return readFileSync(`/proc/${pid}/${kind}_map`, "utf8")
    .trim()
    .split("\n")
    .map(line => line.trim().split(/\s+/).map(Number))
    .map(([inside = 0, outside = 0, size = 0]) => ({ inside, outside, size }));
}

/** True in the namespace of the machine itself, where root is root. */
export function inInitialUserNamespace(): boolean {
  const [first] = idMap("uid");
  return first !== undefined && first.inside === 0 && first.outside === 0 && first.size === ALL;
}

/** Does the map have this id, as the namespace counts? */
export const hasId = (map: readonly IdRange[], id: number) =>
  map.some(({ inside, size }) => id >= inside && id < inside + size);

/** How many ids a map has. */
export const idCount = (map: readonly IdRange[]) => map.reduce((sum, { size }) => sum + size, 0);
