/** What templates may call: Go's own functions, and those that Podman and Docker add. */

import { goPrintf, goString, isMap, isObject } from "./go-print.ts";
import { goJson } from "./json.ts";

/** Throws an Error with Go's words; the evaluator adds where. */
export type TemplateFunction = (...values: unknown[]) => unknown;

/** Go's truth: what is not zero, empty or absent. */
export function isTrue(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 0 || value === 0n || value === "")
    return false;
  if (Array.isArray(value)) return value.length > 0;
  return isMap(value) ? Object.keys(value as object).length > 0 : true;
}

function lengthOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  // A field that is left out of the JSON is Go's empty map, slice or string.
  if (value === null || value === undefined) return 0;
  if (isObject(value)) return Object.keys(value).length;
  throw new Error(`len of type ${typeof value}`);
}

function indexOf(value: unknown, ...keys: unknown[]): unknown {
  let current = value;
  for (const key of keys) {
    if (current === undefined || current === null) throw new Error("index of nil pointer");
    if (Array.isArray(current) || typeof current === "string") {
      const place = typeof key === "number" || typeof key === "bigint" ? Number(key) : Number.NaN;
      if (!Number.isInteger(place)) throw new Error(`cannot index slice/array with type ${typeof key}`);
      if (place < 0 || place >= current.length) throw new Error(`index out of range: ${place}`);
      current = typeof current === "string" ? Buffer.from(current)[place] : current[place];
    } else if (isObject(current)) {
      if (typeof key !== "string") throw new Error(`value has type ${typeof key}; should be string`);
      current = Object.hasOwn(current, key) ? current[key] : "";
    } else throw new Error(`can't index item of type ${typeof current}`);
  }
  return current;
}

function sliceOf(value: unknown, from: unknown = 0, to?: unknown): unknown {
  if (typeof value !== "string" && !Array.isArray(value))
    throw new Error(`can't slice item of type ${typeof value}`);
  const end = to === undefined ? value.length : Number(to);
  const start = Number(from);
  if (!(start >= 0 && start <= end && end <= value.length)) throw new Error(`index out of range: ${end}`);
  return value.slice(start, end);
}

const basic = (value: unknown): string => {
  const kind = typeof value;
  if (kind === "number" || kind === "bigint") return "number";
  if (kind === "string" || kind === "boolean") return kind;
  throw new Error("invalid type for comparison");
};

function equal(first: unknown, ...others: unknown[]): boolean {
  if (others.length === 0) throw new Error("missing argument for comparison");
  return others.some(other => {
    if (first === null || first === undefined || other === null || other === undefined)
      return (first ?? null) === (other ?? null);
    if (basic(first) !== basic(other)) throw new Error("incompatible types for comparison");
    return typeof first === typeof other ? first === other : Number(first) === Number(other);
  });
}

function less(a: unknown, b: unknown): boolean {
  if (basic(a) !== basic(b)) throw new Error("incompatible types for comparison");
  if (typeof a === "boolean") throw new Error("invalid type for comparison");
  return (a as string | number) < (b as string | number);
}

/** fmt.Sprint: a space between two operands when neither is a string. */
function sprint(...values: unknown[]): string {
  return values
    .map((value, index) =>
      index > 0 && typeof value !== "string" && typeof values[index - 1] !== "string"
        ? ` ${goString(value)}`
        : goString(value),
    )
    .join("");
}

const text = (value: unknown): string => {
  if (typeof value !== "string")
    throw new Error(`wrong type for value; expected string; got ${value === null ? "nil" : typeof value}`);
  return value;
};
const escapeHtml = (value: string) =>
  value.replace(
    /[&<>"']/g,
    letter => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;" })[letter]!,
  );

export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  eq: equal,
  ne: (a, b) => !equal(a, b),
  lt: less,
  le: (a, b) => less(a, b) || equal(a, b),
  gt: (a, b) => !(less(a, b) || equal(a, b)),
  ge: (a, b) => !less(a, b),
  not: value => !isTrue(value),
  len: lengthOf,
  index: indexOf,
  slice: sliceOf,
  print: sprint,
  printf: (format, ...values) => goPrintf(text(format), values),
  println: (...values) => `${values.map(goString).join(" ")}\n`,
  html: (...values) => escapeHtml(sprint(...values)),
  js: (...values) =>
    JSON.stringify(sprint(...values))
      .slice(1, -1)
      .replace(/[<>&'=]/g, one => `\\u00${one.charCodeAt(0).toString(16).toUpperCase()}`),
  urlquery: (...values) => encodeURIComponent(sprint(...values)).replace(/%20/g, "+"),
  // Podman's and Docker's own.
  json: value => goJson(value ?? null),
  join: (list, separator) => {
    if (list === null) return "";
    if (!Array.isArray(list)) throw new Error("wrong type for value; expected []string");
    return list.map(goString).join(text(separator));
  },
  split: (value, separator) => text(value).split(text(separator)),
  lower: value => text(value).toLowerCase(),
  upper: value => text(value).toUpperCase(),
  title: value => text(value).replace(/(^|\s)\S/g, letter => letter.toUpperCase()),
  pad: (value, before, after) => {
    const padded = text(value);
    return padded === "" ? "" : " ".repeat(Number(before)) + padded + " ".repeat(Number(after));
  },
  truncate: (value, length) => [...text(value)].slice(0, Number(length)).join(""),
};

/** `and` and `or` stop at the first value that decides: they are the evaluator's. */
export const FUNCTION_NAMES: ReadonlySet<string> = new Set([...Object.keys(FUNCTIONS), "and", "or", "call"]);
