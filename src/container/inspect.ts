/** What `inspect` tells of a container, in the shape that Podman 4 gives it (InspectContainerData). */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createAnnotations, runAnnotations } from "./annotations.ts";
import { processCapabilities } from "./capabilities.ts";
import { cgroupsPath } from "./cgroups.ts";
import { type Container, type ContainerConfig, dependencies, statusOf } from "./config.ts";
import type { Engine } from "./engine.ts";
import { hostPart, mountsPart } from "./inspect-host.ts";
import { inOrder, networkSettings } from "./inspect-network.ts";
import { runtimeName } from "./runtime.ts";
import { processArgs } from "./spec.ts";

const NEVER = "0001-01-01T00:00:00Z";
const time = (ms: number) => (ms > 0 ? new Date(ms).toISOString() : NEVER);

/** The container as JSON. What is undefined is left out of it, but a template may ask for it. */
export function inspectContainer(engine: Engine, container: Container): Record<string, unknown> {
  const { config, state } = container;
  const directory = engine.paths.container(config.id);
  const run = engine.paths.containerRun(config.id);
  const args = processArgs(config);
  const status = statusOf(container);
  const running = container.phase === "running" || container.phase === "initialized";
  // Who shares another's network has that one's addresses.
  const owner = engine.containers.networkOwner(container);
  const net = engine.paths.containerRun(owner.config.id);
  return {
    Id: config.id,
    Created: time(config.created),
    Path: args[0] ?? "",
    Args: args.slice(1),
    State: {
      OciVersion: "1.0.2-dev",
      Status: status,
      Running: status === "running",
      Paused: status === "paused",
      Restarting: false,
      OOMKilled: state.oomKilled,
      Dead: false,
      Pid: running ? state.pid : 0,
      ConmonPid: running ? state.conmonPid : undefined,
      ExitCode: state.exitCode,
      Error: state.error,
      StartedAt: time(state.startedAt),
      FinishedAt: time(state.finishedAt),
      Health: {
        Status: state.health?.status ?? "",
        FailingStreak: state.health?.failingStreak ?? 0,
        Log: state.health?.log.length
          ? state.health.log.map(one => ({
              Start: one.start,
              End: one.end,
              ExitCode: one.exitCode,
              Output: one.output,
            }))
          : null,
      },
      CgroupPath: running ? cgroupsPath(engine, config) : undefined,
      CheckpointedAt: NEVER,
      RestoredAt: NEVER,
    },
    Image: config.imageId,
    ImageDigest: engine.images.find(config.imageId)?.digest ?? "",
    ImageName: config.imageName,
    Rootfs: "",
    Pod: config.pod ?? "",
    ResolvConfPath: running ? join(net, "resolv.conf") : "",
    HostnamePath: running ? join(run, "hostname") : "",
    HostsPath: running ? join(net, "hosts") : "",
    StaticDir: directory,
    OCIConfigPath: state.startedAt > 0 ? join(directory, "config.json") : undefined,
    OCIRuntime: runtimeName(engine, state.runtime),
    ConmonPidFile: join(run, "conmon.pid"),
    PidFile: join(run, "pidfile"),
    Name: config.name,
    RestartCount: state.restartCount,
    Driver: "overlay",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    EffectiveCaps: effectiveCapabilities(config),
    BoundingCaps: config.capabilities,
    ExecIDs: running ? execIds(engine, config.id) : [],
    GraphDriver:
      config.storageDriver === "vfs"
        ? { Name: "vfs", Data: { dir: join(directory, "merged") } }
        : {
            Name: "overlay",
            Data: {
              LowerDir: config.layers.join(":"),
              ...(state.mounted ? { MergedDir: join(directory, "merged") } : {}),
              UpperDir: join(directory, "upper"),
              WorkDir: join(directory, "work"),
            },
          },
    Mounts: mountsPart(engine, config.mounts),
    Dependencies: dependencies(config),
    NetworkSettings: networkSettings(owner, engine.networks.defaultNetwork),
    Namespace: "",
    IsInfra: config.infra !== undefined,
    IsService: false,
    Config: configPart(engine, container),
    HostConfig: hostPart(engine, container),
  };
}

/** Those of its first process; none for one that is not root and was given none by name. */
function effectiveCapabilities(config: ContainerConfig): string[] | null {
  const isRoot = /^(root|0)?(:|$)/.test(config.user);
  const { effective } = processCapabilities(config, isRoot ? 0 : 1);
  return effective.length > 0 ? effective : null;
}

/** Commands that run in it besides its first process, detached ones too. */
function execIds(engine: Engine, id: string): string[] {
  const directory = engine.paths.execs(id);
  if (!existsSync(directory)) return [];
  return readdirSync(directory).filter(name => existsSync(join(directory, name, "pid")));
}

/** The environment as its process got it, once it was started; until then as far as it is decided. */
function environmentOf(engine: Engine, { config, state }: Container): string[] {
  if (state.startedAt === 0) return config.env;
  try {
    const text = readFileSync(join(engine.paths.container(config.id), "config.json"), "utf8");
    return (JSON.parse(text) as { process: { env: string[] } }).process.env;
  } catch {
    return config.env;
  }
}

/** Milliseconds as Go has durations; nothing for none. */
const nanoseconds = (ms: number) => (ms > 0 ? ms * 1e6 : undefined);

function configPart(engine: Engine, container: Container): object {
  const { config, state } = container;
  const { health } = config;
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
    Env: environmentOf(engine, container),
    Cmd: config.command.length > 0 ? config.command : null,
    Image: config.imageName,
    Volumes: null,
    WorkingDir: config.workdir,
    Entrypoint: config.entrypoint.join(" "),
    OnBuild: null,
    Labels: Object.keys(config.labels).length > 0 ? inOrder(config.labels) : null,
    Annotations: inOrder({
      ...(state.startedAt > 0 ? runAnnotations(config) : {}),
      ...createAnnotations(config),
      ...config.annotations,
    }),
    StopSignal: config.stopSignal,
    Healthcheck: health && {
      Test: health.test,
      StartPeriod: nanoseconds(health.startPeriod),
      Interval: nanoseconds(health.interval),
      Timeout: nanoseconds(health.timeout),
      Retries: health.retries || undefined,
    },
    HealthcheckOnFailureAction: "none",
    CreateCommand: config.createCommand,
    Timezone: config.timezone,
    Umask: config.umask,
    Timeout: 0,
    StopTimeout: config.stopTimeout,
    Passwd: true,
    sdNotifyMode: "container",
  };
}
