/**
 * Go's encoding/gob (its package documentation describes it), as much as messages of structures, slices, texts, bytes and
 * numbers need. A stream describes each type before its first value; who reads needs to know none beforehand. Here is what both
 * sides know, `gob-encoder.ts` writes a stream, and `gob-decoder.ts` reads one.
 */

/** A structure's fields come in this order; a value's field that is zero, empty or absent is not sent. */
export type GobType =
  | "int"
  | "uint"
  | "bytes"
  | "string"
  | { name: string; fields: Record<string, GobType> }
  | { slice: GobType };

/** Bytes that are no gob stream, or use what is not known here. */
export class GobError extends Error {
  override readonly name = "GobError";
}

/** Ids of the types that need no description. */
export const BASIC = { bool: 1, int: 2, uint: 3, float: 4, bytes: 5, string: 6 } as const;
/** The type whose values describe types. */
export const WIRE_TYPE = 16;
/** The first id that a stream gives to a type of its own. */
export const FIRST_OWN = 65;

/** How a type looks on the wire: ids stand for the types of fields and elements. */
export type Shape =
  | { kind: "struct"; fields: { name: string; id: number }[] }
  | { kind: "slice"; element: number }
  | { kind: "map"; key: number; element: number };

const struct = (...fields: [string, number][]): Shape => ({
  kind: "struct",
  fields: fields.map(([name, id]) => ({ name, id })),
});

/** The types that describe types; both sides have them. */
export const GIVEN: readonly (readonly [number, Shape])[] = [
  [WIRE_TYPE, struct(["ArrayT", 17], ["SliceT", 19], ["StructT", 20], ["MapT", 23])],
  [17, struct(["Common", 18], ["Elem", BASIC.int], ["Len", BASIC.int])],
  [18, struct(["Name", BASIC.string], ["Id", BASIC.int])],
  [19, struct(["Common", 18], ["Elem", BASIC.int])],
  [20, struct(["Common", 18], ["Field", 22])],
  [21, struct(["Name", BASIC.string], ["Id", BASIC.int])],
  [22, { kind: "slice", element: 21 }],
  [23, struct(["Common", 18], ["Key", BASIC.int], ["Elem", BASIC.int])],
];
