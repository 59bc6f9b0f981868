/** Deciding what a container is: options, image and defaults come together; whatever is wrong is said before anything is made. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import type { ImageRecord, ImageRuntimeConfig } from "../image/types.ts";
import { signalNumber } from "../sys/process.ts";
import { parseIP } from "../wire/addr.ts";
import { decideCapabilities } from "./capabilities.ts";
import { recordContainerEvent } from "./cleanup.ts";
import {
  type Container,
  type ContainerConfig,
  type CreateOptions,
  type HealthCheck,
  type NetworkMode,
  newState,
  type PortMapping,
  type RestartPolicy,
  type VolumeMount,
} from "./config.ts";
import type { Engine } from "./engine.ts";
import { randomName } from "./names.ts";
import { parseExpose, parsePublished } from "./parse-ports.ts";
import { parseMounts } from "./parse-volumes.ts";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface CreateContext {
  /** Gets an image that is not in the store; absent where pulling can't be done. */
  pull?: (name: string, options: CreateOptions) => Promise<ImageRecord>;
  /** The command line, for `inspect`. */
  commandLine?: readonly string[];
  /**
   * Starts it under the same lock (`startLocked`), for `run`: a command killed between the two leaves no container that
   * nobody asked for. If it throws, a container with `--rm` is removed.
   */
  start?: (container: Container) => Promise<void>;
}

/** Makes a container, ready to be started. */
export async function createContainer(
  engine: Engine,
  options: CreateOptions,
  context: CreateContext = {},
): Promise<Container> {
  if (options.name !== undefined && !NAME.test(options.name))
    throw new UserError(
      "running container create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument",
    );
  if (options.cidFile && existsSync(options.cidFile))
    throw new UserError(
      `container id file exists. Ensure another container is not using it or delete ${options.cidFile}`,
    );
  const decided = decide(engine, options);
  const image = await resolveImage(engine, options, context);
  if (options.replace && options.name === undefined)
    throw new UserError("cannot replace container without --name being set");
  const old = options.replace ? engine.containers.find(options.name!) : undefined;
  if (old && old.config.name === options.name) {
    const { removeContainer } = await import("./remove.ts");
    await removeContainer(engine, old.config.id, { force: true });
  }
  const config = complete(engine, options, decided, image, context);
  return make(engine, config, options, context.start);
}

/** Writes the row, then makes what it tells of. */
async function make(
  engine: Engine,
  config: ContainerConfig,
  options: CreateOptions,
  start: CreateContext["start"],
): Promise<Container> {
  const state = newState();
  state.anonymousVolumes = config.mounts.flatMap(one =>
    one.kind === "volume" &&
    one.source !== "" &&
    !isNamed(options, one.source) &&
    /^[0-9a-f]{64}$/.test(one.source)
      ? [one.source]
      : [],
  );
  const container: Container = { config, phase: "creating", state };
  const held = engine.containers.lock(config.id);
  try {
    engine.containers.insert(container);
    try {
      mkdirSync(engine.paths.container(config.id), { recursive: true, mode: 0o700 });
      for (const mount of config.mounts)
        if (mount.kind === "volume" && !engine.volumes.find(mount.source))
          engine.volumes.create(mount.source, { anonymous: state.anonymousVolumes.includes(mount.source) });
      if (options.cidFile) writeFileSync(options.cidFile, config.id, { flag: "wx" });
    } catch (error) {
      const { removeLocked } = await import("./remove.ts");
      await removeLocked(engine, container, { volumes: true });
      throw error;
    }
    if (start && config.remove) container.phase = "created";
    else engine.containers.save(container, "created");
    recordContainerEvent(engine, container, "create");
    try {
      await start?.(container);
    } catch (error) {
      if (config.remove) {
        const { removeLocked } = await import("./remove.ts");
        await removeLocked(engine, container, { volumes: true });
      }
      throw error;
    }
    return container;
  } finally {
    held.release();
  }
}

