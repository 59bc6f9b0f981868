/**
 * What a container was decided to be (`ContainerConfig`, never changed afterwards) and what has become of it
 * (`ContainerState`). What it is asked to be: create-options.ts.
 */
import type { Driver } from "../image/driver.ts";
import type { ImageRuntimeConfig } from "../image/types.ts";
import type { UserModePlan } from "../network/user-mode.ts";
import type { UserModeOptions } from "../network/user-mode-options.ts";
import type { IdMaps } from "../sys/user-namespace.ts";

/** One published port or range: `hostPort` 0 means "any free one" until the port is chosen. */
export interface PortMapping {
  hostIp: string;
  hostPort: number;
  containerPort: number;
  protocol: "tcp" | "udp" | "sctp";
  /** How many ports in a row; 1 for a single one. */
  range: number;
}

export interface VolumeMount {
  kind: "bind" | "volume" | "tmpfs";
  /** Host path of a bind, name of a volume ("" for an anonymous one), empty for a tmpfs. */
  source: string;
  destination: string;
  /** `ro`, `rw`, `z`, `rprivate`, `noexec`, `size=…`, `U`, … as given. */
  options: string[];
  /** Made because the image's VOLUME asks for it. */
  fromImage?: boolean;
}

export type RestartPolicy = { name: "no" | "on-failure" | "always" | "unless-stopped"; maxRetries?: number };

export interface HealthCheck {
  /** `["CMD", …]`, `["CMD-SHELL", text]` or `["NONE"]`. */
  test: string[];
  /** Milliseconds; no timer where it is 0. */
  interval: number;
  timeout: number;
  startPeriod: number;
  retries: number;
}

/** A network that a container joins, and what it is there. */
export interface NetworkJoin {
  network: string;
  /** `eth0`. */
  ifName: string;
  ip?: string;
  ip6?: string;
  mac?: string;
  aliases: string[];
}

/** `--network`: how a container gets its network. */
export type NetworkMode =
  | { kind: "bridge"; networks: NetworkJoin[] }
  /** The container alone with a tap, behind the user-mode stack. */
  | { kind: "user-mode"; options: UserModeOptions }
  | { kind: "none" }
  | { kind: "host" }
  | { kind: "container"; id: string }
  | { kind: "ns"; path: string };

/** True where the container has a network namespace that is its own, and is ours to make. */
export const ownsNamespace = ({ kind }: NetworkMode) =>
  kind === "bridge" || kind === "user-mode" || kind === "none";

/** True where ports can be published. */
export const publishes = ({ kind }: NetworkMode) => kind === "bridge" || kind === "user-mode";

/** Podman's name for it. */
export function networkModeName(network: NetworkMode): string {
  switch (network.kind) {
    case "container":
      return `container:${network.id}`;
    case "ns":
      return `ns:${network.path}`;
    case "user-mode":
      return network.options.mode;
    default:
      return network.kind;
  }
}

export interface ResourceLimits {
  /** Bytes. */
  memory?: number;
  memorySwap?: number;
  memoryReservation?: number;
  /** `--cpus`, in processors. */
  cpus?: number;
  cpuShares?: number;
  cpusetCpus?: string;
  cpusetMems?: string;
  /** -1 or 0: no limit. */
  pidsLimit?: number;
  ulimits?: { name: string; soft: number; hard: number }[];
  shmSize?: number;
  oomScoreAdj?: number;
}

/** Whom the ordinary user is in the container's user namespace (`--userns=keep-id`). */
export interface KeptId {
  uid: number;
  gid: number;
  /** The user's name and full name on the host, where the ids are the user's own. */
  name?: string;
  fullName?: string;
}

/** What holds a pod's namespaces: files alone, or a process that runs in them. */
export interface InfraRole {
  kind: "pins" | "process";
  share: readonly string[];
  /** The program that sleeps in it, on the host, where it has no image. */
  pause?: string;
}

/** The decided container: written once at create. */
export interface ContainerConfig {
  id: string;
  name: string;
  /** Id of the pod that it is in. */
  pod?: string;
  /** Of a pod's infra container. */
  infra?: InfraRole;
  /** Milliseconds since 1970. */
  created: number;
  /** The command line that made it, for `inspect`. */
  createCommand: string[];
  /** As the user named it, resolved to a full reference where it is one. */
  imageName: string;
  imageId: string;
  imageConfig: ImageRuntimeConfig;
  /** Their directories, topmost first. */
  layers: string[];
  /** How they are put up, with its changes above; overlay where nothing is said. */
  storageDriver?: Driver;

  args: string[];
  entrypoint: string[];
  command: string[];
  /** `K=V`, complete. */
  env: string[];
  workdir: string;
  /** As asked: `postgres`, `1000:1000`, "". Looked up in the container's own files at start. */
  user: string;
  groupAdd: string[];
  hostname: string;
  tty: boolean;
  interactive: boolean;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  remove: boolean;
  /** Where its id was written. */
  cidFile?: string;
  restart: RestartPolicy;
  /** Signal number. */
  stopSignal: number;
  /** Seconds. */
  stopTimeout: number;
  /** Seconds that it may run; absent: for ever. */
  timeout?: number;
  /** Its first process is an init that manages units: it finds what systemd expects of a container. */
  systemd?: boolean;
  /** Of `--init`'s program, on the host. */
  initPath?: string;
  timezone?: string;
  umask: string;

  network: NetworkMode;
  ports: PortMapping[];
  /** `-P` was given. */
  publishAll?: boolean;
  /** Exposed but not published: `80/tcp`. */
  exposed: string[];
  addHost: string[];
  noHosts: boolean;
  dns: string[];
  dnsSearch: string[];
  dnsOption: string[];

