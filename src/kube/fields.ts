/** Reading values of unknown shape, field by field; what has the wrong type is refused by document, kind and field. */
import { UserError } from "../base/errors.ts";

const nameOf = (value: unknown) =>
  Array.isArray(value)
    ? "a list"
    : value === null
      ? "nothing"
      : typeof value === "object"
        ? "a mapping"
        : `a ${typeof value}`;

/** A value and where it stands: `document 2, Pod web: spec.containers[0].image`. */
export class Field {
  constructor(
    readonly value: unknown,
    private readonly where: string,
    private readonly path = "",
  ) {}

  get given(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  refuse(what: string): UserError {
    return new UserError(`${this.where}: ${this.path ? `${this.path}: ` : ""}${what}`);
  }

  private expected(what: string): UserError {
    return this.refuse(`expected ${what}, found ${nameOf(this.value)}`);
  }

  /** The member of a mapping, or of nothing; `null` counts as not given. */
  at(name: string): Field {
    if (!this.given) return new Field(undefined, this.where, this.path ? `${this.path}.${name}` : name);
    const members = this.mapping();
    const value = Object.hasOwn(members, name) ? members[name] : undefined;
    return new Field(value, this.where, this.path ? `${this.path}.${name}` : name);
  }

  mapping(): Readonly<Record<string, unknown>> {
    if (!this.given) return {};
    if (typeof this.value !== "object" || Array.isArray(this.value)) throw this.expected("a mapping");
    return this.value as Record<string, unknown>;
  }

  list(): Field[] {
    if (!this.given) return [];
    if (!Array.isArray(this.value)) throw this.expected("a list");
    return this.value.map((one, index) => new Field(one, this.where, `${this.path}[${index}]`));
  }

  /** Text, or a number where text is asked for, as Kubernetes' own reader takes it. */
  text(): string | undefined {
    if (!this.given) return undefined;
    const { value } = this;
    if (typeof value !== "string" && typeof value !== "number") throw this.expected("a string");
    const text = String(value);
    if (text.includes("\0")) throw this.refuse("a NUL character can't be in it");
    return text;
  }

  needed(): string {
    const text = this.text();
    if (!text) throw this.refuse("is needed");
    return text;
  }

  texts(): string[] {
    return this.list().map(one => one.text() ?? "");
  }

  /** `K: V`, all text. */
  pairs(): Record<string, string> {
    return Object.fromEntries(Object.keys(this.mapping()).map(key => [key, this.at(key).text() ?? ""]));
  }

  bool(): boolean | undefined {
    if (!this.given) return undefined;
    if (typeof this.value !== "boolean") throw this.expected("true or false");
    return this.value;
  }

  /** A whole number between `least` and `most`. */
  integer(least: number, most: number): number | undefined {
    if (!this.given) return undefined;
    const { value } = this;
    if (typeof value !== "number" || !Number.isInteger(value)) throw this.expected("a whole number");
    if (value < least || value > most) throw this.refuse(`${value} is not between ${least} and ${most}`);
    return value;
  }

  /** One of a few words. */
  word<T extends string>(allowed: readonly T[]): T | undefined {
    const text = this.text();
    if (!text) return undefined;
    const found = allowed.find(one => one.toLowerCase() === text.toLowerCase());
    if (!found) throw this.refuse(`${JSON.stringify(text)} is none of ${allowed.join(", ")}`);
    return found;
  }
}
