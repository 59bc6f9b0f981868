/** YAML text to values, document by document, and values to text as Kubernetes' tools write it. */
import { errorText, oneLine, UserError } from "../base/errors.ts";

export interface Document {
  /** Counted from 1, empty ones too. */
  number: number;
  value: unknown;
}

/** The documents that are not empty (YAML 1.2, section 9.1). Throws UserError for one that is no YAML, by its number. */
export function parseDocuments(text: string): Document[] {
  const found: Document[] = [];
  const parts = text.replace(/^\uFEFF/, "").split(/^---(?=\s|$)[^\S\n]*|^\.\.\.[^\S\n]*$/m);
  for (const [index, part] of parts.entries()) {
    const number = Math.max(1, parts[0]!.trim() === "" ? index : index + 1);
    try {
      const value: unknown = Bun.YAML.parse(part);
      if (value !== null && value !== undefined) found.push({ number, value });
    } catch (error) {
      throw new UserError(
        `multi doc yaml could not be split: document ${number} is no YAML: ${oneLine(errorText(error)).replace(/^YAML Parse error: /, "")}`,
      );
    }
  }
  return found;
}

/** What YAML 1.1 and 1.2 may read as something else than text. */
const NOT_PLAIN =
  /^$|^[\s\-?:,[\]{}#&*!|>'"%@`=~<]|[:\s]$|: | #|[\x00-\x1f\x7f-\x9f\u2028\u2029\uFEFF]|^(?:null|true|false|yes|no|on|off|y|n)$|^[-+]?\.?\d|^[-+]?\.(?:inf|nan)$/i;

const scalar = (value: unknown) =>
  typeof value === "string" && !NOT_PLAIN.test(value) ? value : JSON.stringify(value);

type Mapping = Readonly<Record<string, unknown>>;
const entries = (value: Mapping) =>
  Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
const isMapping = (value: unknown): value is Mapping =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The lines of a node in block style. */
function lines(value: unknown): string[] {
  if (Array.isArray(value) && value.length > 0)
    return value.flatMap(one => lines(one).map((line, index) => `${index === 0 ? "- " : "  "}${line}`));
  if (isMapping(value) && entries(value).length > 0)
    return entries(value).flatMap(([key, one]) => {
      const name = `${scalar(key)}:`;
      if (Array.isArray(one) && one.length > 0) return [name, ...lines(one)];
      if (isMapping(one) && entries(one).length > 0) return [name, ...lines(one).map(line => `  ${line}`)];
      return [`${name} ${lines(one)[0]}`];
    });
  return [Array.isArray(value) ? "[]" : isMapping(value) ? "{}" : scalar(value)];
}

/** A document in block style, keys sorted, lists no further in than their key; what is undefined is left out. */
export const yamlText = (value: unknown): string => `${lines(value).join("\n")}\n`;
