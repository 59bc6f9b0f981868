/** The `console` blocks of a page, run line by line. */
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import type { TerminalSession, TestHost } from "../support/host.ts";

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

/** Runs every command of the page's blocks and compares what is printed. `part` chooses a part of the text. */
export async function follow(
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
