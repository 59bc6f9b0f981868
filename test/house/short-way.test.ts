/** The verbs that take the short way inside are those that would have gone there anyhow. */
import { expect, test } from "bun:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { ALWAYS_INSIDE } from "../../src/cli/short-way.ts";

test.each(ALWAYS_INSIDE)("%s can do nothing outside of the user namespace", async verb => {
  const entry = COMMANDS.find(one => one.name === verb);
  if (!entry || !("load" in entry)) throw new Error(`there is no verb ${verb}`);
  expect((await entry.load()).outside).toBeUndefined();
});
