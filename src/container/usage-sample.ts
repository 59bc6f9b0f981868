/** What a running container uses, as its control group (cgroups(7), versions 1 and 2) and its network devices count it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import { mountInfo } from "../sys/mount.ts";
import type { Container } from "./config.ts";
import { isRunning } from "./leftovers.ts";

export interface UsageSample {
  /** When it was taken, in milliseconds since 1970. */
  at: number;
  /** Nanoseconds of processor time since its start. */
  cpu: number;
  /** Bytes. */
  memory: number;
  /** Bytes: its limit, or what the machine has. */
  memoryLimit: number;
  /** Bytes received and sent; without the loopback device. */
  received: number;
  sent: number;
  /** Bytes read and written. */
  read: number;
  written: number;
  processes: number;
}

const NOTHING = {
  cpu: 0,
  memory: 0,
  memoryLimit: 0,
  received: 0,
  sent: 0,
  read: 0,
  written: 0,
  processes: 0,
};

/** A container that does not run uses nothing. Throws UserError where it has no control group. */
export function sampleUsage(container: Container): UsageSample {
  const at = Date.now();
  if (!isRunning(container)) return { at, ...NOTHING };
  const { pid } = container.state;
  const groups = groupsOf(pid);
  const unified = groups.get("");
  const sample = groups.has("memory") ? version1(groups) : unified ? version2(unified) : undefined;
  if (!sample)
    throw new UserError(`container ${container.config.id} has no control group that counts what it uses`);
  const total = Number(/^MemTotal:\s+(\d+)/m.exec(read("/proc/meminfo"))?.[1] ?? 0) * 1024;
  const memoryLimit = sample.memoryLimit > 0 ? Math.min(sample.memoryLimit, total) : total;
  return { at, ...sample, ...networkBytes(read(`/proc/${pid}/net/dev`)), memoryLimit };
}

/** The directory of a process's group by controller; "" is version 2's. */
function groupsOf(pid: number): Map<string, string> {
  const mounts = mountInfo().filter(one => one.fstype === "cgroup" || one.fstype === "cgroup2");
  const groups = new Map<string, string>();
  for (const line of read(`/proc/${pid}/cgroup`).split("\n")) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (!match) continue;
    const [, controllers = "", path = "/"] = match;
    for (const controller of controllers.split(",")) {
      const mount = mounts.find(one =>
        controller === "" ? one.fstype === "cgroup2" : one.superOptions.includes(controller),
      );
      if (!mount) continue;
      // A part of the hierarchy may be all that is mounted here.
      const below = mount.root !== "/" && path.startsWith(mount.root) ? path.slice(mount.root.length) : path;
      groups.set(controller, join(mount.target, below));
    }
  }
  return groups;
}

/** "" for a file that is not there: a group that has just ended, a controller that is off. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENODEV", "ESRCH", "EINVAL", "EOPNOTSUPP", "EACCES")) return "";
    throw error;
  }
}

type Counts = Omit<UsageSample, "at" | "received" | "sent">;

function version1(groups: ReadonlyMap<string, string>): Counts {
  const file = (controller: string, name: string) => {
    const directory = groups.get(controller);
    return directory === undefined ? "" : read(join(directory, name));
  };
  const blocks = ["blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"]
    .map(name => file("blkio", name))
    .find(text => /\d/.test(text));
  const bytes = (word: string) =>
    [...(blocks ?? "").matchAll(new RegExp(`^\\d+:\\d+ ${word} (\\d+)$`, "gm"))].reduce(
      (sum, match) => sum + Number(match[1]),
      0,
    );
  return {
    cpu: Number(file("cpuacct", "cpuacct.usage")),
    memory: Number(file("memory", "memory.usage_in_bytes")),
    memoryLimit: Number(file("memory", "memory.limit_in_bytes")),
    read: bytes("Read"),
    written: bytes("Write"),
    processes: Number(file("pids", "pids.current")) || count(groups.get("memory")),
  };
}

function version2(directory: string): Counts {
  const file = (name: string) => read(join(directory, name));
  const io = file("io.stat");
  const bytes = (key: string) =>
    [...io.matchAll(new RegExp(`\\b${key}=(\\d+)`, "g"))].reduce((sum, match) => sum + Number(match[1]), 0);
  const limit = file("memory.max").trim();
  return {
    cpu: Number(/^usage_usec (\d+)/m.exec(file("cpu.stat"))?.[1] ?? 0) * 1000,
    memory: Number(file("memory.current")),
    memoryLimit: limit === "max" ? 0 : Number(limit),
    read: bytes("rbytes"),
    written: bytes("wbytes"),
    processes: Number(file("pids.current")) || count(directory),
  };
}

/** Processes of a group and those below it, where no controller counts them. */
function count(directory: string | undefined): number {
  if (directory === undefined) return 0;
  const own = read(join(directory, "cgroup.procs")).split("\n").filter(Boolean).length;
  try {
    const below = readdirSync(directory, { withFileTypes: true }).filter(one => one.isDirectory());
    return below.reduce((sum, one) => sum + count(join(directory, one.name)), own);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return own;
    throw error;
  }
}

/** `/proc/net/dev` (proc_pid_net(5)), all devices but the loopback together. */
export function networkBytes(text: string): { received: number; sent: number } {
  let [received, sent] = [0, 0];
  for (const line of text.split("\n")) {
    const match = /^\s*([^\s:]+):\s*(.*)$/.exec(line);
    if (!match || match[1] === "lo") continue;
    const numbers = match[2]!.trim().split(/\s+/).map(Number);
    received += numbers[0] ?? 0;
    sent += numbers[8] ?? 0;
  }
  return { received, sent };
}