const isNamed = (options: CreateOptions, name: string) =>
  (options.volumes ?? []).some(text => text.startsWith(`${name}:`)) ||
  (options.mounts ?? []).some(text => text.includes(`=${name}`));

async function resolveImage(
  engine: Engine,
  options: CreateOptions,
  context: CreateContext,
): Promise<ImageRecord> {
  const policy = options.pull ?? "missing";
  const known = engine.images.find(options.image);
  if (known && (policy === "missing" || policy === "never")) return known;
  if (policy === "never" || !context.pull)
    throw new UserError(`${options.image}: image not known`, { status: 404 });
  return context.pull(options.image, options);
}

/** What the options alone decide. */
interface Decided {
  network: NetworkMode;
  ports: PortMapping[];
  mounts: VolumeMount[];
  restart: RestartPolicy;
  env: Map<string, string>;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  sysctl: Record<string, string>;
  capabilities: string[];
  devices: ContainerConfig["devices"];
}

function decide(engine: Engine, options: CreateOptions): Decided {
  const network = networkMode(engine, options.network ?? []);
  const restart = restartPolicy(options.restart);
  if (options.remove && restart.name !== "no")
    throw new UserError(
      'the --rm option conflicts with --restart, when the restartPolicy is not "" and "no"',
    );
  checkAddresses(options, network);
  for (const one of options.securityOpt ?? []) checkSecurityOption(one);
  if (options.umask !== undefined && !/^0?[0-7]{1,3}$|^0[0-7]{3}$/.test(options.umask))
    throw new UserError(
      `running container create option: invalid umask string ${options.umask}: invalid argument`,
    );
  if (
    options.timezone &&
    options.timezone !== "local" &&
    !existsSync(`/usr/share/zoneinfo/${options.timezone}`)
  )
    throw new UserError(
      `running container create option: stat /usr/share/zoneinfo/${options.timezone}: no such file or directory`,
    );
  if (
    options.memory &&
    options.memorySwap !== undefined &&
    options.memorySwap > 0 &&
    options.memorySwap < options.memory
  )
    throw new UserError("minimum memoryswap limit should be larger than memory limit, see usage");
  for (const mode of [options.pidMode, options.ipcMode, options.utsMode])
    if (mode && !/^(host|private|shareable|none|container:.+|ns:.+)$/.test(mode))
      throw new UserError(`unrecognized namespace mode ${mode} passed`);
  if (options.logDriver && !["k8s-file", "json-file", "none"].includes(options.logDriver))
    throw new UserError("running container create option: invalid log driver: invalid argument");
  return {
    network,
    restart,
    ports: parsePublished(options.publish ?? []),
    mounts: [...inheritedMounts(engine, options.volumesFrom ?? []), ...parseMounts(options)],
    env: environment(options),
    labels: labels(options),
    annotations: pairs(options.annotations ?? [], () => "annotations must be formatted KEY=VALUE"),
    sysctl: pairs(
      options.sysctl ?? [],
      text => `${text} is invalid, sysctl values must be in the form of KEY=VALUE`,
    ),
    capabilities: decideCapabilities(options),
    devices: (options.devices ?? []).map(parseDevice),
  };
}

function networkMode(engine: Engine, words: readonly string[]): NetworkMode {
  const names: string[] = [];
  for (const word of words.flatMap(one => one.split(","))) {
    const [kind, ...rest] = word.split(":");
    const more = rest.join(":");
    const single: NetworkMode | undefined =
      word === "none"
        ? { kind: "none" }
        : word === "host"
          ? { kind: "host" }
          : kind === "container"
            ? { kind: "container", id: sharedContainer(engine, more) }
            : kind === "ns"
              ? { kind: "ns", path: more }
              : undefined;
    if (single) {
      if (words.length > 1)
        throw new UserError(
          names.length > 0
            ? `can only set extra network names, selected mode ${word} conflicts with bridge: invalid argument`
            : `cannot set multiple networks without bridge network mode, selected mode ${word}: invalid argument`,
        );
      if (single.kind === "ns" && !existsSync(single.path))
        throw new UserError(
          `cannot find specified network namespace path: stat ${single.path}: no such file or directory`,
        );
      return single;
    }
    const name =
      word === "bridge" || word === "default" || word === "private" || word === "" ? "podman" : word;
    const resolved = engine.networks.resolve(name);
    if (!names.includes(resolved)) names.push(resolved);
  }
  return { kind: "bridge", networks: names.length > 0 ? names : [engine.networks.resolve("podman")] };
}

