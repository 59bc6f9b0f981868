/** Values to a stream of Go's encoding/gob (`gob.ts`). */
import { BASIC, FIRST_OWN, GIVEN, type GobType, type Shape, WIRE_TYPE } from "./gob.ts";

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
