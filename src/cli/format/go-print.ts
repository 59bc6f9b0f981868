/** Values as Go's fmt package prints them: `%v`, and printf's verbs with flags, width and precision. */

/** Objects that stand for Go maps print as `map[k:v]`, others as structs. */
const maps = new WeakSet<object>();

/** Marks an object as a Go map: keys may be missing, and it prints as one. */
export function asMap<T extends object>(value: T): T {
  maps.add(value);
  return value;
}

export const isMap = (value: unknown): boolean =>
  value instanceof Map || (isObject(value) && maps.has(value));

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const RFC3339 = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.(\d+))?Z$/;

/** A Go time.Time, from RFC 3339 in UTC: JSON as it was written, printed as Go prints times. */
export class GoTime {
  private constructor(readonly text: string) {}
  /** Undefined for a text that is no such time. */
  static from(text: string): GoTime | undefined {
    return RFC3339.test(text) ? new GoTime(text) : undefined;
  }
  toString(): string {
    const [, date, time, fraction = ""] = RFC3339.exec(this.text)!;
    const digits = fraction.replace(/0+$/, "");
    return `${date} ${time}${digits && `.${digits}`} +0000 UTC`;
  }
  toJSON(): string {
    return this.text;
  }
  /** A method of time.Time that templates call, but for those that take arguments; undefined for any other name. */
  method(name: string): (() => unknown) | undefined {
    const date = new Date(this.text);
    const nanoseconds = Number((RFC3339.exec(this.text)![3] ?? "").padEnd(9, "0").slice(0, 9));
    const seconds = BigInt(Math.floor(date.getTime() / 1000));
    const methods: Record<string, () => unknown> = {
      Unix: () => seconds,
      UnixMilli: () => BigInt(date.getTime()),
      UnixNano: () => seconds * 1_000_000_000n + BigInt(nanoseconds),
      Year: () => date.getUTCFullYear(),
      Month: () => date.toLocaleString("en", { month: "long", timeZone: "UTC" }),
      Day: () => date.getUTCDate(),
      Weekday: () => date.toLocaleString("en", { weekday: "long", timeZone: "UTC" }),
      Hour: () => date.getUTCHours(),
      Minute: () => date.getUTCMinutes(),
      Second: () => date.getUTCSeconds(),
      Nanosecond: () => nanoseconds,
      IsZero: () => this.text.startsWith("0001-01-01T00:00:00") && nanoseconds === 0,
      UTC: () => this,
      String: () => this.toString(),
    };
    return Object.hasOwn(methods, name) ? methods[name] : undefined;
  }
}

/** Milliseconds since 1970 as Go prints a time: `2026-11-24 14:43:11.71 +0000 UTC`. */
export function goTime(ms: number): string {
  return String(GoTime.from(new Date(ms).toISOString()));
}

/** `%v`. */
export function goString(value: unknown): string {
  if (value === undefined) return "<no value>";
  if (value === null) return "<nil>";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return `[${value.map(goString).join(" ")}]`;
  if (value instanceof GoTime) return value.toString();
  if (isObject(value)) {
    if (isMap(value))
      return `map[${Object.keys(value)
        .sort()
        .map(key => `${key}:${goString(value[key])}`)
        .join(" ")}]`;
    return `{${Object.values(value).map(goString).join(" ")}}`;
  }
  if (typeof value === "number") return goNumber(value);
  return String(value);
}

/** `%v` of a float64: large and small ones in scientific notation, two digits in the exponent at least. */
function goNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 63) return BigInt(value).toString();
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e21) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
}

/** A double-quoted Go string. */
export function goQuote(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u00a0]/g,
    letter => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const typeName = (value: unknown): string =>
  typeof value === "string"
    ? "string"
    : typeof value === "boolean"
      ? "bool"
      : typeof value === "number"
        ? Number.isInteger(value)
          ? "int"
          : "float64"
        : typeof value === "bigint"
          ? "int64"
          : Array.isArray(value)
            ? "[]interface {}"
            : "map[string]interface {}";

function hex(value: unknown, upper: boolean): string {
  const text =
    typeof value === "string"
      ? Buffer.from(value).toString("hex")
      : BigInt(value as number | bigint).toString(16);
  return upper ? text.toUpperCase() : text;
}

function verb(
  letter: string,
  value: unknown,
  precision: number | undefined,
  flags: string,
): string | undefined {
  const isNumber = typeof value === "number" || typeof value === "bigint";
  const signed = (text: string) => (flags.includes("+") && !text.startsWith("-") ? `+${text}` : text);
  const cut = (text: string) => (precision === undefined ? text : [...text].slice(0, precision).join(""));
  switch (letter) {
    case "v":
      return isNumber ? signed(goString(value)) : goString(value);
    case "s":
      return isNumber || typeof value === "boolean" ? undefined : cut(goString(value));
    case "q":
      if (Array.isArray(value)) return `[${value.map(one => goQuote(goString(one))).join(" ")}]`;
      return typeof value === "string" ? goQuote(cut(value)) : undefined;
    case "t":
      return typeof value === "boolean" ? String(value) : undefined;
    case "T":
      return typeName(value);
    case "d":
      return isNumber && (typeof value === "bigint" || Number.isInteger(value))
        ? signed(goString(value))
        : undefined;
    case "b":
    case "o":
      return isNumber ? signed(BigInt(value).toString(letter === "b" ? 2 : 8)) : undefined;
    case "x":
    case "X":
      return isNumber || typeof value === "string"
        ? (flags.includes("#") ? `0${letter}` : "") + hex(value, letter === "X")
        : undefined;
    case "c":
      return isNumber ? String.fromCodePoint(Number(value)) : undefined;
    case "f":
    case "F":
      return isNumber ? signed(Number(value).toFixed(precision ?? 6)) : undefined;
    case "e":
    case "g":
      return isNumber
        ? signed(
            letter === "e"
              ? Number(value)
                  .toExponential(precision ?? 6)
                  .replace(/e([+-])(\d)$/, "e$10$2")
              : goNumber(Number(value)),
          )
        : undefined;
    default:
      return undefined;
  }
}

/** fmt.Sprintf: wrong arguments are shown in the text, as Go does, not thrown. */
export function goPrintf(format: string, values: readonly unknown[]): string {
  let next = 0;
  const text = format.replace(
    /%([-+# 0]*)(\*|\d+)?(?:\.(\d+)?)?([a-zA-Z%])?/g,
    (
      all,
      flags: string,
      width: string | undefined,
      precision: string | undefined,
      letter: string | undefined,
    ) => {
      if (letter === "%") return "%";
      if (letter === undefined) return "%!(NOVERB)";
      const wide = width === "*" ? Number(values[next++]) : Number(width ?? 0);
      if (next >= values.length) return `%!${letter}(MISSING)`;
      const value = values[next++];
      const digits = all.includes(".") ? Number(precision ?? 0) : undefined;
      const shown = verb(letter, value, digits, flags);
      if (shown === undefined) return `%!${letter}(${typeName(value)}=${goString(value)})`;
      if (flags.includes("-")) return shown.padEnd(wide);
      if (flags.includes("0") && typeof value !== "string") {
        const sign = /^[+-]/.test(shown) ? shown[0]! : "";
        return sign + shown.slice(sign.length).padStart(wide - sign.length, "0");
      }
      return shown.padStart(wide);
    },
  );
  if (next >= values.length) return text;
  return `${text}%!(EXTRA ${values
    .slice(next)
    .map(one => `${typeName(one)}=${goString(one)}`)
    .join(", ")})`;
}
