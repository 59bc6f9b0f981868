/** Deciding what a container is: options, image and defaults come together; whatever is wrong is said before anything is made. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { nameMeant } from "../image/reference.ts";
import type { ImageRecord, ImageRuntimeConfig } from "../image/types.ts";
import { signalNumber } from "../sys/process.ts";
import { insertWithIds } from "./auto-ids.ts";
import { decideCapabilities, normalized } from "./capabilities.ts";
import { recordContainerEvent } from "./cleanup.ts";
import {
  type Container,
  type ContainerConfig,
  type InfraRole,
  type NetworkMode,
  newState,
  type PortMapping,
  publishes,
  type RestartPolicy,
  type VolumeMount,
} from "./config.ts";
import { environment, labels, mergeEnvironment, pairs } from "./create-environment.ts";
import { commandWords, health } from "./create-health.ts";
import { resolveImage } from "./create-image.ts";
import { HALT, initProgram, restartPolicy, systemdMode } from "./create-lifecycle.ts";
import { type LogSettings, limits, logSettings } from "./create-limits.ts";
import { askedMounts, completeMounts } from "./create-mounts.ts";
import { type NamespaceModes, namespaceModes, sharedContainer, sysctls } from "./create-namespaces.ts";
import { checkAddresses, networkMode, portsOf } from "./create-network.ts";
import type { CreateOptions } from "./create-options.ts";
import { type Membership, membership, PAUSE_IMAGE, podModes, podNetwork, withPod } from "./create-pod.ts";
import { apparmorProfile, checkSecurityOption, securityValue } from "./create-security.ts";
import { type UserNamespace, userNamespace } from "./create-userns.ts";
import { parseDevice } from "./devices.ts";
import type { Engine } from "./engine.ts";
import { checkName, randomId, randomName } from "./names.ts";
import { parseExpose, parsePublished } from "./parse-ports.ts";
import type { PodConfig } from "./pod-store.ts";
import { zoneFile } from "./timezone.ts";

export interface CreateContext {
  /** Gets an image that is not in the store; absent where pulling can't be done. */
  pull?: (name: string, options: CreateOptions) => Promise<ImageRecord>;
  /** The command line, for `inspect`. */
  commandLine?: readonly string[];
  /** Told what was asked for and is not done. */
  warn?: (text: string) => void;
  /** Told of the container that `--replace` removed. */
  replaced?: (container: Container) => void;
  /**
   * Starts it under the same lock (`startLocked`), for `run`: a command killed between the two leaves no container that
   * nobody asked for. If it throws, a container with `--rm` is removed.
   */
  start?: (container: Container) => Promise<void>;
  /** It is to be the infra container of this pod, whose row is there; without an image where none is given. */
  infra?: { pod: PodConfig; role: InfraRole; id: string; hasImage: boolean };
}

/** Makes a container, ready to be started. */
export async function createContainer(
  engine: Engine,
  options: CreateOptions,
  context: CreateContext = {},
): Promise<Container> {
  if (options.name) checkName(options.name, "running container create option: ");
  if (options.cidFile && existsSync(options.cidFile))
    throw new UserError(
      `container id file exists. Ensure another container is not using it or delete ${options.cidFile}`,
    );
  const pod = membership(engine, options);
  const decided = decide(engine, pod ? withPod(options, pod) : options, pod);
  const { infra } = context;
  const image = infra && !infra.hasImage ? PAUSE_IMAGE : await resolveImage(engine, options, context);
  if (engine.user && image !== PAUSE_IMAGE) await engine.images.renew(image);
  if (options.replace && !options.name)
    throw new UserError("cannot replace container without --name being set");
  const old = options.replace ? engine.containers.find(options.name!) : undefined;
  if (old && old.config.name === options.name) {
    const { removeContainer } = await import("./remove.ts");
    await removeContainer(engine, old.config.id, { force: true });
    context.replaced?.(old);
  }
  const config = complete(engine, pod ? withPod(options, pod) : options, decided, image, context, pod);
  return make(engine, config, options, decided.userns, context.start);
}

