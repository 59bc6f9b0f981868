/** The OCI runtime configuration (runtime-spec 1.0.2, config.md) of a container, with Podman's defaults. */
import { UserError } from "../base/errors.ts";
import { hasId, type IdMapping } from "../sys/user-namespace.ts";
import { createAnnotations, runAnnotations } from "./annotations.ts";
import { processCapabilities } from "./capabilities.ts";
import { cgroupManager, cgroupsPath } from "./cgroups.ts";
import type { Container, ContainerConfig } from "./config.ts";
import { showMapping } from "./create-userns.ts";
import { deviceMount, hostDevices, specDevice } from "./devices.ts";
import type { Engine } from "./engine.ts";
import { isPinned, pinOf } from "./pins.ts";
import { seccompFor } from "./seccomp.ts";
import { INIT, specMounts } from "./spec-mounts.ts";
import { specUlimits } from "./ulimits.ts";
import { lookupUser, type UserIds } from "./user.ts";
import { prepareWorkdir } from "./workdir.ts";

const MASKED = [
  "/proc/acpi",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/fs/selinux",
  "/sys/dev/block",
];
const READ_ONLY = ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** The words of its first process: with `--init`, that program and then the container's own. */
export const processArgs = ({ initPath, args }: ContainerConfig): string[] =>
  initPath ? [INIT, "--", ...args] : args;

/** Decides everything that the container's own files have a say in. `rootfs` is mounted by now. */
export function buildSpec(engine: Engine, container: Container, rootfs: string): object {
  const { config } = container;
  const user = lookupUser(rootfs, config.user, config.groupAdd);
  checkMapped(config, user);
  const noNewPrivileges = config.securityOpt.some(one => /^no-new-privileges([=:]true)?$/.test(one));
  const given = config.privileged ? hostDevices(engine.user !== undefined) : config.devices;
  const devices = engine.user ? [] : given.map(specDevice);
  prepareWorkdir(rootfs, config, user);
  return {
    ociVersion: "1.0.2-dev",
    process: {
      terminal: config.tty,
      user: {
        uid: user.uid,
        gid: user.gid,
        additionalGids: additionalGroups(config, user),
        umask: Number.parseInt(config.umask, 8),
      },
      args: processArgs(config),
      env: environment(config, user.known || config.user === "" ? user.home : config.workdir),
      cwd: config.workdir,
      capabilities: processCapabilities(config, user.uid),
      rlimits: specUlimits(config.limits),
      noNewPrivileges,
      apparmorProfile: config.apparmorProfile,
      oomScoreAdj: config.limits.oomScoreAdj,
    },
    root: { path: rootfs, readonly: config.readOnly },
    hostname: config.utsMode === "private" ? config.hostname : undefined,
    mounts: [...specMounts(engine, container, rootfs, user), ...(engine.user ? given.map(deviceMount) : [])],
    annotations: { ...runAnnotations(config), ...createAnnotations(config), ...config.annotations },
    linux: {
      sysctl: config.sysctl,
      resources:
        cgroupManager(engine) === "none"
          ? {}
          : resources(
              config,
              devices.map(one => one.rule),
            ),
      cgroupsPath: cgroupsPath(engine, config),
      namespaces: namespaces(engine, container),
      uidMappings: config.ids?.uids.map(specMapping),
      gidMappings: config.ids?.gids.map(specMapping),
      devices: devices.map(one => one.node),
      seccomp:
        config.privileged || config.seccompProfile === "unconfined"
          ? undefined
          : seccompFor(config.capabilities, config.seccompProfile),
      ...hiddenPaths(engine, config),
    },
  };
}

const specMapping = ({ inside, outside, count }: IdMapping) => ({
  containerID: inside,
  hostID: outside,
  size: count,
});

/** Who is not in the container's user namespace can't be its user. */
function checkMapped({ ids }: ContainerConfig, { uid, gid }: UserIds): void {
  if (!ids) return;
  const missing = (kind: string, map: readonly IdMapping[], id: number) =>
    new UserError(
      `container uses ID mappings (${map.map(showMapping).join(" ")}), but doesn't map ${kind} ${id}`,
      { exitCode: 126 },
    );
  if (!hasId(ids.uids, uid)) throw missing("UID", ids.uids, uid);
  if (!hasId(ids.gids, gid)) throw missing("GID", ids.gids, gid);
}

