/** The limits that the containers of a pod have together: those of the control group that theirs are in (cgroups(7)). */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import { cgroupManager, isUnified } from "./cgroups.ts";
import type { ResourceLimits } from "./config.ts";
import type { Engine } from "./engine.ts";
import type { PodConfig } from "./pod-store.ts";

const HIERARCHY = "/sys/fs/cgroup";
/** Microseconds in which a group may use its share of the processors. */
const PERIOD = 100_000;

/** Refuses limits that nothing would enforce. */
export function checkPodLimits(engine: Engine, { limits, cgroup }: PodConfig): void {
  if (Object.values(limits).every(value => !value)) return;
  if (cgroup === "")
    throw new UserError("limits are those of the pod's control group, and this pod has none", {
      hint: "leave --infra and --share-parent as they are, or limit its containers",
    });
  if (cgroupManager(engine) === "systemd")
    throw new UserError("limits of a pod need the cgroup manager cgroupfs", {
      hint: "use --cgroup-manager cgroupfs, or limit its containers",
    });
}

/** Makes the pod's control group, if it is to have limits, and sets them. */
export function limitPod({ limits, cgroup }: PodConfig): void {
  if (Object.values(limits).every(value => !value)) return;
  const files = isUnified() ? unified(limits) : separate(limits);
  for (const [controller, name, value] of files) {
    const group = join(HIERARCHY, isUnified() ? "" : controller, cgroup);
    makeGroup(group, controller);
    try {
      writeFileSync(join(group, name), value);
    } catch (error) {
      // Swap is not counted on every machine.
      if (!/swap|memsw/.test(name) || !hasCode(error, "ENOENT", "EACCES")) throw error;
    }
  }
}

type Setting = [controller: string, file: string, value: string];

const set = (value: unknown, ...setting: Setting): Setting[] => (value ? [setting] : []);
/** As Podman has it, swap is as much again where nothing is said. */
const swapOf = ({ memory = 0, memorySwap }: ResourceLimits) => memorySwap ?? 2 * memory;

function separate(limits: ResourceLimits): Setting[] {
  const { memory = 0, cpus = 0, cpuShares, cpusetCpus = "", cpusetMems = "" } = limits;
  const quota = `${Math.round(cpus * PERIOD)}`;
  return [
    ...set(memory, "memory", "memory.limit_in_bytes", `${memory}`),
    ...set(memory, "memory", "memory.memsw.limit_in_bytes", `${swapOf(limits)}`),
    ...set(cpus, "cpu", "cpu.cfs_period_us", `${PERIOD}`),
    ...set(cpus, "cpu", "cpu.cfs_quota_us", quota),
    ...set(cpuShares, "cpu", "cpu.shares", `${cpuShares}`),
    ...set(cpusetCpus, "cpuset", "cpuset.cpus", cpusetCpus),
    ...set(cpusetMems, "cpuset", "cpuset.mems", cpusetMems),
  ];
}

function unified(limits: ResourceLimits): Setting[] {
  const { memory = 0, cpus = 0, cpuShares = 0, cpusetCpus = "", cpusetMems = "" } = limits;
  const swap = swapOf(limits);
  // Shares from 2 to 262144 are weights from 1 to 10000, as the runtimes have it.
  const weight = 1 + Math.floor(((cpuShares - 2) * 9999) / 262142);
  return [
    ...set(memory, "memory", "memory.max", `${memory}`),
    ...set(memory, "memory", "memory.swap.max", swap < 0 ? "max" : `${swap - memory}`),
    ...set(cpus, "cpu", "cpu.max", `${Math.round(cpus * PERIOD)} ${PERIOD}`),
    ...set(cpuShares, "cpu", "cpu.weight", `${weight}`),
    ...set(cpusetCpus, "cpuset", "cpuset.cpus", cpusetCpus),
    ...set(cpusetMems, "cpuset", "cpuset.mems", cpusetMems),
  ];
}

/** Makes a group and those above it, in each of which the controller can be used. */
function makeGroup(group: string, controller: string): void {
  if (existsSync(group) && !isUnified()) return;
  const parent = dirname(group);
  if (group !== HIERARCHY && parent !== HIERARCHY) makeGroup(parent, controller);
  if (isUnified()) enable(parent, controller);
  mkdirSync(group, { recursive: true });
  // In version 1 a new cpuset has neither processors nor memory, and takes no process.
  if (controller !== "cpuset" || isUnified()) return;
  for (const file of ["cpuset.cpus", "cpuset.mems"])
    writeFileSync(join(group, file), readFileSync(join(parent, file), "utf8"));
}

function enable(group: string, controller: string): void {
  const file = join(group, "cgroup.subtree_control");
  if (readFileSync(file, "utf8").split(/\s+/).includes(controller)) return;
  writeFileSync(file, `+${controller}`);
}
