/** The OCI runtime configuration (runtime-spec 1.0.2, config.md) of a container, with Podman's defaults. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import type { Container, ContainerConfig, VolumeMount } from "./config.ts";
import { hostDevices, specDevice } from "./devices.ts";
import type { Engine } from "./engine.ts";
import { seccompFor } from "./seccomp.ts";
import { copyZone } from "./timezone.ts";
import { specUlimits } from "./ulimits.ts";
import { lookupUser, resolveInRoot, type UserIds } from "./user.ts";

interface SpecMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

/** Where the program of `--init` lies in the container. */
const INIT = "/run/podman-init";

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

/** Decides everything that the container's own files have a say in. `rootfs` is mounted by now. */
export function buildSpec(engine: Engine, container: Container, rootfs: string): object {
  const { config } = container;
  const run = engine.paths.containerRun(config.id);
  const user = lookupUser(rootfs, config.user, config.groupAdd);
  const noNewPrivileges = config.securityOpt.some(one => /^no-new-privileges([=:]true)?$/.test(one));
  // A process that is not root begins with no capabilities but those it was given by name.
  const effective =
    user.uid === 0 ? config.capabilities : config.capAdd.filter(one => config.capabilities.includes(one));
  const devices = (config.privileged ? hostDevices() : config.devices).map(specDevice);
  mkdirSync(resolveInRoot(rootfs, config.workdir), { recursive: true });
  return {
    ociVersion: "1.0.2-dev",
    process: {
      terminal: config.tty,
      user: {
        uid: user.uid,
        gid: user.gid,
        // A user's primary group too: what it is denied, no set-group-id program gets around by shedding the group.
        additionalGids: config.user ? [user.gid, ...user.additionalGids] : user.additionalGids,
        umask: Number.parseInt(config.umask, 8),
      },
      args: config.initPath ? [INIT, "--", ...config.args] : config.args,
      env: environment(config, user.home),
      cwd: config.workdir,
      capabilities: {
        bounding: config.capabilities,
        effective,
        permitted: effective,
        inheritable: [],
        ...(user.uid === 0 ? {} : { ambient: effective }),
      },
      rlimits: specUlimits(config.limits),
      noNewPrivileges,
      apparmorProfile: config.apparmorProfile,
      oomScoreAdj: config.limits.oomScoreAdj,
    },
    root: { path: rootfs, readonly: config.readOnly },
    hostname: config.utsMode === "private" ? config.hostname : undefined,
    mounts: mounts(engine, container, run, user),
    annotations: {
      "io.container.manager": "libpod",
      "org.opencontainers.image.stopSignal": String(config.stopSignal),
      ...config.annotations,
    },
    linux: {
      sysctl: config.sysctl,
      resources: resources(
        config,
        devices.map(one => one.rule),
      ),
      cgroupsPath: `${config.cgroupParent || "/libpod_parent"}/libpod-${config.id}`,
      namespaces: namespaces(engine, container),
      devices: devices.map(one => one.node),
      seccomp:
        config.privileged || config.seccompProfile === "unconfined"
          ? undefined
          : seccompFor(config.capabilities, config.seccompProfile),
      ...(config.privileged || config.securityOpt.includes("unmask=ALL")
        ? {}
        : { maskedPaths: MASKED, readonlyPaths: READ_ONLY }),
    },
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
  const pids = limits.pidsLimit ?? 0;
  return {
    devices: [{ allow: privileged, access: "rwm" }, ...(privileged ? [] : deviceRules)],
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
      list.push({ type, path: namespaceOf(runningContainer(engine, type, rest), type) });
    else if (word === "ns") list.push({ type, path: rest });
    else list.push({ type });
  };
  add("pid", config.pidMode);
  add("ipc", config.ipcMode);
  add("uts", config.utsMode);
  add("cgroup", config.cgroupns);
  const { network } = config;
  if (network.kind === "ns") list.push({ type: "network", path: network.path });
  else if (network.kind === "container")
    list.push({ type: "network", path: namespaceOf(runningContainer(engine, "network", network.id), "net") });
  else if (network.kind !== "host") list.push({ type: "network", path: state.netnsPath });
  return list;
}

const namespaceOf = ({ state }: Container, name: string) => `/proc/${state.pid}/ns/${name}`;

function runningContainer(engine: Engine, type: string, id: string): Container {
  const other = engine.containers.get(id);
  if (other.phase !== "running")
    throw new UserError(
      `cannot share the ${type} namespace of container ${id}: it is not running: container state improper`,
    );
  return other;
}

function mounts(engine: Engine, container: Container, run: string, user: UserIds): SpecMount[] {
  const { config } = container;
  const writable = config.privileged ? "rw" : "ro";
  const list: SpecMount[] = [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"],
    },
    config.network.kind === "host"
      ? {
          destination: "/sys",
          type: "bind",
          source: "/sys",
          options: ["rbind", "nosuid", "noexec", "nodev", writable],
        }
      : {
          destination: "/sys",
          type: "sysfs",
          source: "sysfs",
          options: ["nosuid", "noexec", "nodev", writable],
        },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    config.ipcMode === "host" && existsSync("/dev/mqueue")
      ? {
          destination: "/dev/mqueue",
          type: "bind",
          source: "/dev/mqueue",
          options: ["bind", "nosuid", "noexec", "nodev"],
        }
      : {
          destination: "/dev/mqueue",
          type: "mqueue",
          source: "mqueue",
          options: ["nosuid", "noexec", "nodev"],
        },
    {
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: ["rprivate", "nosuid", "noexec", "nodev", "relatime", writable],
    },
  ];
  const bind = (destination: string, source: string, ...options: string[]) =>
    list.push({ destination, type: "bind", source, options: ["bind", "rprivate", ...options] });
  const memory = sharedMemory(engine, config);
  if (memory) bind("/dev/shm", memory, "nosuid", "noexec", "nodev");
  writeFileSync(join(run, "hostname"), `${config.hostname}\n`);
  writeFileSync(join(run, ".containerenv"), "");
  // Whoever shares another container's network also shares what that one knows of it.
  const net = config.network.kind === "container" ? engine.paths.containerRun(config.network.id) : run;
  const own: [string, string][] = [
    ["/etc/resolv.conf", join(net, "resolv.conf")],
    ["/etc/hostname", join(run, "hostname")],
    ["/run/.containerenv", join(run, ".containerenv")],
  ];
  if (!config.noHosts) own.push(["/etc/hosts", join(net, "hosts")]);
  if (config.timezone) {
    copyZone(config.timezone, join(run, "localtime"));
    own.push(["/etc/localtime", join(run, "localtime")]);
  }
  const taken = new Set(config.mounts.map(one => one.destination));
  for (const [destination, source] of own) if (!taken.has(destination)) bind(destination, source);
  if (config.readOnly && config.readOnlyTmpfs)
    for (const destination of ["/run", "/tmp", "/var/tmp"])
      if (!taken.has(destination))
        list.push({
          destination,
          type: "tmpfs",
          source: "tmpfs",
          options: ["rw", "nosuid", "nodev", "mode=1777"],
        });
  for (const mount of [...config.mounts].sort((a, b) => depth(a.destination) - depth(b.destination)))
    list.push(userMount(engine, mount, user));
  if (config.initPath) bind(INIT, config.initPath, "ro");
  return list;
}

