/** What the documentation prints is run, line by line. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { TerminalSession, TestHost } from "../support/host.ts";
import { openHost, openUser } from "./world.ts";

interface Step {
  command: string;
  /** Lines; `…` stands for any one line. Those of a shell in a container: what is typed there, and some of what it prints. */
  output: string[];
}

/** The commands of all `console` blocks of a text, each with what is printed under it. `prompt` is before each. */
function steps(text: string, prompt: string): Step[] {
  const found: Step[] = [];
  for (const [, block] of text.matchAll(/^```console\n([\s\S]*?)^```/gm))
    for (const line of block!.trimEnd().split("\n"))
      if (line.startsWith(prompt)) found.push({ command: line.slice(prompt.length), output: [] });
      else found.at(-1)!.output.push(line);
  return found;
}

async function follow(
  caller: Pick<TestHost, "run" | "terminal">,
  path: string,
  { prompt = "$ ", part = text => text }: { prompt?: string; part?: (text: string) => string } = {},
): Promise<void> {
  for (const { command, output } of steps(part(readFileSync(path, "utf8")), prompt)) {
    if (/ exec -it /.test(command)) {
      await converse(caller.terminal("sh", "-c", command), output);
      continue;
    }
    const { stdout, stderr } = await caller.run(["sh", "-c", command]);
    const printed = (stdout + stderr).split("\n").map(line => line.trimEnd());
    const shown = printed.filter(Boolean).map((line, index) => (output[index] === "…" ? "…" : line));
    // Whose number a process has is chance.
    const plain = (line: string) => line.replaceAll(/\(pid \d+\)/g, "(pid …)");
    expect([command, ...shown.map(plain)]).toEqual([command, ...output.map(plain)]);
  }
}

/**
 * Types what is typed: commands after `# `, an answer after `(y): `, a request of HTTP and the empty line that ends it.
 * All other lines are printed, in time. The last command ends the shell.
 */
async function converse(shell: TerminalSession, lines: readonly string[]): Promise<void> {
  // Colours may change before any character.
  const printed = (text: string) =>
    shell.until(new RegExp([...text].map(RegExp.escape).join("(?:\\x1b\\[[0-9;]*m)*")));
  for (const line of lines) {
    const [, question, answer] = /^(.*\(y\): )(\w+)$/.exec(line) ?? [];
    if (line.startsWith("# ")) {
      await shell.until(/[#$] $/);
      shell.type(`${line.slice(2)}\r`);
      await printed(line.slice(2));
    } else if (question) {
      await printed(question);
      shell.type(`${answer}\r`);
    } else if (line.startsWith("GET ") || line === "") shell.type(`${line}\r`);
    else await printed(line);
  }
  expect(await shell.exited).toBe(0);
}

test("docs/networks.md", async () => {
  await using host = await openHost("busybox");
  await follow(host, "docs/networks.md");
}, 60_000);

const AS_USER = /^(?=## An ordinary user)/m;

test("docs/explain.md, containers of root", async () => {
  await using host = await openHost("busybox");
  await follow(host, "docs/explain.md", { part: text => text.split(AS_USER)[0]! });
}, 60_000);

test("docs/explain.md, containers of an ordinary user", async () => {
  await using user = await openUser("busybox");
  await follow(user, "docs/explain.md", { part: text => text.split(AS_USER)[1]! });
}, 60_000);

test("docs/rootless.md, as an ordinary user", async () => {
  await using user = await openUser("nginx", "leap");
  await follow(user, "docs/rootless.md");
}, 60_000);

/** The page's sections for a user, and those for root. */
const AS_ROOT = /^(?=## Containers of root)/m;

test("docs/article.md, containers and pods of an ordinary user", async () => {
  await using user = await openUser("nginx", "mariadb", "zypper");
  await follow(user, "docs/article.md", { part: text => text.split(AS_ROOT)[0]! });
}, 90_000);

test("docs/article.md, containers of root", async () => {
  await using host = await openHost("nginx", "mariadb", "postgres");
  await follow(host, "docs/article.md", { prompt: "# ", part: text => text.split(AS_ROOT)[1]! });
}, 90_000);