function sharedContainer(engine: Engine, name: string): string {
  const other = engine.containers.find(name);
  if (!other)
    throw new UserError(
      `looking up container to share net namespace with: no container with name or ID ${JSON.stringify(name)} found: no such container`,
    );
  return other.config.id;
}

function checkAddresses(options: CreateOptions, network: NetworkMode): void {
  for (const [flag, value] of [
    ["--ip", options.ip],
    ["--ip6", options.ip6],
    ["--mac-address", options.macAddress],
  ] as const) {
    if (value === undefined) continue;
    if (flag === "--mac-address" ? !/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(value) : !parseIP(value))
      throw new UserError(
        flag === "--mac-address"
          ? `address ${value}: invalid MAC address`
          : `"${value}" is not an ip address`,
      );
    if (network.kind !== "bridge")
      throw new UserError(`${flag} can only be set when the network mode is bridge: invalid argument`);
    if (network.networks.length > 1)
      throw new UserError(`${flag} can only be set for a single network: invalid argument`);
  }
  for (const text of options.addHost ?? []) {
    const colon = text.indexOf(":");
    if (colon < 1) throw new UserError(`bad format for add-host: ${JSON.stringify(text)}`);
    if (!parseIP(text.slice(colon + 1)))
      throw new UserError(`invalid IP address in add-host: ${JSON.stringify(text.slice(colon + 1))}`);
  }
  for (const server of options.dns ?? [])
    if (!parseIP(server)) throw new UserError(`${server} is not an ip address`);
}

function checkSecurityOption(text: string): void {
  const [key, value] = text.split(/[=:]/, 2);
  if (key === "seccomp" && value !== "unconfined" && !existsSync(value ?? ""))
    throw new UserError(`opening seccomp profile failed: open ${value}: no such file or directory`);
  if (
    !["seccomp", "no-new-privileges", "label", "apparmor", "mask", "unmask", "proc-opts"].includes(key ?? "")
  )
    throw new UserError(`invalid --security-opt 1: ${JSON.stringify(text)}`);
}

function restartPolicy(text = "no"): RestartPolicy {
  const [name = "", retries] = text.split(":", 2);
  if (name === "" || name === "no") return { name: "no" };
  if (name !== "on-failure" && name !== "always" && name !== "unless-stopped")
    throw new UserError(
      `running container create option: ${JSON.stringify(name)} is not a valid restart policy: invalid argument`,
    );
  if (retries === undefined) return { name };
  if (name !== "on-failure")
    throw new UserError("restart policy retries can only be specified with on-failure restart policy");
  if (!/^\d+$/.test(retries))
    throw new UserError(
      `parsing restart policy retry count: strconv.Atoi: parsing ${JSON.stringify(retries)}: invalid syntax`,
    );
  return { name, maxRetries: Number(retries) };
}

function inheritedMounts(engine: Engine, names: readonly string[]): VolumeMount[] {
  return names.flatMap(text => {
    const [name = "", options] = text.split(":", 2);
    const other = engine.containers.find(name);
    if (!other)
      throw new UserError(
        `looking up container ${JSON.stringify(name)} for volumes-from: no container with name or ID ${JSON.stringify(name)} found: no such container`,
      );
    return other.config.mounts.map(one => ({ ...one, options: options ? options.split(",") : one.options }));
  });
}

