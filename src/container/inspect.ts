/** What `inspect` tells of a container, in the shape that Podman 4 gives it (InspectContainerData). */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Container, ContainerConfig, NetworkAttachment, PortMapping } from "./config.ts";
import type { Engine } from "./engine.ts";

const NEVER = "0001-01-01T00:00:00Z";
const time = (ms: number) => (ms > 0 ? new Date(ms).toISOString() : NEVER);

/** The container as JSON. */
export function inspectContainer(engine: Engine, container: Container): Record<string, unknown> {
  const { config, state } = container;
  const directory = engine.paths.container(config.id);
  const run = engine.paths.containerRun(config.id);
  const running = container.phase === "running";
  return {
    Id: config.id,
    Created: time(config.created),
    Path: config.args[0] ?? "",
    Args: config.args.slice(1),
    State: {
      OciVersion: "1.0.2-dev",
      Status: container.phase === "stopping" ? "stopping" : container.phase,
      Running: running,
      Paused: false,
      Restarting: false,
      OOMKilled: state.oomKilled,
      Dead: false,
      Pid: running ? state.pid : 0,
      ConmonPid: running ? state.conmonPid : 0,
      ExitCode: state.exitCode,
      Error: state.error,
      StartedAt: time(state.startedAt),
      FinishedAt: time(state.finishedAt),
      Health: {
        Status: state.health?.status ?? "",
        FailingStreak: state.health?.failingStreak ?? 0,
        Log:
          state.health?.log.map(one => ({
            Start: one.start,
            End: one.end,
            ExitCode: one.exitCode,
            Output: one.output,
          })) ?? null,
      },
      CgroupPath: running ? `${config.cgroupParent || "/libpod_parent"}/libpod-${config.id}` : "",
    },
    Image: config.imageId,
    ImageName: config.imageName,
    Rootfs: "",
    Pod: "",
    ResolvConfPath: running ? join(run, "resolv.conf") : "",
    HostnamePath: running ? join(run, "hostname") : "",
    HostsPath: running ? join(run, "hosts") : "",
    OCIConfigPath: join(directory, "config.json"),
    OCIRuntime: state.runtime,
    ConmonPidFile: join(run, "conmon.pid"),
    PidFile: join(run, "pidfile"),
    Name: config.name,
    RestartCount: state.restartCount,
    Driver: "overlay",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    EffectiveCaps: config.capabilities,
    BoundingCaps: config.capabilities,
    ExecIDs: running ? execIds(engine, config.id) : [],
    GraphDriver: {
      Name: "overlay",
      Data: {
        LowerDir: config.layers.join(":"),
        ...(state.mounted ? { MergedDir: join(directory, "merged") } : {}),
        UpperDir: join(directory, "upper"),
        WorkDir: join(directory, "work"),
      },
    },
    Mounts: config.mounts
      .filter(one => one.kind !== "tmpfs")
      .map(one => ({
        Type: one.kind,
        ...(one.kind === "volume" ? { Name: one.source } : {}),
        Source: one.kind === "volume" ? engine.volumes.directory(one.source) : one.source,
        Destination: one.destination,
        Driver: one.kind === "volume" ? "local" : "",
        Mode: "",
        Options: one.options,
        RW: !one.options.includes("ro"),
        Propagation: one.options.find(option => /^r?(private|shared|slave)$/.test(option)) ?? "rprivate",
      })),
    NetworkSettings: networkSettings(container),
    Namespace: "",
    IsInfra: false,
    IsService: false,
    Config: configPart(config),
    HostConfig: hostPart(container),
  };
}

/** Commands that run in it besides its first process, detached ones too. */
function execIds(engine: Engine, id: string): string[] {
  const directory = engine.paths.execs(id);
  if (!existsSync(directory)) return [];
  return readdirSync(directory).filter(name => existsSync(join(directory, name, "pid")));
}

