/** Two twins beside each other: names by chance made equal, then every field compared. */
import type { Seen } from "./case.ts";

export interface Difference {
  /** `bridge dual 1.0.0`. */
  case: string;
  /** `3 ADD bridge/out/ips/0/gateway`. */
  path: string;
  /** As JSON; "-" where one has nothing there. */
  go: string;
  ours: string;
}

const MAC = /\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/g;
const VETH = /\bveth[0-9a-f]{8}\b/g;

/**
 * Names and hardware addresses that nobody chose are numbered in the order in which they first appear: both are told in a
 * result before they are seen on a link. `chosen` is a text in which the chosen ones stand.
 */
export function normal(seen: Seen[], chosen: string): Seen[] {
  const numbered = (pattern: RegExp, name: string) => {
    const known = new Map<string, string>();
    return (text: string) =>
      text.replace(pattern, one => {
        if (chosen.includes(one) || one === "00:00:00:00:00:00" || one === "ff:ff:ff:ff:ff:ff") return one;
        if (!known.has(one)) known.set(one, `${name}-${known.size + 1}`);
        return known.get(one)!;
      });
  };
  const mac = numbered(MAC, "mac");
  const veth = numbered(VETH, "veth");
  const walk = (value: unknown): unknown => {
    if (typeof value === "string") return veth(mac(value));
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [veth(mac(key)), walk(one)]));
  };
  return walk(seen) as Seen[];
}

type Value = Record<string, unknown> | string | undefined;

/** Lists are objects by index; those that the kernel tells in its own order are sets. Scalars are texts. */
function nodeOf(value: unknown, path: string): Value {
  if (value === undefined) return undefined;
  if (Array.isArray(value) && /^\d+ LOOK/.test(path)) {
    const set: Record<string, unknown> = {};
    for (const one of value) {
      const text = typeof one === "string" ? one : JSON.stringify(sorted(one));
      for (let count = 1; ; count++) {
        const key = `{${text}}${count > 1 ? count : ""}`;
        if (key in set) continue;
        set[key] = "there";
        break;
      }
    }
    return set;
  }
  if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  return typeof value === "string" ? value : JSON.stringify(value);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map(key => [key, sorted((value as Record<string, unknown>)[key])]),
  );
}

const textOf = (value: Value) =>
  value === undefined ? "-" : typeof value === "string" ? value : JSON.stringify(value);

/** Goes down where both have something; what only one has is one difference. */
function walk(name: string, path: string, go: unknown, ours: unknown, into: Difference[]): void {
  const [a, b] = [nodeOf(go, path), nodeOf(ours, path)];
  if (typeof a === "object" && typeof b === "object")
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
      walk(name, `${path}/${key}`, a[key], b[key], into);
  else if (textOf(a) !== textOf(b)) into.push({ case: name, path, go: textOf(a), ours: textOf(b) });
}

export function differences(name: string, go: Seen[], ours: Seen[]): Difference[] {
  const found: Difference[] = [];
  const byStep = (seen: Seen[]) => new Map(seen.map(one => [one.step, one.what]));
  const [left, right] = [byStep(go), byStep(ours)];
  for (const step of new Set([...left.keys(), ...right.keys()]))
    walk(name, step, left.get(step), right.get(step), found);
  return found;
}

/** Those of `found` that are differences from others, too. */
export function common(found: Difference[], others: Difference[]): Difference[] {
  const overlap = (a: string, b: string) => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
  return found.filter(({ path }) => others.some(other => overlap(path, other.path)));
}
