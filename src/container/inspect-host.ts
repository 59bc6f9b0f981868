/** The part of `inspect` that tells what a container may use of its host, and what it shares with it. */
import { ALL_CAPABILITIES } from "./capabilities.ts";
import { managerName } from "./cgroups.ts";
import { type Container, networkModeName, type VolumeMount } from "./config.ts";
import { showMapping } from "./create-userns.ts";
import type { Engine } from "./engine.ts";
import { portBindings } from "./inspect-network.ts";
import { READ_ONLY_TMPFS } from "./spec-mounts.ts";

/** What Docker gives; `CapAdd` and `CapDrop` are told against it, whatever the engine's own defaults are. */
const DOCKER_CAPABILITIES =
  "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT"
    .split(" ")
    .map(name => `CAP_${name}`);

const PROPAGATION = /^r?(private|shared|slave|unbindable)$/;

/** A mount's options as they are told: whether it can be written to, its propagation, and the others. */
function optionsOf({ kind, options }: VolumeMount): {
  writable: boolean;
  propagation: string;
  rest: string[];
} {
  const has = (pattern: RegExp) => options.some(one => pattern.test(one));
  return {
    writable: !options.includes("ro"),
    propagation: options.find(one => PROPAGATION.test(one)) ?? "rprivate",
    rest: [
      ...(kind === "volume" && !has(/^(no)?suid$/) ? ["nosuid"] : []),
      ...(kind === "volume" && !has(/^(no)?dev$/) ? ["nodev"] : []),
      ...options.filter(one => !PROPAGATION.test(one) && !/^(ro|rw|r?bind|z|Z|U|copy|nocopy)$/.test(one)),
      options.includes("bind") ? "bind" : "rbind",
    ],
  };
}

/** `Mounts`: volumes and binds. */
export function mountsPart(engine: Engine, mounts: readonly VolumeMount[]): object[] {
  return mounts
    .filter(one => one.kind !== "tmpfs")
    .map(one => {
      const { writable, propagation, rest } = optionsOf(one);
      return {
        Type: one.kind,
        ...(one.kind === "volume" ? { Name: one.source } : {}),
        Source: one.kind === "volume" ? engine.volumes.directory(one.source) : one.source,
        Destination: one.destination,
        Driver: one.kind === "volume" ? "local" : "",
        Mode: "",
        Options: rest,
        RW: writable,
        Propagation: propagation,
      };
    });
}

function binds(mounts: readonly VolumeMount[]): string[] {
  return mounts
    .filter(one => one.kind !== "tmpfs")
    .map(one => {
      const { writable, propagation, rest } = optionsOf(one);
      return `${one.source}:${one.destination}:${[writable ? "rw" : "ro", propagation, ...rest].join(",")}`;
    });
}

function tmpfs(mounts: readonly VolumeMount[]): Record<string, string> {
  return Object.fromEntries(
    mounts
      .filter(one => one.kind === "tmpfs")
      .map(({ destination, options }) => {
        const own = options.filter(one => one !== "rw");
        const access = own.includes("ro") ? [] : ["rw"];
        return [destination, [...access, "rprivate", "nosuid", "nodev", "tmpcopyup", ...own].join(",")];
      }),
  );
}

/** `HostConfig`. */
export function hostPart(engine: Engine, container: Container): object {
  const { config } = container;
  const { limits, network } = config;
  const usual = config.privileged ? ALL_CAPABILITIES : DOCKER_CAPABILITIES;
  const cpuPeriod = 100_000;
  return {
    Binds: binds(config.mounts),
    CgroupManager: managerName(engine),
    CgroupMode: config.cgroupns,
    ContainerIDFile: config.cidFile ?? "",
    LogConfig: {
      Type: config.logDriver,
      Config: null,
      Path: config.logDriver === "none" || config.logDriver === "journald" ? "" : config.logPath,
      Tag: config.logTag ?? "",
      Size: "0B",
    },
    NetworkMode: networkModeName(network),
    PortBindings: portBindings(container),
    RestartPolicy: {
      Name: config.restart.name === "no" ? "" : config.restart.name,
      MaximumRetryCount: config.restart.maxRetries ?? 0,
    },
    AutoRemove: config.remove,
    VolumeDriver: "",
    VolumesFrom: config.volumesFrom ?? null,
    CapAdd: config.capabilities.filter(one => !usual.includes(one)),
    CapDrop: usual.filter(one => !config.capabilities.includes(one)).toSorted(),
    Dns: config.dns,
    DnsOptions: config.dnsOption,
    DnsSearch: config.dnsSearch,
    ExtraHosts: config.addHost,
    GroupAdd: config.groupAdd,
    IpcMode: config.ipcMode,
    Cgroup: "",
    Cgroups: "default",
    Links: null,
    OomScoreAdj: limits.oomScoreAdj ?? 0,
    PidMode: config.pidMode,
    Privileged: config.privileged,
    PublishAllPorts: config.publishAll ?? false,
    ReadonlyRootfs: config.readOnly,
    SecurityOpt: config.securityOpt,
    Tmpfs: {
      ...(config.readOnly && config.readOnlyTmpfs
        ? tmpfs(
            READ_ONLY_TMPFS.map(place => ({ kind: "tmpfs", source: "", destination: place, options: [] })),
          )
        : {}),
      ...tmpfs(config.mounts),
    },
    UTSMode: config.utsMode,
    UsernsMode: config.usernsMode === "host" ? "" : (config.usernsMode ?? ""),
    IDMappings: config.ids && {
      UidMap: config.ids.uids.map(showMapping),
      GidMap: config.ids.gids.map(showMapping),
    },
    ShmSize: limits.shmSize ?? 65_536_000,
    Runtime: "oci",
    ConsoleSize: [0, 0],
    Isolation: "",
    CpuShares: limits.cpuShares ?? 0,
    Memory: limits.memory ?? 0,
    NanoCpus: Math.round((limits.cpus ?? 0) * 1e9),
    CgroupParent: config.cgroupParent,
    BlkioWeight: 0,
    BlkioWeightDevice: null,
    BlkioDeviceReadBps: null,
    BlkioDeviceWriteBps: null,
    BlkioDeviceReadIOps: null,
    BlkioDeviceWriteIOps: null,
    CpuPeriod: limits.cpus ? cpuPeriod : 0,
    CpuQuota: limits.cpus ? Math.round(limits.cpus * cpuPeriod) : 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: limits.cpusetCpus ?? "",
    CpusetMems: limits.cpusetMems ?? "",
    Devices: config.devices.map(({ source, destination, permissions }) => ({
      PathOnHost: source,
      PathInContainer: destination,
      CgroupPermissions: permissions,
    })),
    DiskQuota: 0,
    KernelMemory: 0,
    MemoryReservation: limits.memoryReservation ?? 0,
    MemorySwap: limits.memorySwap ?? 0,
    MemorySwappiness: limits.memory || limits.memoryReservation || limits.memorySwap ? -1 : 0,
    OomKillDisable: false,
    Init: config.initPath === undefined ? undefined : true,
    PidsLimit: limits.pidsLimit ?? 2048,
    Ulimits: (limits.ulimits ?? []).map(({ name, soft, hard }) => ({
      Name: `RLIMIT_${name.toUpperCase()}`,
      Soft: soft,
      Hard: hard,
    })),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    CgroupConf: null,
  };
}
