/** The lists of packages in setup.sh are in single quotes, which an apostrophe ends: every step after it would be lost. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";

test("setup.sh can be read by bash", () => {
  const child = Bun.spawnSync(["bash", "-n", resolve(import.meta.dir, "../../scripts/setup.sh")], {
    stderr: "pipe",
  });
  expect(child.stderr.toString()).toBe("");
});
