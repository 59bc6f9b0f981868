/** The pages of the CNI plugins: what they print is run, on a host for each, and their tables are what the plugins say. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { DIRECTORY, page } from "../../scripts/cni-docs.ts";
import { PLUGIN_TYPES } from "../../src/cni/plugins/table.ts";
import { TestHost } from "../support/host.ts";
import { follow } from "./console.ts";

const pages = readdirSync(DIRECTORY).filter(name => name.endsWith(".md"));

test("every plugin has a page, with the table of its fields", async () => {
  expect(PLUGIN_TYPES.filter(name => !pages.includes(`${name}.md`))).toEqual([]);
  for (const name of PLUGIN_TYPES) {
    const { text, wanted } = await page(name);
    expect(text).toBe(wanted);
  }
});

for (const name of pages)
  test(`docs/cni/${name}`, async () => {
    await using host = await TestHost.create();
    await follow(host, `docs/cni/${name}`);
  }, 60_000);