/** Writes the row, then makes what it tells of. */
async function make(
  engine: Engine,
  config: ContainerConfig,
  options: CreateOptions,
  userns: UserNamespace,
  start: CreateContext["start"],
): Promise<Container> {
  const state = newState();
  state.anonymousVolumes = config.mounts.flatMap(one =>
    one.kind === "volume" &&
    (engine.volumes.find(one.source)?.anonymous ||
      (/^[0-9a-f]{64}$/.test(one.source) && !isNamed(options, one.source)))
      ? [one.source]
      : [],
  );
  const container: Container = { config, phase: "creating", state };
  const held = engine.containers.lock(config.id);
  try {
    insertWithIds(engine, container, userns.autoIds);
    try {
      mkdirSync(engine.paths.container(config.id), { recursive: true, mode: 0o700 });
      if (config.infra?.pause) mkdirSync(emptyLayer(engine, config.id));
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
  umask: string;
  timezone?: string;
  modes: NamespaceModes;
  userns: UserNamespace;
  initPath?: string;
  limits: ContainerConfig["limits"];
  log: LogSettings;
}

function decide(engine: Engine, options: CreateOptions, pod: Membership | undefined): Decided {
  const conf = engine.conf.containers;
  const network =
    (pod && podNetwork(pod, options)) ??
    networkMode(engine, options.network ?? (conf.netns ? [conf.netns] : []), options);
  const restart = restartPolicy(options.restart);
  if (options.remove && restart.name !== "no")
    throw new UserError(
      'the --rm option conflicts with --restart, when the restartPolicy is not "" and "no"',
    );
  checkAddresses(options, network);
  for (const one of options.securityOpt ?? []) checkSecurityOption(one);
  const umask = options.umask ?? conf.umask ?? "0022";
  if (!/^0?[0-7]{1,3}$/.test(umask))
    throw new UserError(`running container create option: invalid umask string ${umask}: invalid argument`);
  const timezone = options.timezone || conf.tz || undefined;
  if (timezone) zoneFile(timezone);
  if (
    options.memory &&
    options.memorySwap !== undefined &&
    options.memorySwap > 0 &&
    options.memorySwap < options.memory
  )
    throw new UserError("minimum memoryswap limit should be larger than memory limit, see usage");
  const modes = namespaceModes(engine, pod ? podModes(pod, options) : options, network);
  return {
    network,
    restart,
    umask: umask.padStart(4, "0"),
    timezone,
    modes,
    userns: userNamespace(engine, options),
    ports: [...parsePublished(options.publish ?? []), ...portsOf(network)],
    mounts: askedMounts(engine, options),
    env: environment(options, conf),
    labels: labels(options),
    annotations: pairs(
      [...(conf.annotations ?? []), ...(options.annotations ?? [])],
      () => "annotations must be formatted KEY=VALUE",
    ),
    // The infra container's network is as good as a container's own.
    sysctl: sysctls(
      engine,
      options,
      pod?.infra && network.kind === "container" ? pod.infra.config.network : network,
      modes,
    ),
    capabilities: decideCapabilities(options, conf.default_capabilities),
    devices: [...(conf.devices ?? []), ...(options.devices ?? [])].flatMap(parseDevice),
    initPath: (options.init ?? conf.init) ? initProgram(conf.init_path) : undefined,
    limits: limits(engine, options),
    log: logSettings(engine, options),
  };
}

/** Everything together. */
function complete(
  engine: Engine,
  options: CreateOptions,
  decided: Decided,
  image: ImageRecord,
  context: CreateContext,
  pod: Membership | undefined,
): ContainerConfig {
  const conf = engine.conf.containers;
  const base: ImageRuntimeConfig = image.config.config ?? {};
  const { infra } = context;
  const id = infra?.id ?? randomId();
  const name = options.name || randomName(one => engine.containers.nameTaken(one));
  const entrypoint =
    options.entrypoint === undefined ? (base.Entrypoint ?? []) : commandWords(options.entrypoint);
  const command =
    options.command.length > 0 ? options.command : options.entrypoint === undefined ? (base.Cmd ?? []) : [];
  const args = [...entrypoint, ...command];
  if (args.length === 0)
    throw new UserError("no command or entrypoint provided, and no CMD or ENTRYPOINT from image");
  const systemd = systemdMode(options.systemd, args);
  const stopSignal = signalNumber(options.stopSignal ?? base.StopSignal ?? (systemd ? HALT : "SIGTERM"));
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
  const { network } = decided;
  const { usernsMode, ids, keepId } = decided.userns;
  if (network.kind === "bridge") for (const join of network.networks) join.aliases.push(id.slice(0, 12));
  if (!publishes(network) && ports.length > 0) {
    ports.length = 0;
    context.warn?.(
      "Port mappings have been discarded as one of the Host, Container, Pod, and None network modes are in use",
    );
  }
  return {
    id,
    name,
    pod: infra?.pod.id ?? pod?.pod.config.id,
    infra: infra?.role,
    created: Date.now(),
    createCommand: [...(context.commandLine ?? [])],
    imageName:
      (image !== PAUSE_IMAGE && nameMeant(image, options.image)) || (image.names[0] ?? options.image),
    imageId: image.id,
    imageConfig: base,
    layers: image === PAUSE_IMAGE ? [emptyLayer(engine, id)] : engine.images.layerDirectories(image),
    storageDriver: engine.storageDriver,
    args,
    entrypoint: [...entrypoint],
    command: [...command],
    env: mergeEnvironment(base.Env ?? [], decided.env, conf.env, options.unsetEnv),
    workdir: options.workdir || base.WorkingDir || "/",
    user: (options.user ?? (keepId ? `${keepId.uid}:${keepId.gid}` : base.User)) || "",
    groupAdd: options.groupAdd ?? [],
    hostname: options.hostname || (inheritedName(engine, decided.modes.utsMode) ?? id.slice(0, 12)),
    tty: options.tty ?? false,
    interactive: options.interactive ?? false,
    labels: { ...(base.Labels ?? {}), ...decided.labels },
    annotations: decided.annotations,
    remove: options.remove ?? false,
    cidFile: options.cidFile,
    restart: decided.restart,
    stopSignal,
    timeout: options.timeout || undefined,
    systemd: systemd || undefined,
    stopTimeout: options.stopTimeout ?? engine.conf.engine.stop_timeout ?? 10,
    initPath: decided.initPath,
    timezone: decided.timezone,
    umask: decided.umask,
    network,
    ports,
    publishAll: options.publishAll,
    exposed,
    addHost: options.addHost ?? [],
    noHosts: options.noHosts || (conf.no_hosts ?? false),
    dns: options.dns ?? conf.dns_servers ?? [],
    dnsSearch: options.dnsSearch ?? conf.dns_searches ?? [],
    dnsOption: options.dnsOption ?? conf.dns_options ?? [],
    mounts: completeMounts(decided.mounts, base, options.imageVolume ?? engine.conf.engine.image_volume_mode),
    volumesFrom: options.volumesFrom,
    readOnly: options.readOnly ?? engine.conf.containers.read_only ?? false,
    readOnlyTmpfs: options.readOnlyTmpfs ?? true,
    devices: decided.devices,
    limits: decided.limits,
    capabilities: decided.capabilities,
    capAdd: normalized(options.capAdd ?? []),
    capDrop: normalized(options.capDrop ?? []),
    privileged: options.privileged ?? false,
    securityOpt: options.securityOpt ?? [],
    seccompProfile: securityValue(options, "seccomp") ?? conf.seccomp_profile,
    apparmorProfile: apparmorProfile(options, conf.apparmor_profile),
    sysctl: decided.sysctl,
    ...decided.modes,
    usernsMode,
    ids,
    keepId,
    cgroupParent: options.cgroupParent ?? infra?.pod.cgroup ?? pod?.pod.config.cgroup ?? "",
    ...decided.log,
    logPath: decided.log.logPath ?? join(engine.paths.container(id), "ctr.log"),
    health: health(options, base),
  };
}

/** What the root of an infra container without an image lies on. */
const emptyLayer = ({ paths }: Engine, id: string) => join(paths.container(id), "empty");

/** The name that a shared UTS namespace has. */
function inheritedName(engine: Engine, utsMode: string): string | undefined {
  if (utsMode === "host") return readFileSync("/proc/sys/kernel/hostname", "utf8").trim();
  if (!utsMode.startsWith("container:")) return undefined;
  return sharedContainer(engine, "uts", utsMode.slice("container:".length)).config.hostname;
}
