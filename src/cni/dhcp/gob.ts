/**
 * Go's encoding/gob (its package documentation describes it), as much as messages of structures, slices, texts, bytes and
 * numbers need. A stream describes each type before its first value; who reads needs to know none beforehand.
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

const BASIC = { bool: 1, int: 2, uint: 3, float: 4, bytes: 5, string: 6 } as const;
const WIRE_TYPE = 16;
const FIRST_OWN = 65;
/** Far above what a netconf takes. */
const MOST_BYTES = 1 << 20;
const DEEPEST = 32;

/** How a type looks on the wire: ids stand for the types of fields and elements. */
type Shape =
  | { kind: "struct"; fields: { name: string; id: number }[] }
  | { kind: "slice"; element: number }
  | { kind: "map"; key: number; element: number };

const struct = (...fields: [string, number][]): Shape => ({
  kind: "struct",
  fields: fields.map(([name, id]) => ({ name, id })),
});

/** The types that describe types; both sides have them. */
const GIVEN: readonly (readonly [number, Shape])[] = [
  [WIRE_TYPE, struct(["ArrayT", 17], ["SliceT", 19], ["StructT", 20], ["MapT", 23])],
  [17, struct(["Common", 18], ["Elem", BASIC.int], ["Len", BASIC.int])],
  [18, struct(["Name", BASIC.string], ["Id", BASIC.int])],
  [19, struct(["Common", 18], ["Elem", BASIC.int])],
  [20, struct(["Common", 18], ["Field", 22])],
  [21, struct(["Name", BASIC.string], ["Id", BASIC.int])],
  [22, { kind: "slice", element: 21 }],
  [23, struct(["Common", 18], ["Key", BASIC.int], ["Elem", BASIC.int])],
];

/** Writes one stream. */
export class GobEncoder {
  private readonly shapes = new Map<number, Shape>(GIVEN);
  private readonly ids = new Map<GobType, number>();
  private out: number[] = [];

  /** A value, after the descriptions of types that the stream has not had yet. */
  encode(type: GobType, value: unknown): Uint8Array {
    const described: number[] = [];
    const id = this.idOf(type, described);
    const message = this.message(() => {
      this.int(id);
      if (typeof type === "string" || "slice" in type) this.uint(0);
      this.value(id, value);
    });
    return Uint8Array.from([...described, ...message]);
  }

  private idOf(type: GobType, described: number[]): number {
    if (typeof type === "string") return BASIC[type];
    const known = this.ids.get(type);
    if (known !== undefined) return known;
    const id = FIRST_OWN + this.ids.size;
    this.ids.set(type, id);
    let description: object;
    if ("slice" in type) {
      const element = this.idOf(type.slice, described);
      this.shapes.set(id, { kind: "slice", element });
      description = { SliceT: { Common: { Id: id }, Elem: element } };
    } else {
      const fields = Object.entries(type.fields).map(([name, one]) => ({
        name,
        id: this.idOf(one, described),
      }));
      this.shapes.set(id, { kind: "struct", fields });
      const field = fields.map(one => ({ Name: one.name, Id: one.id }));
      description = { StructT: { Common: { Name: type.name, Id: id }, Field: field } };
    }
    described.push(
      ...this.message(() => {
        this.int(-id);
        this.value(WIRE_TYPE, description);
      }),
    );
    return id;
  }

  private message(write: () => void): number[] {
    this.out = [];
    write();
    const body = this.out;
    this.out = [];
    this.uint(body.length);
    return [...this.out, ...body];
  }

  private value(id: number, value: unknown): void {
    switch (id) {
      case BASIC.int:
        this.int(value as number);
        return;
      case BASIC.uint:
        this.uint(value as number);
        return;
      case BASIC.string:
        this.bytes(new TextEncoder().encode(value as string));
        return;
      case BASIC.bytes:
        this.bytes(value as Uint8Array);
        return;
    }
    const shape = this.shapes.get(id)!;
    if (shape.kind === "slice") {
      const list = value as unknown[];
      this.uint(list.length);
      for (const one of list) this.value(shape.element, one);
    } else if (shape.kind === "struct") {
      let last = -1;
      for (const [index, field] of shape.fields.entries()) {
        const one = (value as Record<string, unknown>)[field.name];
        if (isNothing(one)) continue;
        this.uint(index - last);
        last = index;
        this.value(field.id, one);
      }
      this.uint(0);
    }
  }

  private uint(value: number): void {
    if (value < 128) {
      this.out.push(value);
      return;
    }
    const digits: number[] = [];
    for (let rest = BigInt(value); rest > 0n; rest >>= 8n) digits.unshift(Number(rest & 0xffn));
    this.out.push(256 - digits.length, ...digits);
  }

  private int(value: number): void {
    this.uint(value < 0 ? (-value - 1) * 2 + 1 : value * 2);
  }

  private bytes(value: Uint8Array): void {
    this.uint(value.length);
    for (const byte of value) this.out.push(byte);
  }
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === 0 || (value as { length?: number }).length === 0;
}

