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
import { startTime } from "../sys/process.ts";
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
  const { joinNamespaces, makeNamespaces } = await import("./namespaces.ts");
  const survivor = survivorOf(runRoot);
  const pid = survivor ? await joinNamespaces(survivor) : await makeNamespaces(user);
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

/** A conmon of ours that is still in namespaces whose pause process was killed. */
function survivorOf(runRoot: string): number | undefined {
  const own = readlinkSync("/proc/self/ns/user");
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const words = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
      if (basename(words[0] ?? "") !== "conmon" || !words.some(word => word.startsWith(`${runRoot}/`)))
        continue;
      if (statSync(`/proc/${entry}`).uid !== process.geteuid!()) continue;
      if (readlinkSync(`/proc/${entry}/ns/user`) !== own) return Number(entry);
    } catch {
      // It has ended, or is somebody else's.
    }
  }
  return undefined;
}
