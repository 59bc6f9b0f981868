/** What a plugin's configuration may hold, told once: it is checked by this, and docs/cni has its tables from here. */
import { CNI_ERROR, CniError, type PluginConf } from "../types.ts";

/** Shapes of values: `strings`, `objects` and `lists` are lists of such, `map` is an object of texts, `natural` is 32 bits. */
export type FieldType =
  | "string"
  | "boolean"
  | "integer"
  | "natural"
  | "strings"
  | "object"
  | "objects"
  | "lists"
  | "map";

export interface Field {
  /** The key; below an object, `args.cni.mac`, which is for the docs alone. */
  name: string;
  type: FieldType;
  /** What stands where the key is absent, as a person would say it. */
  default?: string;
  /** One sentence for the table. */
  text: string;
}

const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
const isList = (value: unknown, isOne: (one: unknown) => boolean) =>
  Array.isArray(value) && value.every(isOne);
const isText = (value: unknown) => typeof value === "string";

const FITS: Record<FieldType, (value: unknown) => boolean> = {
  string: isText,
  boolean: value => typeof value === "boolean",
  integer: Number.isSafeInteger,
  natural: value => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffffffff,
  strings: value => isList(value, isText),
  object: isObject,
  objects: value => isList(value, isObject),
  lists: value => isList(value, Array.isArray),
  map: value => isObject(value) && Object.values(value as object).every(isText),
};

/** Throws CniError 6 for a value that has not the shape of its field. Absent and null are fine, unknown keys too. */
export function checkFields(fields: readonly Field[], conf: PluginConf): void {
  for (const { name, type } of fields) {
    const value = conf[name];
    if (value !== undefined && value !== null && !FITS[type](value))
      throw new CniError(
        CNI_ERROR.DECODE,
        `failed to load netconf: ${name} must be ${type}, not ${JSON.stringify(value)}`,
      );
  }
}