function additionalGroups({ user: asked, keepId }: ContainerConfig, user: UserIds): number[] {
  // A user's primary group too: what it is denied, no set-group-id program gets around by shedding the group.
  const groups = asked ? [user.gid, ...user.additionalGids] : user.additionalGids;
  return keepId && !groups.includes(keepId.gid) ? [keepId.gid, ...groups] : groups;
}

/** What of /proc and /sys is hidden or can't be written to; `mask=` and `unmask=` of `--security-opt` name more or fewer. */
function hiddenPaths(
  engine: Engine,
  { privileged, securityOpt, network }: ContainerConfig,
): { maskedPaths?: string[]; readonlyPaths?: string[] } {
  // A user's container in the host's network sees the host's own /sys, and what is mounted in it.
  const masked = engine.user && network.kind === "host" ? [...MASKED, "/sys/kernel"] : MASKED;
  const named = (key: string) =>
    securityOpt.flatMap(one =>
      (new RegExp(`^${key}[=:](.*)$`).exec(one)?.[1] ?? "").split(":").filter(Boolean),
    );
  const shown = named("unmask");
  const all = privileged || shown.some(one => one.toUpperCase() === "ALL");
  const globs = shown.map(one => new Bun.Glob(one));
  const hidden = (paths: readonly string[]) =>
    all ? [] : paths.filter(path => !globs.some(glob => glob.match(path)));
  return {
    maskedPaths: [...hidden(masked), ...named("mask")],
    readonlyPaths: hidden(READ_ONLY),
  };
}

function environment(config: ContainerConfig, home: string): string[] {
  const names = new Set(config.env.map(one => one.split("=", 1)[0]));
  const env = [...config.env];
  if (!names.has("HOME")) env.push(`HOME=${home}`);
  if (!names.has("HOSTNAME")) env.push(`HOSTNAME=${config.hostname}`);
  return env;
}

function resources({ limits, privileged }: ContainerConfig, deviceRules: readonly object[]): object {
  return {
    devices: [{ allow: privileged, access: "rwm" }, ...(privileged ? [] : deviceRules)],
    ...limitResources(limits),
  };
}

/** `linux.resources` of the runtime specification, as far as it is about limits. */
export function limitResources(limits: ContainerConfig["limits"]): object {
  const pids = limits.pidsLimit ?? 0;
  return {
    ...(pids > 0 ? { pids: { limit: pids } } : {}),
    memory: {
      limit: limits.memory,
      swap: limits.memorySwap,
      reservation: limits.memoryReservation,
    },
    cpu: {
      shares: limits.cpuShares,
      quota: limits.cpus ? Math.round(limits.cpus * 100_000) : undefined,
      period: limits.cpus ? 100_000 : undefined,
      cpus: limits.cpusetCpus,
      mems: limits.cpusetMems,
    },
  };
}

function namespaces(engine: Engine, { config, state }: Container): object[] {
  const list: { type: string; path?: string }[] = [{ type: "mount" }];
  const add = (type: string, mode: string) => {
    if (mode === "host") return;
    const [word, rest] = [mode.slice(0, mode.indexOf(":")), mode.slice(mode.indexOf(":") + 1)];
    if (word === "container")
      list.push({ type, path: namespaceOf(engine, runningContainer(engine, type, rest), type) });
    else if (word === "ns") list.push({ type, path: rest });
    else list.push({ type });
  };
  add("pid", config.pidMode);
  add("ipc", config.ipcMode);
  add("uts", config.utsMode);
  add("cgroup", config.cgroupns);
  add("user", config.usernsMode ?? "host");
  const { network } = config;
  if (network.kind === "ns") list.push({ type: "network", path: network.path });
  else if (network.kind === "container")
    list.push({
      type: "network",
      path: namespaceOf(engine, runningContainer(engine, "network", network.id), "net"),
    });
  else if (network.kind !== "host")
    // One that is to belong to the user namespace is made in there.
    list.push({ type: "network", path: config.ids ? undefined : state.netnsPath });
  return list;
}

/** Where a running container's namespace is found. */
function namespaceOf(engine: Engine, container: Container, name: string): string {
  const { config, state } = container;
  if (!isPinned(container)) return `/proc/${state.pid}/ns/${name}`;
  return name === "ipc" || name === "uts" ? pinOf(engine, config.id, name) : state.netnsPath;
}

function runningContainer(engine: Engine, type: string, id: string): Container {
  const other = engine.containers.get(id);
  if (other.phase !== "running")
    throw new UserError(
      `cannot share the ${type} namespace of container ${id}: it is not running: container state improper`,
    );
  return other;
}