const addresses = (one: NetworkAttachment | undefined) => ({
  EndpointID: "",
  Gateway: one?.gateway ?? "",
  IPAddress: one?.ipv4 ?? "",
  IPPrefixLen: one?.ipv4Prefix ?? 0,
  IPv6Gateway: one?.ipv6Gateway ?? "",
  GlobalIPv6Address: one?.ipv6 ?? "",
  GlobalIPv6PrefixLen: one?.ipv6Prefix ?? 0,
  MacAddress: one?.mac ?? "",
});

function networkSettings({ config, state }: Container): object {
  const first = state.attachments.find(one => one.network === "podman");
  return {
    ...addresses(first),
    Bridge: "",
    SandboxID: "",
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    Ports: {
      ...Object.fromEntries(config.exposed.map(port => [port, null])),
      ...bindings(state.ports.length > 0 ? state.ports : config.ports),
    },
    SandboxKey: state.netnsPath,
    Networks: Object.fromEntries(
      state.attachments.map(one => [
        one.network,
        {
          ...addresses(one),
          NetworkID: one.network,
          DriverOpts: null,
          IPAMConfig: null,
          Links: null,
          Aliases: one.aliases,
        },
      ]),
    ),
  };
}

function bindings(ports: readonly PortMapping[]): Record<string, { HostIp: string; HostPort: string }[]> {
  const all: Record<string, { HostIp: string; HostPort: string }[]> = {};
  for (const { hostIp, hostPort, containerPort, protocol, range } of ports)
    for (let i = 0; i < range; i++) {
      const key = `${containerPort + i}/${protocol}`;
      const list = all[key] ?? [];
      all[key] = list;
      list.push({ HostIp: hostIp, HostPort: String(hostPort === 0 ? 0 : hostPort + i) });
    }
  return all;
}

function configPart(config: ContainerConfig): object {
  return {
    Hostname: config.hostname,
    Domainname: "",
    User: config.user,
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: config.tty,
    OpenStdin: config.interactive,
    StdinOnce: false,
    Env: config.env,
    Cmd: config.command,
    Image: config.imageName,
    Volumes: null,
    WorkingDir: config.workdir,
    Entrypoint: config.entrypoint.join(" "),
    OnBuild: null,
    Labels: config.labels,
    Annotations: config.annotations,
    StopSignal: config.stopSignal,
    CreateCommand: config.createCommand,
    Umask: config.umask,
    Timeout: 0,
    StopTimeout: config.stopTimeout,
  };
}

function hostPart({ config, state }: Container): object {
  const { limits } = config;
  return {
    LogConfig: {
      Type: config.logDriver,
      Config: null,
      Path: config.logPath,
      Tag: config.logTag ?? "",
      Size: "0B",
    },
    NetworkMode: config.network.kind === "container" ? `container:${config.network.id}` : config.network.kind,
    PortBindings: bindings(state.ports.length > 0 ? state.ports : config.ports),
    RestartPolicy: { Name: config.restart.name, MaximumRetryCount: config.restart.maxRetries ?? 0 },
    AutoRemove: config.remove,
    CapAdd: config.capAdd,
    CapDrop: config.capDrop,
    Dns: config.dns,
    DnsOptions: config.dnsOption,
    DnsSearch: config.dnsSearch,
    ExtraHosts: config.addHost,
    GroupAdd: config.groupAdd,
    IpcMode: config.ipcMode,
    PidMode: config.pidMode,
    UTSMode: config.utsMode,
    Privileged: config.privileged,
    ReadonlyRootfs: config.readOnly,
    SecurityOpt: config.securityOpt,
    Init: config.initPath !== undefined,
    Memory: limits.memory ?? 0,
    MemorySwap: limits.memorySwap ?? 0,
    NanoCpus: Math.round((limits.cpus ?? 0) * 1e9),
    PidsLimit: limits.pidsLimit ?? 2048,
    ShmSize: limits.shmSize ?? 65_536_000,
    Runtime: "oci",
    CgroupParent: config.cgroupParent,
  };
}
