/**
 * The kernel's file systems in a container. Some can't be mounted by a user namespace's root where a namespace is not its
 * own (the host's processes, message queues, network): then the host's are bound.
 */
import { existsSync } from "node:fs";
import { hasId, idMap } from "../sys/user-namespace.ts";
import { cgroupManager, isUnified } from "./cgroups.ts";
import type { ContainerConfig } from "./config.ts";
import type { Engine } from "./engine.ts";

export interface SpecMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

/** The group of terminals, in all distributions. */
const TTY = 5;

const CLOSED = ["nosuid", "noexec", "nodev"];

/** All of them, in the order in which they are made. */
export function systemMounts(engine: Engine, config: ContainerConfig): SpecMount[] {
  const writable = config.privileged ? "rw" : "ro";
  const isLimited = engine.user !== undefined || config.ids !== undefined;
  const add: Add = (destination, type, ...options) => ({
    destination,
    type,
    source: type === "bind" ? destination : type,
    options,
  });
  return [
    isLimited && config.pidMode === "host"
      ? add("/proc", "bind", "rbind", "rprivate", ...CLOSED)
      : add("/proc", "proc", ...CLOSED),
    add("/dev", "tmpfs", "nosuid", "noexec", "strictatime", "mode=755", "size=65536k"),
    ownsNetwork(engine, config)
      ? add("/sys", "sysfs", ...CLOSED, writable)
      : add("/sys", "bind", "rbind", ...CLOSED, writable),
    add(
      "/dev/pts",
      "devpts",
      ...["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
      ...(hasId(config.ids?.gids ?? idMap("gid"), TTY) ? [`gid=${TTY}`] : []),
    ),
    ...messageQueues(config, isLimited, add),
    ...groups(engine, config, add),
  ];
}

type Add = (destination: string, type: string, ...options: string[]) => SpecMount;

/** POSIX message queues; the host's are a user's only where the host shows them. */
function messageQueues({ ipcMode }: ContainerConfig, isLimited: boolean, add: Add): SpecMount[] {
  if (ipcMode === "host" && existsSync("/dev/mqueue")) return [add("/dev/mqueue", "bind", "bind", ...CLOSED)];
  return ipcMode === "host" && isLimited ? [] : [add("/dev/mqueue", "mqueue", ...CLOSED)];
}

/** Control groups: a container without one of its own sees the host's, which need not show the one that it is in. */
function groups(engine: Engine, config: ContainerConfig, add: Add): SpecMount[] {
  const writable = config.privileged ? "rw" : "ro";
  const destination = "/sys/fs/cgroup";
  if (cgroupManager(engine) !== "none" || isUnified())
    return [add(destination, "cgroup", "rprivate", ...CLOSED, "relatime", writable)];
  // The host's /sys has them already.
  return ownsNetwork(engine, config) ? [add(destination, "bind", "rbind", "rprivate", ...CLOSED, "ro")] : [];
}

/** May the container's root mount a sysfs, which shows the network namespace that it is in? */
function ownsNetwork(engine: Engine, { network, ids, usernsMode }: ContainerConfig): boolean {
  if (network.kind === "host") return false;
  if (!ids || network.kind === "none" || network.kind === "bridge" || network.kind === "user-mode")
    return true;
  if (network.kind === "ns") return false;
  return (
    usernsMode === `container:${network.id}` ||
    engine.containers.get(network.id).config.usernsMode === usernsMode
  );
}
