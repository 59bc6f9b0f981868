/** What the documentation prints is run, line by line. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { TestHost } from "../support/host.ts";
import { openHost, openUser } from "./world.ts";

interface Step {
  command: string;
  /** Lines; `…` stands for any one line. */
  output: string[];
}

/** The commands of all `console` blocks, each with what is printed under it. */
function steps(path: string): Step[] {
  const blocks = readFileSync(path, "utf8").matchAll(/^```console\n([\s\S]*?)^```/gm);
  const found: Step[] = [];
  for (const [, block] of blocks)
    for (const line of block!.trimEnd().split("\n"))
      if (line.startsWith("$ ")) found.push({ command: line.slice(2), output: [] });
      else found.at(-1)!.output.push(line);
  return found;
}

async function follow(caller: Pick<TestHost, "run">, path: string): Promise<void> {
  for (const { command, output } of steps(path)) {
    const { stdout, stderr } = await caller.run(["sh", "-c", command]);
    const printed = (stdout + stderr).split("\n").map(line => line.trimEnd());
    const shown = printed.filter(Boolean).map((line, index) => (output[index] === "…" ? "…" : line));
    expect([command, ...shown]).toEqual([command, ...output]);
  }
}

test("docs/networks.md", async () => {
  await using host = await openHost("busybox");
  await follow(host, "docs/networks.md");
}, 60_000);

test("docs/rootless.md, as an ordinary user", async () => {
  await using user = await openUser("nginx", "leap");
  await follow(user, "docs/rootless.md");
}, 60_000);
