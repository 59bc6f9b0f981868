/** A stream of Go's encoding/gob (`gob.ts`) to values. */
import { BASIC, FIRST_OWN, GIVEN, GobError, type Shape, WIRE_TYPE } from "./gob.ts";

/** Far above what a netconf takes. */
const MOST_BYTES = 1 << 20;
const DEEPEST = 32;

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
