/**
 * What a container can leave in the kernel besides network and mounts: processes of conmon and the runtime, the
 * runtime's record, control groups. Everything is found by the container's id, so nothing need have been written down.
 */
import { existsSync, globSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import { isAlive, startTime } from "../sys/process.ts";
import type { Container } from "./config.ts";
import type { Engine } from "./engine.ts";
import { recordOf, runtimeArguments } from "./runtime.ts";

/** How long killed processes may take to leave their control groups. */
const GROUP_SECONDS = 5;

/** What a process that holds a pod's ports calls itself, before the id of the infra container. */
export const HOLDER = "portolan-pod-ports:";

const PROGRAMS = new Set(["conmon", "runc", "crun"]);

const argumentsOf = (pid: number | string): string[] => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
};

/** True while `pid` is a conmon of container `id`: a number alone may long belong to somebody else. */
export function isConmonOf(pid: number, id: string): boolean {
  if (pid <= 0 || !isAlive(pid)) return false;
  const words = argumentsOf(pid);
  return basename(words[0] ?? "") === "conmon" && words.includes(id);
}

/** True while the container's first process is there; its conmon may have been killed. */
export function isRunning({ state }: Container): boolean {
  return state.pid > 0 && startTime(state.pid) === (state.pidStart ?? -1);
}

/** Ends the process that holds the ports of a container without a process of its own. */
export function endHolder({ state }: Container): void {
  const { holder } = state;
  if (holder && holder.start !== undefined && startTime(holder.pid) === holder.start) kill(holder.pid);
}

/** Pids of conmon and runtime processes whose arguments name the container. A scan of all processes: for repair only. */
function helpersOf(id: string): number[] {
  const found: number[] = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const words = argumentsOf(entry);
    const isHelper = PROGRAMS.has(basename(words[0] ?? "")) && words.includes(id);
    if ((isHelper || words[0] === HOLDER + id) && isAlive(Number(entry))) found.push(Number(entry));
  }
  return found;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!hasCode(error, "ESRCH")) throw error;
  }
}

/**
 * Ends whatever still works for the container: the helpers that a killed command orphaned, first conmon, lest it start
 * more; again until a scan finds none, since one may have forked meanwhile.
 */
export async function endHelpers(id: string): Promise<void> {
  for (;;) {
    const pids = helpersOf(id);
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    while (pids.some(isAlive)) await Bun.sleep(2);
  }
}

/**
 * Ends the container's conmon; it has told all it knows once its exit file is written. First goes its child, if that still
 * waits to become the exit command; as the exit command it is left alone (and may be ourselves).
 */
export function endConmon(container: Container): void {
  const { conmonPid } = container.state;
  const { id } = container.config;
  if (!isConmonOf(conmonPid, id)) return;
  for (const child of childrenOf(conmonPid)) if (isConmonOf(child, id)) kill(child);
  kill(conmonPid);
}

/**
 * True once the container's conmon has got to its exit command, which it awaits (and which may await us): whether or not
 * it could write the exit code, there is nothing more to come.
 */
export function callsExitCommand(container: Container): boolean {
  const { pid, conmonPid } = container.state;
  return !isRunning(container) && childrenOf(conmonPid).some(child => child !== pid && isAlive(child));
}

/** proc_pid_task_children(5); none where the kernel was built without it. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** What is read of the record that runc keeps of a container. */
interface RuncRecord {
  /** The first process, where the container had one when this was written. */
  init_process_pid: number;
  cgroup_paths: Record<string, string> | null;
  config: {
    namespaces: { type: string; path: string }[];
    Hooks: { poststop?: unknown[] | null } | null;
  };
}

/**
 * What `runc delete` does to a container that has ended, without the ten milliseconds of another program: where all its
 * processes went with the first one's PID namespace, and it has no control groups and no hooks, there is nothing but the
 * record. False where that is not so; then the runtime has the word.
 */
function removeRecord(container: Container, record: string): boolean {
  if (basename(container.state.runtime) !== "runc") return false;
  try {
    const text = readFileSync(join(record, "state.json"), "utf8");
    const { init_process_pid: pid, cgroup_paths, config } = JSON.parse(text) as RuncRecord;
    const alone = config.namespaces.some(({ type, path }) => type === "NEWPID" && path === "");
    const remains =
      (config.Hooks?.poststop ?? []).length > 0 || Object.values(cgroup_paths ?? {}).some(existsSync);
    if (!alone || remains || pid <= 0 || isAlive(pid)) return false;
  } catch {
    return false;
  }
  rmSync(record, { recursive: true, force: true });
  return true;
}

/**
 * Makes the runtime forget the container, killing what runs in it; quiet when it knows no such container. `thorough`: the
 * runtime itself may have been cut off.
 */
export async function deleteFromRuntime(
  engine: Engine,
  container: Container,
  thorough: boolean,
): Promise<void> {
  const { runtime } = container.state;
  const record = recordOf(engine, container);
  if (runtime === "" || !existsSync(record)) return;
  if (!thorough && removeRecord(container, record)) return;
  const words = [runtime, ...runtimeArguments(engine), "delete", "--force", container.config.id];
  const child = Bun.spawn(words, {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [code, text] = await Promise.all([child.exited, child.stderr.text()]);
  if (code === 0 || !existsSync(record)) return;
  // A record that was cut off half-way can't be read back, and all it told of is gone by now.
  if (!existsSync(join(record, "state.json"))) return rmSync(record, { recursive: true, force: true });
  throw new UserError(
    `${basename(runtime)} can't delete container ${container.config.id}: ${text.trim().split("\n").at(-1)}`,
  );
}

/** Removes the control groups that a killed runtime left, with the processes in them. For repair only. */
export async function removeControlGroups(container: Container): Promise<void> {
  const id = container.config.id;
  const groups = [
    ...globSync(`/sys/fs/cgroup/*/*{${id},${id}.scope}`),
    ...globSync(`/sys/fs/cgroup/*/*/*{${id},${id}.scope}`),
    ...globSync(`/sys/fs/cgroup/*/*/*/*{${id},${id}.scope}`),
  ];
  const deadline = Date.now() + GROUP_SECONDS * 1000;
  for (const group of groups) while (!removeGroup(group, deadline)) await Bun.sleep(2);
}

/** Kills what is in the group and removes it with those below; false while its processes are not gone altogether. */
function removeGroup(group: string, deadline: number): boolean {
  const below = globSync(`${group}/**/cgroup.procs`).map(path => dirname(path));
  let done = true;
  for (const one of [...new Set([group, ...below])].sort((a, b) => b.length - a.length)) {
    for (const pid of members(one)) kill(pid);
    try {
      rmdirSync(one);
    } catch (error) {
      if (hasCode(error, "ENOENT")) continue;
      // A process that has ended holds its group for a moment longer than it is listed there.
      if (!hasCode(error, "EBUSY", "ENOTEMPTY") || Date.now() > deadline) throw error;
      done = false;
    }
  }
  return done;
}

function members(group: string): number[] {
  try {
    return readFileSync(join(group, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENODEV")) return [];
    throw error;
  }
}
