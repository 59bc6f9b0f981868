/**
 * Runs every test: the pure ones beside the code, then those that need root and a kernel. Ends with what the failed
 * ones said, once more, and one line, `N passed, N failed[, N skipped]`; a file that can't run here is skipped whole,
 * with its reason.
 */
import { Glob } from "bun";

const isRoot = process.getuid?.() === 0;
const files = (pattern: string) => [...new Glob(pattern).scanSync(".")].sort();
const pure = files("src/**/*.test.ts").concat(files("test/{house,simulated}/*.test.ts"));
const rooted = files("test/**/*.test.ts").filter(file => !/^test\/(house|simulated)\//.test(file));

let passed = 0;
let failed = 0;
let skipped = 0;
const failures: string[] = [];

/** What bun said of each failed test: the lines after the result of the one before it, the last twelve of them. */
function failuresIn(text: string): string[] {
  const found: string[] = [];
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    lines.push(line);
    if (line.startsWith("(fail)")) found.push(lines.slice(-12).join("\n"));
    if (/^\((pass|fail|skip|todo)\)/.test(line)) lines = [];
  }
  return found;
}

function run(group: string[]): void {
  const child = Bun.spawnSync(
    [process.execPath, "test", "--timeout", "120000", ...group.map(file => `./${file}`)],
    {
      stdout: "inherit",
      stderr: "pipe",
    },
  );
  const text = child.stderr.toString();
  process.stdout.write(text);
  const count = (word: string) => Number(new RegExp(`^\\s*(\\d+) ${word}$`, "m").exec(text)?.[1] ?? 0);
  passed += count("pass");
  failed += count("fail");
  skipped += count("skip");
  const unnamed = child.exitCode !== 0 && count("fail") === 0;
  if (unnamed) failed += 1;
  if (count("fail") > 0 || unnamed) {
    const said = failuresIn(text);
    const all = said.length > 0 ? said : [text.split("\n").slice(-12).join("\n")];
    failures.push(`${group.length === 1 ? group[0] : "beside the code"}:\n${all.join("\n")}`);
  }
}

run(pure);
if (isRoot) for (const file of rooted) run([file]);
else {
  skipped += rooted.length;
  console.log(
    `skipped: ${rooted.length} files of tests that make namespaces, mounts and containers; they need root`,
  );
}

if (failures.length > 0) console.log(`\nfailed:\n${failures.join("\n")}\n`);
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