  mounts: VolumeMount[];
  /** Names of the containers that some of the mounts are from. */
  volumesFrom?: string[];
  readOnly: boolean;
  readOnlyTmpfs: boolean;
  devices: { source: string; destination: string; permissions: string }[];
  limits: ResourceLimits;

  /** Effective capabilities, `CAP_CHOWN`. */
  capabilities: string[];
  capAdd: string[];
  capDrop: string[];
  privileged: boolean;
  securityOpt: string[];
  /** A path or `unconfined`; undefined for the system's. */
  seccompProfile?: string;
  apparmorProfile?: string;
  sysctl: Record<string, string>;
  pidMode: string;
  ipcMode: string;
  utsMode: string;
  cgroupns: string;
  cgroupParent: string;
  /** `host` where nothing is said; `private`, `container:ID`, `ns:PATH`. */
  usernsMode?: string;
  /** Of its own user namespace: its ids as we number them. */
  ids?: IdMaps;
  keepId?: KeptId;

  logDriver: "k8s-file" | "json-file" | "journald" | "none";
  logPath: string;
  logMaxSize?: number;
  logTag?: string;
  health?: HealthCheck;
}

/** `initialized`: made in the runtime, its process waits for the word. */
export type Phase =
  | "creating"
  | "created"
  | "initialized"
  | "starting"
  | "running"
  | "stopping"
  | "exited"
  | "removing";

/** What one network gave to a container. */
export interface NetworkAttachment {
  network: string;
  ifName: string;
  /** `10.88.0.5`, and so on; "" where there is none. */
  ipv4: string;
  ipv4Prefix: number;
  gateway: string;
  ipv6: string;
  ipv6Prefix: number;
  ipv6Gateway: string;
  mac: string;
  bridge: string;
  dns: { nameservers: string[]; search: string[]; options: string[] };
  aliases: string[];
}

/** What has become of a container; replaced as a whole at each change. */
export interface ContainerState {
  /** Written before the namespace is made. "" when the network is not ours. */
  netnsPath: string;
  /** Since the first connect or disconnect: what it joins instead of its configuration's networks. */
  networks?: NetworkJoin[];
  /** The user-mode network as it was planned, written before it is made. */
  userMode?: UserModePlan;
  /** How its bridges reach the world, where that is a user-mode network too. */
  uplink?: Pick<UserModePlan, "nameservers" | "hostAddress">;
  /** Networks that an ADD was begun for, written before it. */
  networksBegun: { network: string; ifName: string }[];
  attachments: NetworkAttachment[];
  /** With host ports chosen. */
  ports: PortMapping[];
  mounted: boolean;
  /** It runs, and its processes are frozen. */
  paused?: boolean;
  pid: number;
  /** When `pid` began (`startTime`): together they are one process and no later one. */
  pidStart?: number;
  conmonPid: number;
  /** The process that keeps the published ports of one without a process of its own, and when that began. */
  holder?: { pid: number; start?: number };
  /** Boot in which it was started. */
  bootId: string;
  /** Milliseconds since 1970; 0 for never. */
  startedAt: number;
  finishedAt: number;
  exitCode: number;
  oomKilled: boolean;
  /** Why the last start failed. */
  error: string;
  restartCount: number;
  /** A person stopped it, so restart policies keep still. */
  stoppedByUser: boolean;
  runtime: string;
  anonymousVolumes: string[];
  health?: { status: "starting" | "healthy" | "unhealthy"; failingStreak: number; log: HealthLogEntry[] };
}

export interface HealthLogEntry {
  start: string;
  end: string;
  exitCode: number;
  output: string;
}

/** A container as the database holds it. */
export interface Container {
  config: ContainerConfig;
  phase: Phase;
  state: ContainerState;
}

/** What people are told of its phase. */
export const statusOf = ({ phase, state }: Container): Phase | "paused" =>
  phase === "running" && state.paused ? "paused" : phase;

export function newState(): ContainerState {
  return {
    netnsPath: "",
    networksBegun: [],
    attachments: [],
    ports: [],
    mounted: false,
    pid: 0,
    conmonPid: 0,
    bootId: "",
    startedAt: 0,
    finishedAt: 0,
    exitCode: 0,
    oomKilled: false,
    error: "",
    restartCount: 0,
    stoppedByUser: false,
    runtime: "",
    anonymousVolumes: [],
  };
}

/** The networks that it is on while it runs, and joins when it starts. */
export function joinsOf({ config, state }: Pick<Container, "config" | "state">): readonly NetworkJoin[] {
  return state.networks ?? (config.network.kind === "bridge" ? config.network.networks : []);
}

type Joint = Pick<NetworkJoin, "network" | "ifName">;
export const isJoined = (joins: readonly Joint[], one: Joint): boolean =>
  joins.some(join => join.network === one.network && join.ifName === one.ifName);

/** True while it has its namespace, with the networks in it. */
export const isUp = ({ phase }: Container): boolean => phase === "running" || phase === "initialized";

/** True for a running container that a killed command left half way on to a network, or half way off (`connect.ts`). */
export function isUnsettled(container: Container): boolean {
  const joins = joinsOf(container);
  return isUp(container) && container.state.networksBegun.some(one => !isJoined(joins, one));
}

/** Ids of the containers whose namespaces it shares. */
export function dependencies(config: ContainerConfig): string[] {
  const modes = [
    config.pidMode,
    config.ipcMode,
    config.utsMode,
    config.cgroupns,
    config.usernsMode ?? "host",
  ];
  const ids = modes.flatMap(mode => /^container:(.+)$/.exec(mode)?.[1] ?? []);
  if (config.network.kind === "container") ids.push(config.network.id);
  return [...new Set(ids)];
}
