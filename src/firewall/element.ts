/** Elements of sets and maps, as libnftables-json(5) writes them. Pure. */
import { lastOf, parseCidr, parseIP } from "../wire/addr.ts";
import type { SetName } from "./layout.ts";
import { TABLE } from "./layout.ts";

/** One field of a key or of data: an address, a protocol, a port, an interface name, or several of one kind. */
export type Field = string | number | { prefix: { addr: string; len: number } } | { range: [number, number] };
/** One field, or several in a row. */
export type Value = Field | { concat: Field[] };

export interface Element {
  set: SetName;
  key: Value;
  /** What a map holds for the key. */
  data?: Value;
  /** The element's comment; `""` where it has none. */
  owner: string;
}

export const concat = (...fields: Field[]): Value => (fields.length === 1 ? fields[0]! : { concat: fields });
/** A network; of full length it is an address, as libnftables lists it. */
export const prefix = (addr: string, len: number): Field =>
  len === (addr.includes(":") ? 128 : 32) ? addr : { prefix: { addr, len } };
/** The ports `first` to `last`; a single port where they are the same. */
export const ports = (first: number, last: number): Field =>
  first === last ? first : { range: [first, last] };

export const fieldsOf = (value: Value): Field[] =>
  typeof value === "object" && "concat" in value ? value.concat : [value];
export const sameValue = (a: Value, b: Value): boolean => JSON.stringify(a) === JSON.stringify(b);

/** IFNAMSIZ. */
const NAME_BYTES = 16;

/** A field as the kernel has it, and the last one of its interval. */
function fieldBytes(field: Field): [Uint8Array, Uint8Array] {
  if (typeof field === "object" && "prefix" in field) {
    const cidr = parseCidr(`${field.prefix.addr}/${field.prefix.len}`)!;
    return [cidr.ip.bytes, lastOf(cidr).bytes];
  }
  const address = parseIP(String(field));
  if (address) return [address.bytes, address.bytes];
  const name = new Uint8Array(NAME_BYTES);
  name.set(new TextEncoder().encode(String(field)));
  return [name, name];
}

/** A key of addresses, networks and interfaces as the kernel has it: its first value and its last. */
export function keyBytes(key: Value): [first: Uint8Array, last: Uint8Array] {
  const fields = fieldsOf(key).map(fieldBytes);
  return [Buffer.concat(fields.map(([first]) => first)), Buffer.concat(fields.map(([, last]) => last))];
}

/** nftables keeps at most 128 bytes of comment. */
const COMMENT_BYTES = 120;

/** The mark of an attachment on its elements. */
export function owner(containerId: string, ifName: string): string {
  const text = `${containerId}:${ifName}`;
  if (text.length <= COMMENT_BYTES) return text;
  return `sha256-${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;
}

const bySet = (elements: readonly Element[]) => Map.groupBy(elements, element => element.set);

/** Commands that add the elements, one a set. An element that is there with other data makes the transaction fail. */
export function addCommands(elements: readonly Element[]): unknown[] {
  return [...bySet(elements)].map(([set, list]) => ({
    add: {
      element: {
        family: TABLE.family,
        table: TABLE.name,
        name: set,
        elem: list.map(({ key, data, owner }) => {
          const element = owner === "" ? key : { elem: { val: key, comment: owner } };
          return data === undefined ? element : [element, data];
        }),
      },
    },
  }));
}

export function deleteCommands(elements: readonly Element[]): unknown[] {
  return [...bySet(elements)].map(([set, list]) => ({
    delete: {
      element: { family: TABLE.family, table: TABLE.name, name: set, elem: list.map(({ key }) => key) },
    },
  }));
}

interface ListedSet {
  name: SetName;
  elem?: unknown[];
}

/** The elements in libnftables' answer to `list table`, `list set` or `list map`. */
export function parseElements(reply: string): Element[] {
  const objects = (JSON.parse(reply) as { nftables: { set?: ListedSet; map?: ListedSet }[] }).nftables;
  return objects.flatMap(object => {
    const set = object.set ?? object.map;
    return (set?.elem ?? []).map(entry => {
      const [element, data] = Array.isArray(entry) ? entry : [entry, undefined];
      const { val, comment = "" } = (element as { elem?: { val: Value; comment?: string } }).elem ?? {
        val: element as Value,
      };
      return { set: set!.name, key: val, data: data as Value | undefined, owner: comment };
    });
  });
}