/** Later ones win: the host's, files, then what stands on the command line. */
function environment(options: CreateOptions): Map<string, string> {
  const env = new Map<string, string>();
  const add = (text: string) => {
    const equals = text.indexOf("=");
    if (equals === 0 || text === "")
      throw new UserError(`invalid environment variable: ${JSON.stringify(text)}`);
    if (equals > 0) env.set(text.slice(0, equals), text.slice(equals + 1));
    else if (text.endsWith("*"))
      for (const [key, value] of Object.entries(process.env)) {
        if (key.startsWith(text.slice(0, -1))) env.set(key, value ?? "");
      }
    // A bare name takes the value from here, if there is one.
    else if (process.env[text] !== undefined) env.set(text, process.env[text]!);
  };
  if (options.envHost) for (const [key, value] of Object.entries(process.env)) env.set(key, value ?? "");
  for (const path of options.envFiles ?? [])
    for (const line of lines(path, `parsing env file ${JSON.stringify(path)}: `)) add(line);
  for (const text of options.env ?? []) add(text);
  return env;
}

function lines(path: string, what: string): string[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter(line => line.trim() !== "" && !line.startsWith("#"));
  } catch {
    throw new UserError(`${what}open ${path}: no such file or directory`);
  }
}

function labels(options: CreateOptions): Record<string, string> {
  const all = [...(options.labelFiles ?? []).flatMap(path => lines(path, "")), ...(options.labels ?? [])];
  const result: Record<string, string> = {};
  for (const text of all) {
    const equals = text.indexOf("=");
    if (equals === 0)
      throw new UserError(`unable to process labels: invalid label format: ${JSON.stringify(text)}`);
    result[equals < 0 ? text : text.slice(0, equals)] = equals < 0 ? "" : text.slice(equals + 1);
  }
  return result;
}

function pairs(texts: readonly string[], complaint: (text: string) => string): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const equals = text.indexOf("=");
      if (equals < 1) throw new UserError(complaint(text));
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

function parseDevice(text: string): ContainerConfig["devices"][number] {
  const [source = "", second, third] = text.split(":");
  const facts = statSync(source, { throwIfNoEntry: false });
  if (!facts) throw new UserError(`stat ${source}: no such file or directory`);
  if (!facts.isBlockDevice() && !facts.isCharacterDevice())
    throw new UserError(`${source} is not a device node`);
  const onlyMode = second !== undefined && !second.startsWith("/") && third === undefined;
  const permissions = (onlyMode ? second : third) ?? "rwm";
  if (!/^[rwm]{1,3}$/.test(permissions)) throw new UserError(`invalid device mode: ${permissions}`);
  return { source, destination: onlyMode ? source : (second ?? source), permissions };
}

