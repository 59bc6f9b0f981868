/** The pages of the CNI plugins: what they print is run, on a host for each, and their tables are what the plugins say. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { DIRECTORY, page } from "../../scripts/cni-docs.ts";
import { PLUGIN_TYPES } from "../../src/cni/plugins/table.ts";
import { TestHost } from "../support/host.ts";
import { follow } from "./console.ts";

const pages = readdirSync(DIRECTORY).filter(name => name.endsWith(".md"));

test("the tables are what the plugins say of their fields", async () => {
  for (const name of PLUGIN_TYPES.filter(one => pages.includes(`${one}.md`))) {
    const { text, wanted } = await page(name);
    expect(text).toBe(wanted);
  }
});

for (const name of pages)
  test(`docs/cni/${name}`, async () => {
    await using host = await TestHost.create();
    await follow(host, `docs/cni/${name}`);
  }, 60_000);
