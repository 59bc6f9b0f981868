/** Control groups: who makes a container's, and where (cgroups(7)). An ordinary user may have none to give. */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "../base/errors.ts";
import type { ContainerConfig } from "./config.ts";
import type { CreateOptions } from "./create-options.ts";
import type { Engine } from "./engine.ts";

/** `none`: containers stay in the control group of whoever starts them. */
export type CgroupManager = "cgroupfs" | "systemd" | "none";

const HIERARCHY = "/sys/fs/cgroup";

/** True where version 2 alone is in use; version 1 is never an ordinary user's. */
export const isUnified = () => existsSync(join(HIERARCHY, "cgroup.controllers"));

/** Root has the file system, or systemd where that is asked for. A user has what was delegated to him. */
export function cgroupManager(engine: Engine): CgroupManager {
  const asked = engine.global.cgroupManager ?? engine.conf.engine.cgroup_manager;
  if (!engine.user) return engine.global.cgroupManager === "systemd" ? "systemd" : "cgroupfs";
  if (!isUnified()) return "none";
  if (asked !== "cgroupfs" && userSystemd()) return "systemd";
  return delegatedGroup() === undefined ? "none" : "cgroupfs";
}

/** As Podman calls it, which knows no third word. */
export function managerName(engine: Engine): "cgroupfs" | "systemd" {
  return cgroupManager(engine) === "systemd" ? "systemd" : "cgroupfs";
}

/** The user's own systemd, which makes groups for him, can be talked to. */
function userSystemd(): boolean {
  const directory = process.env.XDG_RUNTIME_DIR;
  return directory !== undefined && existsSync(join(directory, "systemd/private"));
}

/** The group that holds ours, where it was delegated to us: a process may only be moved below such a one. */
function delegatedGroup(): string | undefined {
  const own = /^0::(\/.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];
  if (own === undefined) return undefined;
  try {
    accessSync(join(HIERARCHY, dirname(own), "cgroup.procs"), constants.W_OK);
    return dirname(own);
  } catch {
    return undefined;
  }
}

/** `linux.cgroupsPath` of the runtime specification; undefined where there are no groups. */
export function cgroupsPath(engine: Engine, config: ContainerConfig): string | undefined {
  const { cgroupParent, id } = config;
  switch (cgroupManager(engine)) {
    case "none":
      return undefined;
    case "systemd":
      return `${cgroupParent || (engine.user ? "user.slice" : "machine.slice")}:libpod:${id}`;
    case "cgroupfs":
      return `${cgroupParent || (engine.user ? join(delegatedGroup()!, "libpod_parent") : "/libpod_parent")}/libpod-${id}`;
  }
}

/** Where the groups of a pod's containers are: its parent and its own, as `cgroupsPath` has them; "" where there are none. */
export function podGroup(
  engine: Engine,
  id: string,
  asked: string,
): { cgroupParent: string; cgroup: string } {
  switch (cgroupManager(engine)) {
    case "none":
      return { cgroupParent: "", cgroup: "" };
    case "systemd": {
      const cgroupParent = asked || (engine.user ? "user.slice" : "machine.slice");
      return { cgroupParent, cgroup: `${cgroupParent.replace(/\.slice$/, "")}-libpod_pod_${id}.slice` };
    }
    case "cgroupfs": {
      const usual = engine.user ? join(delegatedGroup()!, "libpod_parent") : "/libpod_parent";
      const cgroupParent = asked || usual;
      return { cgroupParent, cgroup: `${cgroupParent}/${id}` };
    }
  }
}

/** The controllers that limits can be set by; all of them for root. */
function controllers(engine: Engine): ReadonlySet<string> {
  const at = (group: string) =>
    new Set(
      readFileSync(join(HIERARCHY, group, "cgroup.controllers"), "utf8")
        .trim()
        .split(/\s+/),
    );
  switch (cgroupManager(engine)) {
    case "none":
      return new Set();
    case "systemd":
      return at(`user.slice/user-${engine.user!.uid}.slice/user@${engine.user!.uid}.service`);
    case "cgroupfs":
      return at(delegatedGroup()!);
  }
}

/** True where a limit of the controller would be enforced. */
export const hasController = (engine: Engine, name: string) =>
  engine.user === undefined || controllers(engine).has(name);

const LIMITS: [key: keyof CreateOptions, flag: string, controller: string][] = [
  ["memory", "--memory", "memory"],
  ["memorySwap", "--memory-swap", "memory"],
  ["memoryReservation", "--memory-reservation", "memory"],
  ["cpus", "--cpus", "cpu"],
  ["cpuShares", "--cpu-shares", "cpu"],
  ["cpusetCpus", "--cpuset-cpus", "cpuset"],
  ["cpusetMems", "--cpuset-mems", "cpuset"],
  ["pidsLimit", "--pids-limit", "pids"],
];

/** Refuses limits that nothing would enforce. */
export function checkLimits(engine: Engine, options: CreateOptions): void {
  // -1 and 0 ask for no limit.
  const asked = LIMITS.filter(([key]) => options[key] !== undefined && Number(options[key]) !== 0).filter(
    ([key]) => options[key] !== -1,
  );
  const refused = asked.filter(([, , controller]) => !hasController(engine, controller));
  if (refused.length === 0) return;
  const flags = refused.map(([, flag]) => flag).join(", ");
  if (cgroupManager(engine) !== "none") {
    const missing = [...new Set(refused.map(([, , controller]) => controller))].join(", ");
    throw new UserError(`${flags}: the control group controller ${missing} is not delegated to you`, {
      hint: "as root, add it to Delegate= of the unit user@.service (systemd.resource-control(5))",
    });
  }
  throw new UserError(`${flags}: this machine gives you no control groups, so nothing would enforce it`, {
    hint: isUnified()
      ? "log in by a systemd session of your own, or have a control group delegated to you"
      : "limits for ordinary users need control groups version 2",
  });
}
