/** The OCI runtime configuration (runtime-spec 1.0.2, config.md) of a container, with Podman's defaults. */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import type { Container, ContainerConfig, VolumeMount } from "./config.ts";
import type { Engine } from "./engine.ts";
import { findProgram } from "./runtime.ts";
import { seccompFor } from "./seccomp.ts";
import { lookupUser, resolveInRoot } from "./user.ts";

interface SpecMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

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
  const seccomp = seccompOption(config);
  mkdirSync(resolveInRoot(rootfs, config.workdir), { recursive: true });
  return {
    ociVersion: "1.0.2-dev",
    process: {
      terminal: config.tty,
      user: {
        uid: user.uid,
        gid: user.gid,
        additionalGids: user.additionalGids,
        umask: Number.parseInt(config.umask, 8),
      },
      args: config.init ? ["/dev/init", "--", ...config.args] : config.args,
      env: environment(config, user.home),
      cwd: config.workdir,
      capabilities: {
        bounding: config.capabilities,
        effective,
        permitted: effective,
        inheritable: [],
        ...(user.uid === 0 ? {} : { ambient: effective }),
      },
      rlimits: rlimits(config),
      noNewPrivileges,
      oomScoreAdj: config.limits.oomScoreAdj,
    },
    root: { path: rootfs, readonly: config.readOnly },
    hostname: config.utsMode === "host" ? undefined : config.hostname,
    mounts: mounts(engine, container, run),
    annotations: {
      "io.container.manager": "libpod",
      "org.opencontainers.image.stopSignal": String(config.stopSignal),
      ...config.annotations,
    },
    linux: {
      sysctl:
        config.network.kind === "host"
          ? config.sysctl
          : { "net.ipv4.ping_group_range": "0 0", ...config.sysctl },
      resources: resources(config),
      cgroupsPath: `${config.cgroupParent || "/libpod_parent"}/libpod-${config.id}`,
      namespaces: namespaces(engine, container),
      devices: config.privileged ? hostDevices() : config.devices.map(device),
      seccomp:
        config.privileged || seccomp === "unconfined" ? undefined : seccompFor(config.capabilities, seccomp),
      ...(config.privileged || config.securityOpt.includes("unmask=ALL")
        ? {}
        : { maskedPaths: MASKED, readonlyPaths: READ_ONLY }),
    },
  };
}

/** The profile that `--security-opt seccomp=` names; undefined for the default one. */
function seccompOption(config: ContainerConfig): string | undefined {
  return config.securityOpt.find(one => one.startsWith("seccomp="))?.slice("seccomp=".length);
}

function environment(config: ContainerConfig, home: string): string[] {
  const names = new Set(config.env.map(one => one.split("=", 1)[0]));
  const env = [...config.env];
  if (!names.has("HOME")) env.push(`HOME=${home}`);
  if (!names.has("HOSTNAME")) env.push(`HOSTNAME=${config.hostname}`);
  return env;
}

function rlimits(config: ContainerConfig): object[] {
  return (config.limits.ulimits ?? []).map(({ name, soft, hard }) => ({
    type: `RLIMIT_${name.toUpperCase()}`,
    // The kernel's word for "no limit" is the largest 64-bit number, which JSON numbers here can't hold exactly.
    soft: soft < 0 ? Number.MAX_SAFE_INTEGER : soft,
    hard: hard < 0 ? Number.MAX_SAFE_INTEGER : hard,
  }));
}

