/**
 * The tables of fields in `docs/cni/NAME.md`, between `<!-- fields -->` and `<!-- /fields -->`, from what each plugin says of
 * its configuration. `bun run scripts/cni-docs.ts` writes them, with `--check` it tells of stale ones and fails.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Field, FieldType } from "../src/cni/plugins/field.ts";
import { loadPlugin, PLUGIN_TYPES } from "../src/cni/plugins/table.ts";
import { giveBack } from "./give-back.ts";

export const DIRECTORY = join(import.meta.dir, "../docs/cni");

const TYPES: Record<FieldType, string> = {
  string: "text",
  boolean: "boolean",
  integer: "integer",
  natural: "integer, 0 or more",
  strings: "list of texts",
  object: "object",
  objects: "list of objects",
  lists: "list of lists",
  map: "object of texts",
};

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function table(fields: readonly Field[]): string {
  if (fields.length === 0) return "None of its own.";
  const rows = fields.map(({ name, type, default: absent = "", text }) =>
    [`\`${name}\``, TYPES[type], absent, text].map(cell).join(" | "),
  );
  return ["field | type | when absent | meaning", "--- | --- | --- | ---", ...rows]
    .map(row => `| ${row} |`)
    .join("\n");
}

const MARKERS = /(<!-- fields -->\n)[\s\S]*?(<!-- \/fields -->)/;

/** The page of a plugin as it should be. Throws where it has no place for the table. */
export async function page(name: string): Promise<{ path: string; text: string; wanted: string }> {
  const path = join(DIRECTORY, `${name}.md`);
  const text = readFileSync(path, "utf8");
  const plugin = await loadPlugin(name);
  if (!plugin?.fields) throw new Error(`the plugin ${name} does not tell its fields`);
  if (!MARKERS.test(text)) throw new Error(`${path} has no <!-- fields --> and <!-- /fields -->`);
  const filled = table(plugin.fields);
  return { path, text, wanted: text.replace(MARKERS, (_, open, close) => `${open}${filled}\n${close}`) };
}

if (import.meta.main) {
  const isCheck = process.argv.includes("--check");
  for (const name of PLUGIN_TYPES) {
    const { path, text, wanted } = await page(name);
    if (text === wanted) continue;
    if (isCheck) {
      console.error(`docs/cni/${name}.md is stale: bun run scripts/cni-docs.ts writes it anew`);
      process.exitCode = 1;
    } else {
      writeFileSync(path, wanted);
      giveBack(path);
    }
  }
}
