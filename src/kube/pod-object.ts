/** A Pod object (Kubernetes API, core/v1) of containers that are there. */
import { statSync } from "node:fs";
import type { Container, ContainerConfig, RestartPolicy, VolumeMount } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import { bytesText, cpusText } from "./quantity.ts";

export interface PodParts {
  name: string;
  labels: Readonly<Record<string, string>>;
  /** The container that has the network. */
  holder?: Container;
  containers: readonly Container[];
  sharesPid: boolean;
  /** "" where it is nothing but an id. */
  hostname: string;
}

export function podObject(engine: Engine, parts: PodParts, created: string): object {
  const { name, labels, holder, containers, hostname, sharesPid } = parts;
  const config = holder?.config;
  const volumes = new Map<string, object>();
  const restart = containers[0]!.config.restart;
  const dns = {
    nameservers: filled(config?.dns),
    searches: filled(config?.dnsSearch),
    options: filled(
      config?.dnsOption.map(one => {
        const [option, value] = one.split(":", 2);
        return { name: option, value };
      }),
    ),
  };
  const hosts = config?.addHost.map(one => {
    const colon = one.indexOf(":");
    return { hostnames: [one.slice(0, colon)], ip: one.slice(colon + 1) };
  });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { creationTimestamp: created, labels, name },
    spec: {
      automountServiceAccountToken: false,
      containers: containers.map((one, index) =>
        containerObject(engine, one, index === 0 ? holder : undefined, volumes),
      ),
      dnsConfig: Object.values(dns).some(Boolean) ? dns : undefined,
      enableServiceLinks: false,
      hostAliases: filled(hosts),
      hostIPC: containers.some(one => one.config.ipcMode === "host") || undefined,
      hostNetwork: config?.network.kind === "host" || undefined,
      hostPID: containers.some(one => one.config.pidMode === "host") || undefined,
      hostname: config?.utsMode === "host" ? undefined : hostname || undefined,
      restartPolicy: restartWord(restart),
      shareProcessNamespace: sharesPid || undefined,
      volumes: filled([...volumes.values()]),
    },
    status: {},
  };
}

const filled = <T>(list: readonly T[] | undefined) => (list?.length ? list : undefined);

function restartWord({ name }: RestartPolicy): string {
  if (name === "no") return "Never";
  return name === "on-failure" ? "OnFailure" : "Always";
}

interface PortObject {
  containerPort: number;
  hostIP?: string;
  hostPort?: number;
  /** Undefined for TCP. */
  protocol?: string;
}

/** Each published port by itself. */
export function publishedPorts(holder: Container | undefined): PortObject[] {
  if (!holder) return [];
  const { config, state } = holder;
  const ports = state.ports.length > 0 ? state.ports : config.ports;
  return ports.flatMap(({ hostIp, hostPort, containerPort, protocol, range }) =>
    Array.from({ length: range }, (_, index) => ({
      containerPort: containerPort + index,
      hostIP: hostIp && hostIp !== "0.0.0.0" ? hostIp : undefined,
      hostPort: hostPort ? hostPort + index : undefined,
      protocol: protocol === "tcp" ? undefined : protocol.toUpperCase(),
    })),
  );
}

const same = (a: readonly string[], b: readonly string[] | null | undefined) =>
  a.length === (b?.length ?? 0) && a.every((one, index) => one === b![index]);

/** What it runs, as far as its image does not say the same. */
function commandOf({ entrypoint, command, imageConfig }: ContainerConfig): {
  command?: readonly string[];
  args?: readonly string[];
} {
  const own = !same(entrypoint, imageConfig.Entrypoint);
  if (!own && same(command, imageConfig.Cmd)) return {};
  if (entrypoint.length === 0) return { command };
  return { command: own ? entrypoint : undefined, args: filled(command) };
}