/** Everything together. */
function complete(
  engine: Engine,
  options: CreateOptions,
  decided: Decided,
  image: ImageRecord,
  context: CreateContext,
): ContainerConfig {
  const base: ImageRuntimeConfig = image.config.config ?? {};
  const id = randomBytes(32).toString("hex");
  const name = options.name ?? randomName(one => engine.containers.nameTaken(one));
  const entrypoint =
    options.entrypoint === undefined ? (base.Entrypoint ?? []) : entrypointWords(options.entrypoint);
  const command =
    options.command.length > 0 ? options.command : options.entrypoint === undefined ? (base.Cmd ?? []) : [];
  const args = [...entrypoint, ...command];
  if (args.length === 0)
    throw new UserError("no command or entrypoint provided, and no CMD or ENTRYPOINT from image");
  const stopSignal = signalNumber(options.stopSignal ?? base.StopSignal ?? "SIGTERM");
  if (stopSignal === undefined)
    throw new UserError(`invalid signal: ${options.stopSignal ?? base.StopSignal}`);
  const exposed = [
    ...new Set([...Object.keys(base.ExposedPorts ?? {}), ...(options.expose ?? [])].flatMap(parseExpose)),
  ];
  const ports = [...decided.ports];
  if (options.publishAll)
    for (const one of exposed) {
      const [port, protocol] = one.split("/") as [string, PortMapping["protocol"]];
      if (!ports.some(other => other.containerPort === Number(port) && other.protocol === protocol))
        ports.push({ hostIp: "", hostPort: 0, containerPort: Number(port), protocol, range: 1 });
    }
  const network = decided.network;
  return {
    id,
    name,
    created: Date.now(),
    createCommand: [...(context.commandLine ?? [])],
    imageName: image.names[0] ?? options.image,
    imageId: image.id,
    imageConfig: base,
    layers: engine.images.layerDirectories(image),
    args,
    entrypoint: [...entrypoint],
    command: [...command],
    env: mergeEnvironment(base.Env ?? [], decided.env, options.tty ?? false),
    workdir: options.workdir || base.WorkingDir || "/",
    user: options.user ?? base.User ?? "",
    groupAdd: options.groupAdd ?? [],
    hostname: options.hostname ?? (network.kind === "host" ? hostName() : id.slice(0, 12)),
    tty: options.tty ?? false,
    interactive: options.interactive ?? false,
    labels: { ...(base.Labels ?? {}), ...decided.labels },
    annotations: decided.annotations,
    remove: options.remove ?? false,
    restart: decided.restart,
    stopSignal,
    stopTimeout: options.stopTimeout ?? 10,
    init: options.init ?? false,
    timezone: options.timezone,
    umask: (options.umask ?? "0022").padStart(4, "0"),
    network,
    ports: network.kind === "bridge" ? ports : [],
    exposed,
    staticIp: options.ip,
    staticIp6: options.ip6,
    staticMac: options.macAddress?.toLowerCase().replaceAll("-", ":"),
    aliases: [...(options.networkAlias ?? []), id.slice(0, 12)],
    addHost: options.addHost ?? [],
    noHosts: options.noHosts ?? false,
    dns: options.dns ?? [],
    dnsSearch: options.dnsSearch ?? [],
    dnsOption: options.dnsOption ?? [],
    mounts: completeMounts(decided.mounts, base, options),
    readOnly: options.readOnly ?? false,
    readOnlyTmpfs: options.readOnlyTmpfs ?? true,
    devices: decided.devices,
    limits: limits(options),
    capabilities: decided.capabilities,
    capAdd: options.capAdd ?? [],
    capDrop: options.capDrop ?? [],
    privileged: options.privileged ?? false,
    securityOpt: options.securityOpt ?? [],
    sysctl: decided.sysctl,
    pidMode: options.pidMode ?? "private",
    ipcMode: options.ipcMode ?? "shareable",
    utsMode: options.utsMode ?? (network.kind === "host" ? "host" : "private"),
    cgroupns: options.cgroupns ?? "",
    cgroupParent: options.cgroupParent ?? "",
    logDriver: (options.logDriver as ContainerConfig["logDriver"] | undefined) ?? "k8s-file",
    ...logOptions(options.logOpt ?? [], join(engine.paths.container(id), "ctr.log")),
    health: health(options, base),
  };
}

const hostName = () => readFileSync("/proc/sys/kernel/hostname", "utf8").trim();

function entrypointWords(text: string): string[] {
  if (text === "") return [];
  try {
    const words: unknown = JSON.parse(text);
    if (Array.isArray(words) && words.every(word => typeof word === "string")) return words;
  } catch {
    // Not a list: the name of a program.
  }
  return [text];
}

function mergeEnvironment(base: readonly string[], own: ReadonlyMap<string, string>, tty: boolean): string[] {
  const merged = new Map<string, string>();
  const add = (text: string) => merged.set(text.split("=", 1)[0]!, text.slice(text.indexOf("=") + 1));
  if (tty || !own.has("TERM")) add("TERM=xterm");
  add("container=podman");
  add(DEFAULT_PATH);
  for (const text of base) add(text);
  for (const [key, value] of own) merged.set(key, value);
  return [...merged].map(([key, value]) => `${key}=${value}`);
}

