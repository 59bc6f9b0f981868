/**
 * The pause process: found by the file `pause.pid` of the run directory, made where there is none. The file holds the pid
 * and the process's start time, so that a later process of that number is not taken for it.
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { lock } from "../sys/flock.ts";
import { isAlive, startTime } from "../sys/process.ts";
import type { Identity } from "./identity.ts";

const pidFile = (runRoot: string) => join(runRoot, "pause.pid");

/** The pid of the pause process; undefined when there is none. */
export function findPause(runRoot: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(pidFile(runRoot), "utf8");
  } catch {
    return undefined;
  }
  const [pid, start] = text.trim().split(" ").map(Number);
  return pid && start !== undefined && startTime(pid) === start ? pid : undefined;
}

/** The pid of the pause process, made anew if there is none. Safe for any number of commands at once. */
export async function ensurePause(runRoot: string, user: Identity): Promise<number> {
  const known = findPause(runRoot);
  if (known) return known;
  mkdirSync(runRoot, { recursive: true, mode: 0o700 });
  using _held = lock(join(runRoot, "locks", "pause"));
  const made = findPause(runRoot);
  if (made) return made;
  const { joinNamespaces, makeNamespaces, markOf } = await import("./namespaces.ts");
  const others = ourProcesses();
  const conmon = others.find(one => isConmonOf(runRoot, one));
  const pid =
    others.find(one => markOf(one) === runRoot) ??
    (conmon ? await joinNamespaces(conmon, runRoot) : await makeNamespaces(user, runRoot));
  const draft = `${pidFile(runRoot)}.new`;
  writeFileSync(draft, `${pid} ${startTime(pid)}\n`, { mode: 0o600 });
  renameSync(draft, pidFile(runRoot));
  return pid;
}

/** Ends the pause process; its namespaces go with the last process that is in them. */
export function endPause(runRoot: string): void {
  const pid = findPause(runRoot);
  if (pid) process.kill(pid, "SIGKILL");
  rmSync(pidFile(runRoot), { force: true });
}

/** Pids of the user's processes that are in a user namespace of their own. */
function ourProcesses(): number[] {
  const own = readlinkSync("/proc/self/ns/user");
  return readdirSync("/proc").flatMap(entry => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      if (statSync(`/proc/${entry}`).uid !== process.geteuid!() || !isAlive(Number(entry))) return [];
      return readlinkSync(`/proc/${entry}/ns/user`) === own ? [] : [Number(entry)];
    } catch {
      // It has ended, or may not be looked at.
      return [];
    }
  });
}

/** A conmon of ours is still in namespaces whose pause process was killed. */
function isConmonOf(runRoot: string, pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return basename(words[0] ?? "") === "conmon" && words.some(word => word.startsWith(`${runRoot}/`));
  } catch {
    return false;
  }
}
