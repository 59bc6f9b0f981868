/** `--format`: how a verb's rows become text. */
import { UserError } from "../../base/errors.ts";
import { writeOut } from "../../base/stdio.ts";
import { print } from "../command.ts";
import { goJson } from "./json.ts";
import { table } from "./table.ts";
import { CompiledTemplate } from "./template.ts";

export interface Listing<Row extends object> {
  /** Name of the template, in messages. */
  name: string;
  rows: readonly Row[];
  /** Heading by field; a field without one is headed by its name in capitals. */
  headings: Readonly<Record<string, string>>;
  /** Fields of the table that is printed when no format is asked for. */
  columns: readonly string[];
  format?: string;
  noHeading?: boolean;
  /** What `--format json` prints. */
  json: () => unknown;
  /** Width of JSON's indentation. */
  indent?: number;
}

/** Prints a list in the format asked for: a table, a Go template (with headings after `table`), or JSON. */
export function printListing<Row extends object>(listing: Listing<Row>): void {
  const { format } = listing;
  if (format === "json") {
    print(goJson(listing.json(), listing.indent ?? 4));
    return;
  }
  const heading = (field: string) => listing.headings[field] ?? splitWords(field).toUpperCase();
  if (format === undefined || format === "" || format === "table") {
    const body = listing.rows.map(row =>
      listing.columns.map(column => String((row as Record<string, unknown>)[column] ?? "")),
    );
    printTable(listing.noHeading ? body : [listing.columns.map(heading), ...body]);
    return;
  }
  const isTable = /^table\s/.test(format);
  // In a table, fields with a space between are columns as well.
  const source = unescapeFormat(
    isTable ? format.replace(/^table\s+/, "").replace(/\}\} +\{\{/g, "}}\t{{") : format,
  );
  const template = new CompiledTemplate(listing.name, source);
  const lines = listing.rows.map(row => template.execute(row));
  if (!isTable) {
    for (const line of lines) writeOut(line.endsWith("\n") ? line : `${line}\n`);
    return;
  }
  const fields = new Set([...source.matchAll(/\.([A-Za-z_]\w*)/g)].map(match => match[1]!));
  const titles = Object.fromEntries([...fields].map(field => [field, heading(field)]));
  const head = listing.noHeading ? [] : [new CompiledTemplate(listing.name, source).execute(titles)];
  printTable([...head, ...lines].map(line => line.split("\t")));
}

export function printTable(rows: readonly (readonly string[])[]): void {
  const lines = table(rows);
  if (lines.length > 0) print(lines.join("\n"));
}

/** `ImageID` → `Image ID`. */
const splitWords = (field: string) => field.replace(/([a-z])([A-Z])/g, "$1 $2");

/** `\t` and `\n` as people type them in a shell's single quotes. */
export function unescapeFormat(format: string): string {
  return format.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
}

/** Prints each of several objects by a template (`inspect -f`), one line each. */
export function printObjects(name: string, objects: readonly object[], format: string): void {
  const template = new CompiledTemplate(name, unescapeFormat(format));
  for (const one of objects) print(template.execute(one));
}

/** Refuses what is neither `json` nor a template, for verbs that know nothing else. */
export function templateOrJson(format: string | undefined): string | undefined {
  if (format !== undefined && format !== "json" && !format.includes("{{"))
    throw new UserError(`unknown format ${JSON.stringify(format)}: use json or a Go template`);
  return format;
}