function resources({ limits, privileged }: ContainerConfig): object {
  const pids = limits.pidsLimit ?? 2048;
  return {
    devices: [{ allow: privileged, access: "rwm" }],
    ...(pids > 0 ? { pids: { limit: pids } } : {}),
    memory: {
      limit: limits.memory,
      swap: limits.memorySwap ?? (limits.memory ? 2 * limits.memory : undefined),
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
    if (mode.startsWith("container:")) {
      const other = engine.containers.get(mode.slice("container:".length));
      list.push({ type, path: `/proc/${other.state.pid}/ns/${type}` });
    } else list.push({ type });
  };
  add("pid", config.pidMode);
  add("ipc", config.ipcMode);
  add("uts", config.utsMode);
  const { network } = config;
  if (network.kind === "ns") list.push({ type: "network", path: network.path });
  else if (network.kind === "container") {
    const other = engine.containers.get(network.id);
    if (other.phase !== "running")
      throw new UserError(
        `cannot share the network of container ${network.id}: it is not running: container state improper`,
      );
    list.push({ type: "network", path: `/proc/${other.state.pid}/ns/net` });
  } else if (network.kind !== "host") list.push({ type: "network", path: state.netnsPath });
  if (existsSync("/sys/fs/cgroup/cgroup.controllers") && config.cgroupns !== "host")
    list.push({ type: "cgroup" });
  return list;
}

function mounts(engine: Engine, container: Container, run: string): SpecMount[] {
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
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev/shm",
      type: "bind",
      source: existsSync(join(run, "shm")) ? join(run, "shm") : "/dev/shm",
      options: ["bind", "rprivate", "nosuid", "noexec", "nodev"],
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
  const own: [string, string][] = [
    ["/etc/resolv.conf", "resolv.conf"],
    ["/etc/hosts", "hosts"],
    ["/etc/hostname", "hostname"],
    ["/run/.containerenv", ".containerenv"],
  ];
  writeFileSync(join(run, "hostname"), `${config.hostname}\n`);
  writeFileSync(join(run, ".containerenv"), "");
  const taken = new Set(config.mounts.map(one => one.destination));
  for (const [destination, name] of own)
    if (!taken.has(destination) && !(name === "hosts" && config.noHosts)) bind(destination, join(run, name));
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
    list.push(userMount(engine, mount));
  if (config.init) {
    const init =
      findProgram("catatonit", ["/usr/libexec/podman", "/usr/libexec/catatonit"]) ?? findProgram("tini");
    if (!init) throw new UserError("container-init binary not found on the host: install catatonit");
    bind("/dev/init", init, "ro");
  }
  return list;
}

const depth = (path: string) => path.split("/").filter(Boolean).length;

function userMount(engine: Engine, mount: VolumeMount): SpecMount {
  const { destination, options } = mount;
  if (mount.kind === "tmpfs")
    return {
      destination,
      type: "tmpfs",
      source: "tmpfs",
      options: ["rprivate", "nosuid", "nodev", "tmpcopyup", ...options.filter(one => one !== "U")],
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
      ...(mount.kind === "volume" && !has(/^(no)?(suid|dev|exec)$/) ? ["nosuid", "nodev"] : []),
      ...passed,
    ],
  };
}

/** A device node as the specification wants it. */
function device(one: { source: string; destination: string; permissions: string }): object {
  const facts = statSync(one.source);
  return {
    path: one.destination,
    type: facts.isBlockDevice() ? "b" : "c",
    major: Number((BigInt(facts.rdev) >> 8n) & 0xfffn),
    minor: Number((BigInt(facts.rdev) & 0xffn) | ((BigInt(facts.rdev) >> 12n) & 0xfff00n)),
    fileMode: facts.mode & 0o777,
    uid: facts.uid,
    gid: facts.gid,
  };
}

/** What `--privileged` gives: every device node of the host's /dev, terminals left out. */
function hostDevices(): object[] {
  return readdirSync("/dev").flatMap(name => {
    const path = join("/dev", name);
    const facts = statSync(path, { throwIfNoEntry: false });
    const isDevice = facts?.isBlockDevice() || facts?.isCharacterDevice();
    return isDevice && !/^(tty\d*|console|ptmx|pts|null|zero|full|random|urandom)$/.test(name)
      ? [device({ source: path, destination: path, permissions: "rwm" })]
      : [];
  });
}