/** Reads one stream, however it is cut into pieces. */
export class GobDecoder {
  private readonly shapes = new Map<number, Shape>(GIVEN);
  private pending: Uint8Array = new Uint8Array(0);
  private at = 0;
  private end = 0;

  push(bytes: Uint8Array): void {
    this.pending = this.pending.length === 0 ? bytes.slice() : Uint8Array.from([...this.pending, ...bytes]);
  }

  /**
   * The next whole value: structures are objects without what was not sent, slices arrays, bytes a Uint8Array, numbers
   * numbers. Undefined until more bytes have come. Throws GobError.
   */
  next(): unknown {
    for (;;) {
      const body = this.body();
      if (body === undefined) return undefined;
      const { start, end } = body;
      this.at = start;
      this.end = end;
      const id = this.int();
      const value = id < 0 ? this.describe(-id) : this.top(id);
      if (this.at !== end) throw new GobError("a message is longer than its value");
      this.pending = this.pending.subarray(end);
      if (id > 0) return value;
    }
  }

  /** Where the next message is, once all of it is there. */
  private body(): { start: number; end: number } | undefined {
    const [first] = this.pending;
    if (first === undefined) return undefined;
    const size = first < 128 ? 1 : 257 - first;
    if (this.pending.length < size) return undefined;
    this.at = 0;
    this.end = size;
    const length = this.uint();
    if (length > MOST_BYTES) throw new GobError(`a message of ${length} bytes`);
    return this.pending.length < size + length ? undefined : { start: size, end: size + length };
  }

  private describe(id: number): void {
    interface Description {
      ArrayT?: { Elem: number };
      SliceT?: { Elem: number };
      StructT?: { Field?: { Name: string; Id: number }[] };
      MapT?: { Key: number; Elem: number };
    }
    if (id < FIRST_OWN - 1 || this.shapes.has(id)) throw new GobError(`type ${id} is described again`);
    const { ArrayT, SliceT, StructT, MapT } = this.value(WIRE_TYPE, 0) as Description;
    const list = SliceT ?? ArrayT;
    if (list) this.shapes.set(id, { kind: "slice", element: list.Elem });
    else if (MapT) this.shapes.set(id, { kind: "map", key: MapT.Key, element: MapT.Elem });
    else
      this.shapes.set(id, {
        kind: "struct",
        fields: (StructT?.Field ?? []).map(one => ({ name: one.Name, id: one.Id })),
      });
  }

  private top(id: number): unknown {
    // What is no structure has an empty place before it.
    if (this.shapes.get(id)?.kind !== "struct" && this.uint() !== 0)
      throw new GobError("a value has no place");
    return this.value(id, 0);
  }

  private value(id: number, depth: number): unknown {
    if (depth > DEEPEST) throw new GobError("values are nested too deep");
    switch (id) {
      case BASIC.bool:
        return this.uint() !== 0;
      case BASIC.int:
        return this.int();
      case BASIC.uint:
      case BASIC.float:
        return this.uint();
      case BASIC.bytes:
        return this.bytes();
      case BASIC.string:
        return new TextDecoder().decode(this.bytes());
    }
    const shape = this.shapes.get(id);
    if (!shape) throw new GobError(`type ${id} is not described`);
    if (shape.kind === "struct") return this.fields(shape.fields, depth);
    const list: unknown[] = [];
    for (let left = this.count(); left > 0; left--) {
      const key = shape.kind === "map" ? this.value(shape.key, depth + 1) : undefined;
      const one = this.value(shape.element, depth + 1);
      list.push(shape.kind === "map" ? [key, one] : one);
    }
    return list;
  }

  private fields(fields: readonly { name: string; id: number }[], depth: number): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    let index = -1;
    for (let step = this.uint(); step !== 0; step = this.uint()) {
      index += step;
      const field = fields[index];
      if (!field) throw new GobError(`a structure of ${fields.length} fields has one at ${index}`);
      value[field.name] = this.value(field.id, depth + 1);
    }
    return value;
  }

  /** How many there are of something of which each takes a byte at least. */
  private count(): number {
    const count = this.uint();
    if (count > this.end - this.at) throw new GobError("more is said to follow than there is");
    return count;
  }

  private bytes(): Uint8Array {
    const length = this.count();
    this.at += length;
    return this.pending.slice(this.at - length, this.at);
  }

  private uint(): number {
    const first = this.byte();
    if (first < 128) return first;
    const size = 256 - first;
    if (size > 8) throw new GobError("a number of more than eight bytes");
    let value = 0;
    for (let index = 0; index < size; index++) value = value * 256 + this.byte();
    return value;
  }

  private int(): number {
    const value = this.uint();
    return value % 2 === 1 ? -(value - 1) / 2 - 1 : value / 2;
  }

  private byte(): number {
    if (this.at >= this.end) throw new GobError("a message is cut");
    return this.pending[this.at++]!;
  }
}
