/** JSON as Go's encoding/json writes it, for what libcni's readers compare with their own. */

/** Go writes these as escapes, lest a browser take them for HTML. They stand in texts only. */
const escapeHtml = (json: string) =>
  json.replace(/[<>&\u2028\u2029]/g, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** A struct: keys in the order that they have. */
export const structJson = (value: unknown): string => escapeHtml(JSON.stringify(value));

/** A map: keys in the order of their bytes, at every depth. Own serialising, since objects put keys like `10` first. */
export function mapJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(one => mapJson(one ?? null)).join(",")}]`;
  if (typeof value !== "object" || value === null) return structJson(value);
  return objectJson(
    Object.entries(value).map(([key, one]) => [key, one === undefined ? undefined : mapJson(one)]),
  );
}

/** An object of values that are JSON already; those that are undefined are left out. */
export function objectJson(entries: readonly (readonly [string, string | undefined])[], sort = true): string {
  const given = entries.filter(([, json]) => json !== undefined);
  const ordered = sort ? given.toSorted(([a], [b]) => byBytes(a, b)) : given;
  return `{${ordered.map(([key, json]) => `${structJson(key)}:${json}`).join(",")}}`;
}