/** The host directory behind the container's /dev/shm; undefined where it has none. */
function sharedMemory(engine: Engine, { id, ipcMode }: ContainerConfig): string | undefined {
  if (ipcMode === "none") return undefined;
  if (ipcMode === "host") return "/dev/shm";
  const owner = ipcMode.startsWith("container:") ? ipcMode.slice("container:".length) : id;
  return join(engine.paths.containerRun(owner), "shm");
}

const depth = (path: string) => path.split("/").filter(Boolean).length;

function userMount(engine: Engine, mount: VolumeMount, user: UserIds): SpecMount {
  const { destination, options } = mount;
  if (mount.kind === "tmpfs")
    return {
      destination,
      type: "tmpfs",
      source: "tmpfs",
      options: [
        "rprivate",
        "nosuid",
        "nodev",
        "tmpcopyup",
        ...options.flatMap(one => (one === "U" ? [`uid=${user.uid}`, `gid=${user.gid}`] : [one])),
      ],
    };
  const source = mount.kind === "bind" ? mount.source : engine.volumes.directory(mount.source);
  // Labels (z, Z), copying and changing owners are no options of mount(2).
  const passed = options.filter(one => !["z", "Z", "U", "copy", "nocopy"].includes(one));
  const has = (pattern: RegExp) => passed.some(one => pattern.test(one));
  return {
    destination,
    type: "bind",
    source,
    options: [
      ...(has(/^r?bind$/) ? [] : [mount.kind === "volume" ? "bind" : "rbind"]),
      ...(has(/^r?(private|shared|slave|unbindable)$/) ? [] : ["rprivate"]),
      ...(mount.kind === "volume" && !has(/^(no)?suid$/) ? ["nosuid"] : []),
      ...(mount.kind === "volume" && !has(/^(no)?dev$/) ? ["nodev"] : []),
      ...passed,
    ],
  };
}