function containerObject(
  engine: Engine,
  { config }: Container,
  holder: Container | undefined,
  volumes: Map<string, object>,
): object {
  const image = new Set(config.imageConfig.Env ?? []);
  const env = config.env
    .filter(one => !image.has(one) && !/^(TERM|PATH|HOSTNAME|HOME|container)=/.test(one))
    .map(one => ({ name: one.slice(0, one.indexOf("=")), value: one.slice(one.indexOf("=") + 1) }));
  const { memory, cpus, memoryReservation } = config.limits;
  const limits = {
    cpu: cpus ? cpusText(cpus) : undefined,
    memory: memory ? bytesText(memory) : undefined,
  };
  const requests = memoryReservation ? { memory: bytesText(memoryReservation) } : undefined;
  const mounts = config.mounts.map(one => mountObject(engine, one, volumes));
  return {
    ...commandOf(config),
    env: filled(env),
    image: config.imageName,
    livenessProbe: probeObject(config),
    name: config.name,
    ports: filled(publishedPorts(holder)),
    resources: { limits: limits.cpu || limits.memory ? limits : undefined, requests },
    securityContext: securityObject(config),
    stdin: config.interactive || undefined,
    tty: config.tty || undefined,
    volumeMounts: filled(mounts),
    workingDir: config.workdir === (config.imageConfig.WorkingDir || "/") ? undefined : config.workdir,
  };
}

function securityObject(config: ContainerConfig): object {
  const [, uid, gid] = /^(\d+)(?::(\d+))?$/.exec(config.user) ?? [];
  const inherited = config.user === (config.imageConfig.User ?? "");
  const capabilities = { add: filled(config.capAdd), drop: filled(config.capDrop) };
  return {
    allowPrivilegeEscalation: config.securityOpt.some(one => /^no-new-privileges([=:]true)?$/.test(one))
      ? false
      : undefined,
    capabilities: !config.privileged && (capabilities.add || capabilities.drop) ? capabilities : undefined,
    privileged: config.privileged || undefined,
    readOnlyRootFilesystem: config.readOnly || undefined,
    runAsGroup: inherited || gid === undefined ? undefined : Number(gid),
    runAsUser: inherited || uid === undefined ? undefined : Number(uid),
  };
}

/** Its health check, unless it is the image's. */
function probeObject({ health, imageConfig }: ContainerConfig): object | undefined {
  if (!health || same(health.test, imageConfig.Healthcheck?.Test)) return undefined;
  const [kind, ...words] = health.test;
  if (kind === "NONE" || words.length === 0) return undefined;
  const seconds = (ms: number) => Math.max(1, Math.round(ms / 1000));
  return {
    exec: { command: kind === "CMD-SHELL" ? ["/bin/sh", "-c", ...words] : words },
    failureThreshold: health.retries,
    initialDelaySeconds: health.startPeriod ? seconds(health.startPeriod) : undefined,
    periodSeconds: seconds(health.interval),
    timeoutSeconds: seconds(health.timeout),
  };
}

/** One mount; its volume joins the pod's, once. */
function mountObject(
  engine: Engine,
  { kind, source, destination, options }: VolumeMount,
  volumes: Map<string, object>,
): object {
  const readOnly = options.includes("ro") || undefined;
  const use = (wanted: string, volume: object) => {
    const text = JSON.stringify(volume);
    let name = wanted;
    // /a/b and /a-b have one name.
    for (let count = 1; ; count++) {
      const other = volumes.get(name);
      if (!other || JSON.stringify({ ...other, name: undefined }) === text) break;
      name = `${wanted}-${count}`;
    }
    volumes.set(name, { name, ...volume });
    return { mountPath: destination, name, readOnly };
  };
  if (kind === "tmpfs") return use(`${slug(destination)}-tmpfs`, { emptyDir: { medium: "Memory" } });
  if (kind === "bind")
    return use(`${slug(source)}-host`, { hostPath: { path: source, type: typeOf(source) } });
  if (engine.volumes.find(source)?.anonymous) return use(`${source.slice(0, 12)}-empty`, { emptyDir: {} });
  return use(`${source}-pvc`, { persistentVolumeClaim: { claimName: source } });
}

/** A path as part of a name. */
const slug = (path: string) => path.replace(/^\/+|\/+$/g, "").replaceAll("/", "-") || "root";

function typeOf(path: string): string {
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts) return "DirectoryOrCreate";
  if (facts.isFile()) return "File";
  return facts.isSocket()
    ? "Socket"
    : facts.isDirectory()
      ? "Directory"
      : facts.isCharacterDevice()
        ? "CharDevice"
        : "BlockDevice";
}
