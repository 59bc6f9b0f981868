import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LockOptions, lock, tryLock } from "./flock.ts";

/** Each turn: take the lock, note that nobody else is inside, leave; the file goes at the end of every third turn. */
const TURNS = 300;
const WORKER = `
import { closeSync, openSync, rmSync } from "node:fs";
import { lock } from ${JSON.stringify(join(import.meta.dir, "flock.ts"))};
const [path, inside] = process.argv.slice(1);
for (let turn = 0; turn < ${TURNS}; turn++) {
  const held = lock(path, { isGone: () => turn % 3 === 0 });
  closeSync(openSync(inside, "wx"));
  rmSync(inside);
  held.release();
}
`;

test("a lock whose file goes is one process's at a time all the same", async () => {
  const directory = mkdtempSync(join(tmpdir(), "portolan-flock-"));
  try {
    const words = [process.execPath, "-e", WORKER, join(directory, "lock"), join(directory, "inside")];
    const workers = Array.from({ length: 4 }, () => Bun.spawn(words, { stderr: "pipe" }));
    for (const worker of workers) {
      expect(await new Response(worker.stderr).text()).toBe("");
      expect(await worker.exited).toBe(0);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}, 30_000);

test("the file stays while what it stands for is there, goes with it, and is there for who holds it", () => {
  const directory = mkdtempSync(join(tmpdir(), "portolan-flock-"));
  try {
    const path = join(directory, "lock");
    let gone = false;
    const options: LockOptions = { isGone: () => gone };
    lock(path, options).release();
    expect(existsSync(path)).toBe(true);
    const held = lock(path, options);
    expect(tryLock(path, options)).toBeUndefined();
    gone = true;
    held.release();
    expect(existsSync(path)).toBe(false);
    gone = false;
    using again = tryLock(path, options);
    expect(again).toBeDefined();
    expect(existsSync(path)).toBe(true);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
