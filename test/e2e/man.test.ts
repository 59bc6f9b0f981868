/** The man pages: every verb has one, and mandoc(1) finds no fault in them. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manPages } from "../../scripts/man.ts";
import { COMMANDS } from "../../src/cli/commands.ts";

function mandoc(...words: string[]): { code: number; printed: string } {
  const { exitCode, stdout } = Bun.spawnSync(["mandoc", ...words], { stdout: "pipe", stderr: "pipe" });
  return { code: exitCode, printed: stdout.toString() };
}

test("pages of all commands, without a fault", async () => {
  const directory = mkdtempSync(join(tmpdir(), "portolan-man-"));
  try {
    const pages = await manPages();
    mkdirSync(join(directory, "man1"));
    for (const [name, text] of pages) writeFileSync(join(directory, "man1", name), text);
    const names = COMMANDS.filter(entry => !entry.hidden).map(entry => `portolan-${entry.name}.1`);
    expect([...pages.keys()]).toEqual(expect.arrayContaining(names));
    expect(pages.get("portolan-container-run.1")).toBe(".so man1/portolan-run.1\n");

    const own = [...pages].filter(([, text]) => !text.startsWith(".so")).map(([name]) => name);
    const files = own.map(name => join(directory, "man1", name));
    expect(mandoc("-T", "lint", "-W", "warning", ...files)).toEqual({ code: 0, printed: "" });

    const page = mandoc("-T", "ascii", join(directory, "man1/portolan-run.1")).printed.replaceAll(
      /.\u0008/g,
      "",
    );
    const headings = page.split("\n").filter(line => /^[A-Z][A-Z ]+$/.test(line));
    expect(headings).toEqual([
      "NAME",
      "SYNOPSIS",
      "DESCRIPTION",
      "OPTIONS",
      "EXIT STATUS",
      "EXAMPLES",
      "SEE ALSO",
    ]);
    expect(page).toContain("portolan run [options] IMAGE [COMMAND [ARG...]]");
    expect(page).toMatch(/--network, --net=value\s+Connect a container to a network\./);
    expect(page).toContain("$ portolan run -dt --name webserver -p 8080:80 nginx");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
