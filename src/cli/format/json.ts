/** JSON as Go's encoders write it: compact without a space, indented by any width, slashes and angle brackets untouched. */

export function goJson(value: unknown, indent = 0): string {
  return JSON.stringify(
    value,
    (_, one: unknown) =>
      typeof one === "function" ? undefined : typeof one === "bigint" ? Number(one) : one,
    indent,
  );
}