/** Anonymous volumes get names; the image's VOLUMEs join where nothing is mounted yet. */
function completeMounts(
  mounts: readonly VolumeMount[],
  base: ImageRuntimeConfig,
  options: CreateOptions,
): VolumeMount[] {
  const anonymous = () => randomBytes(32).toString("hex");
  const all = mounts.map(one =>
    one.kind === "volume" && one.source === "" ? { ...one, source: anonymous() } : one,
  );
  const mode = options.imageVolume ?? "anonymous";
  if (mode === "ignore") return all;
  for (const destination of Object.keys(base.Volumes ?? {})) {
    const place = destination.replace(/(.)\/+$/, "$1");
    if (all.some(one => one.destination === place)) continue;
    all.push(
      mode === "tmpfs"
        ? { kind: "tmpfs", source: "", destination: place, options: ["exec"], fromImage: true }
        : { kind: "volume", source: anonymous(), destination: place, options: [], fromImage: true },
    );
  }
  return all;
}

function limits(options: CreateOptions): ContainerConfig["limits"] {
  const { memory, memorySwap, memoryReservation, cpus, cpuShares, cpusetCpus, cpusetMems } = options;
  const { pidsLimit, ulimits, shmSize, oomScoreAdj } = options;
  return {
    memory,
    memorySwap,
    memoryReservation,
    cpus,
    cpuShares,
    cpusetCpus,
    cpusetMems,
    pidsLimit,
    ulimits,
    shmSize,
    oomScoreAdj,
  };
}

function logOptions(
  texts: readonly string[],
  path: string,
): { logPath: string; logMaxSize?: number; logTag?: string } {
  const given = pairs(
    texts,
    text => `invalid log option ${JSON.stringify(text)}: must be formatted KEY=VALUE`,
  );
  const size = /^(\d+)([kmg]?)b?$/i.exec(given["max-size"] ?? "");
  if (given["max-size"] !== undefined && !size) throw new UserError(`invalid size: '${given["max-size"]}'`);
  const unit = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[(size?.[2] ?? "").toLowerCase()] ?? 1;
  return {
    logPath: given.path ?? path,
    logMaxSize: size ? Number(size[1]) * unit : undefined,
    logTag: given.tag,
  };
}

const DURATION = /^(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$/;

/** Go's notation (`1m30s`) in milliseconds. */
function duration(flag: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const match = DURATION.exec(text);
  if (!match || text === "")
    throw new UserError(`invalid healthcheck-${flag}: time: invalid duration ${JSON.stringify(text)}`);
  const [, h = 0, m = 0, s = 0, ms = 0] = match;
  return Number(h) * 3_600_000 + Number(m) * 60_000 + Number(s) * 1000 + Number(ms);
}

function health(options: CreateOptions, base: ImageRuntimeConfig): HealthCheck | undefined {
  if (options.noHealthcheck || options.healthCmd === "none") return undefined;
  const own = base.Healthcheck;
  const test = options.healthCmd ? healthWords(options.healthCmd) : own?.Test;
  if (!test?.length || test[0] === "NONE") return undefined;
  const ms = (nanoseconds: number | undefined, fallback: number) =>
    nanoseconds ? nanoseconds / 1e6 : fallback;
  return {
    test,
    interval: duration("interval", options.healthInterval, ms(own?.Interval, 30_000)),
    timeout: duration("timeout", options.healthTimeout, ms(own?.Timeout, 30_000)),
    startPeriod: duration("start-period", options.healthStartPeriod, ms(own?.StartPeriod, 0)),
    retries: options.healthRetries ?? (own?.Retries || 3),
  };
}

function healthWords(text: string): string[] {
  const words = entrypointWords(text);
  if (words.length === 1 && words[0] === text) return ["CMD-SHELL", text];
  return ["CMD", "CMD-SHELL", "NONE"].includes(words[0] ?? "") ? words : ["CMD", ...words];
}
