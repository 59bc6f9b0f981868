/**
 * fuse-overlayfs(1): an overlay by a program, where the kernel mounts none for this user or on this file system. Each mount
 * has a daemon, which ends when it is unmounted; it is known by its command line, whose last word is where it is mounted.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { hasCode, oneLine, UserError } from "../base/errors.ts";
import { findProgram } from "../base/programs.ts";
import { isAlive } from "../sys/process.ts";
import { readStorageConf } from "./storage-conf.ts";

const NAME = "fuse-overlayfs";
/** How long a daemon may take to end by itself, in milliseconds. */
const PATIENCE = 1000;

/** The program that storage.conf names, or that is installed; undefined where there is none. */
export function fuseProgram(): string | undefined {
  const { mountProgram } = readStorageConf();
  if (mountProgram) return existsSync(mountProgram) ? mountProgram : undefined;
  return findProgram(NAME);
}

/** Mounts `options` (as overlayfs has them; `lower` is relative to `directory`) on `merged`. Returns once it is there. */
export function mountFuseOverlay(options: string, merged: string, directory: string): void {
  const program = fuseProgram();
  if (!program) throw new UserError(`${NAME} is not installed`, { hint: `install ${NAME}` });
  const { exitCode, stderr } = Bun.spawnSync([program, "-o", options, merged], {
    cwd: directory,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  if (exitCode !== 0)
    throw new UserError(`${NAME}: ${oneLine(stderr.toString()) || `it ended with code ${exitCode}`}`);
}

/** Awaits the end of the daemons of a mount that is no more, and ends those that don't. False when there were none. */
export function endFuseDaemons(merged: string): boolean {
  const pids = daemonsOf(merged);
  for (const deadline = Date.now() + PATIENCE; pids.some(isAlive) && Date.now() < deadline; )
    Bun.sleepSync(2);
  for (const pid of pids)
    try {
      if (isAlive(pid)) process.kill(pid, "SIGKILL");
    } catch (error) {
      if (!hasCode(error, "ESRCH")) throw error;
    }
  return pids.length > 0;
}

/** Pids of the daemons of a mount. */
export function daemonsOf(merged: string): number[] {
  return readdirSync("/proc").flatMap(entry => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const words = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0").filter(Boolean);
      return basename(words[0] ?? "") === NAME && words.at(-1) === merged ? [Number(entry)] : [];
    } catch {
      return [];
    }
  });
}
