/** The flags that `run` and `create` share, and how they become `CreateOptions`. */
import { UserError } from "../base/errors.ts";
import { createContainer } from "../container/create.ts";
import type { CreateOptions } from "../container/create-options.ts";
import { parseUlimits } from "../container/ulimits.ts";
import type { Flag, FlagKind, Values } from "./flags.ts";
import { parseSize } from "./format/human.ts";
import { readPodId } from "./pod-select.ts";

const flag = (long: string, kind: FlagKind, help: string, more: Partial<Flag> = {}): Flag => ({
  long,
  kind,
  help,
  ...more,
});

export const CREATE_FLAGS: readonly Flag[] = [
  flag("add-host", "array", "Add a custom host-to-IP mapping (host:ip)"),
  flag("annotation", "array", "Add annotations to container (key=value)"),
  flag("arch", "string", "Architecture of the image, instead of this machine's"),
  flag("authfile", "string", "Path of the authentication file", { complete: "file" }),
  flag("cap-add", "slice", "Add capabilities to the container", { complete: "capability" }),
  flag("cap-drop", "slice", "Drop capabilities from the container", { complete: "capability" }),
  flag("cgroup-parent", "string", "Optional parent cgroup for the container"),
  flag("cgroupns", "string", "cgroup namespace to use", { complete: "namespace" }),
  flag("cidfile", "string", "Write the container ID to the file", { complete: "file" }),
  flag("cpu-shares", "int", "CPU shares (relative weight)", { short: "c" }),
  flag("cpus", "float", "Number of CPUs"),
  flag("cpuset-cpus", "string", "CPUs in which to allow execution (0-3, 0,1)"),
  flag("cpuset-mems", "string", "Memory nodes in which to allow execution (0-3, 0,1)"),
  flag("device", "slice", "Add a host device to the container", { complete: "file" }),
  flag("dns", "slice", "Set custom DNS servers"),
  flag("dns-option", "slice", "Set custom DNS options", { aliases: ["dns-opt"] }),
  flag("dns-search", "slice", "Set custom DNS search domains"),
  flag("entrypoint", "string", "Overwrite the default ENTRYPOINT of the image"),
  flag("env", "array", "Set environment variables in container", { short: "e" }),
  flag("env-file", "slice", "Read in a file of environment variables", { complete: "file" }),
  flag("env-host", "bool", "Use all current host environment variables in container"),
  flag("expose", "slice", "Expose a port or a range of ports"),
  flag("gidmap", "slice", "GID map to use for the user namespace (container:from:amount)"),
  flag("group-add", "slice", "Add additional groups to the primary container process"),
  flag("health-cmd", "string", "Set a healthcheck command for the container ('none' disables it)"),
  flag("health-interval", "string", "Set an interval for the healthchecks"),
  flag("health-retries", "int", "Number of failures before the container counts as unhealthy"),
  flag("health-start-period", "string", "Time the container may take to start"),
  flag("health-timeout", "string", "Maximum time for one healthcheck"),
  flag("hostname", "string", "Set container hostname", { short: "h" }),
  flag("http-proxy", "bool", "Set proxy environment variables in the container based on the host's"),
  flag(
    "image-volume",
    "string",
    'What to do with the image\'s volumes ("anonymous"|"bind"|"tmpfs"|"ignore")',
  ),
  flag("init", "bool", "Run an init binary inside the container that forwards signals and reaps processes"),
  flag("interactive", "bool", "Keep STDIN open even if not attached", { short: "i" }),
  flag("ip", "string", "Specify a static IPv4 address for the container"),
  flag("ip6", "string", "Specify a static IPv6 address for the container"),
  flag("ipc", "string", "IPC namespace to use", { complete: "namespace" }),
  flag("label", "array", "Set metadata on container", { short: "l" }),
  flag("label-file", "slice", "Read in a line delimited file of labels", { complete: "file" }),
  flag("log-driver", "string", 'Logging driver for the container ("k8s-file"|"json-file"|"none")'),
  flag("log-opt", "slice", "Logging driver options"),
  flag("mac-address", "string", "Container MAC address (e.g. 92:d0:c6:0a:29:33)"),
  flag("memory", "string", "Memory limit (a number and a unit: b, k, m, g)", {
    short: "m",
    metavar: "<number>[<unit>]",
  }),
  flag("memory-reservation", "string", "Memory soft limit", { metavar: "<number>[<unit>]" }),
  flag("memory-swap", "string", "Swap limit equal to memory plus swap: '-1' for no limit"),
  flag("mount", "array", "Attach a filesystem mount to the container"),
  flag("name", "string", "Assign a name to the container"),
  flag("network", "array", "Connect a container to a network", {
    aliases: ["net"],
    complete: "network-mode",
  }),
  flag("network-alias", "slice", "Add network-scoped alias for the container", { aliases: ["net-alias"] }),
  flag("no-healthcheck", "bool", "Disable healthchecks on container"),
  flag("no-hosts", "bool", "Do not create /etc/hosts within the container"),
  flag("oom-score-adj", "int", "Tune the host's OOM preferences (-1000 to 1000)"),
  flag("os", "string", "Operating system of the image, instead of this machine's"),
  flag("pid", "string", "PID namespace to use", { complete: "namespace" }),
  flag("pids-limit", "int", "Tune container pids limit (-1 for unlimited)"),
  flag("platform", "string", "Platform of the image (os/arch[/variant])"),
  flag("pod", "string", "Run the container in a pod that is there, or a new one (new:NAME)", {
    complete: "pod",
  }),
  flag("pod-id-file", "string", "Read the pod ID from the file", { complete: "file" }),
  flag("privileged", "bool", "Give extended privileges to container"),
  flag("publish", "slice", "Publish a container's port, or a range of ports, to the host", { short: "p" }),
  flag("publish-all", "bool", "Publish all exposed ports to random ports on the host", { short: "P" }),
  flag("pull", "string", 'Pull image policy ("always"|"missing"|"never"|"newer")'),
  flag("quiet", "bool", "Suppress output information when pulling images", { short: "q" }),
  flag("read-only", "bool", "Make containers root filesystem read-only"),
  flag("read-only-tmpfs", "bool", "In read-only mode mount a writable tmpfs on /run, /tmp and /var/tmp"),
  flag("replace", "bool", "If a container with the same name exists, replace it"),
  flag("restart", "string", 'Restart policy ("always"|"no"|"on-failure"|"unless-stopped")'),
  flag("rm", "bool", "Remove container after exit"),
  flag("security-opt", "array", "Security options"),
  flag("shm-size", "string", "Size of /dev/shm", { metavar: "<number>[<unit>]" }),
  flag("stop-signal", "string", "Signal to stop a container. Default is SIGTERM", { complete: "signal" }),
  flag("systemd", "string", 'Run container in systemd mode ("true"|"false"|"always")'),
  flag("timeout", "int", "Seconds that a container may run until it is killed"),
  flag("stop-timeout", "int", "Seconds that containers stopped by user command have before they are killed"),
  flag("subgidname", "string", "Name of range listed in /etc/subgid for use in user namespace"),
  flag("subuidname", "string", "Name of range listed in /etc/subuid for use in user namespace"),
  flag("sysctl", "slice", "Sysctl options"),
  flag("tls-verify", "bool", "Require HTTPS and verify certificates when contacting registries"),
  flag("tmpfs", "array", "Mount a temporary filesystem into a container"),
  flag("tty", "bool", "Allocate a pseudo-TTY for container", { short: "t" }),
  flag("tz", "string", "Set timezone in container"),
  flag("uidmap", "slice", "UID map to use for the user namespace (container:from:amount)"),
  flag("ulimit", "slice", "Ulimit options"),
  flag("umask", "string", "Set umask in container"),
  flag("unsetenv", "array", "Unset environment variables that the image or the defaults set"),
  flag("unsetenv-all", "bool", "Unset all environment variables that the image or the defaults set"),
  flag("user", "string", "Username or UID (format: <name|uid>[:<group|gid>])", { short: "u" }),
  flag("userns", "string", "User namespace to use", { complete: "userns" }),
  flag("uts", "string", "UTS namespace to use", { complete: "namespace" }),
  flag("volume", "array", "Bind mount a volume into the container", { short: "v", complete: "mount" }),
  flag("volumes-from", "array", "Mount volumes from the specified container(s)", { complete: "container" }),
  flag("workdir", "string", "Working directory inside the container", { short: "w" }),
];

/** Bytes that a flag asks for; -1 for no limit. Throws UserError. */
export function size(values: Values, name: string): number | undefined {
  const text = values.string(name);
  if (text === undefined) return undefined;
  if (text === "-1") return -1;
  const bytes = parseSize(text);
  if (bytes === undefined) {
    const what = name === "shm-size" ? "unable to translate --shm-size" : `invalid value for ${name}`;
    throw new UserError(`${what}: invalid size: '${text}'`);
  }
  return bytes;
}

function choice<T extends string>(values: Values, name: string, allowed: readonly T[]): T | undefined {
  const text = values.string(name);
  if (text !== undefined && !allowed.includes(text as T))
    throw new UserError(`invalid ${name} ${JSON.stringify(text)}: choose one of ${allowed.join(", ")}`);
  return text as T | undefined;
}

function pullPolicy(values: Values): CreateOptions["pull"] {
  const text = values.string("pull");
  const policy = (["always", "missing", "never", "newer"] as const).find(one => one === text);
  if (text !== undefined && !policy) throw new UserError(`unsupported pull policy ${JSON.stringify(text)}`);
  return policy;
}

function platformOf(values: Values): string | undefined {
  const [arch, os] = [values.string("arch"), values.string("os")];
  if (arch === undefined && os === undefined) return values.string("platform");
  if (values.has("platform"))
    throw new UserError("--platform option can not be specified with --arch or --os");
  return `${os ?? "linux"}/${arch ?? (process.arch === "x64" ? "amd64" : process.arch)}`;
}

/** The pod that a container is to be in: its name or id, or `new:NAME`. */
export function podOf(values: Values): string | undefined {
  const pod = values.string("pod");
  const file = values.string("pod-id-file");
  if (pod && file) throw new UserError("cannot specify both --pod and --pod-id-file");
  return file ? readPodId(file) : pod || undefined;
}

/** What the flags and arguments of `run` or `create` ask for. `args` is `[IMAGE, COMMAND...]`. */
export function createOptions(values: Values, args: readonly string[]): CreateOptions {
  const list = (name: string) => (values.has(name) ? values.list(name) : undefined);
  return {
    image: args[0]!,
    command: args.slice(1),
    name: values.string("name"),
    replace: values.bool("replace"),
    pull: pullPolicy(values),
    platform: platformOf(values),
    quietPull: values.bool("quiet"),
    authFile: values.string("authfile"),
    tlsVerify: values.optionalBool("tls-verify"),
    tty: values.bool("tty"),
    interactive: values.bool("interactive"),
    env: list("env"),
    envFiles: list("env-file"),
    unsetEnv: values.bool("unsetenv-all") ? "all" : list("unsetenv"),
    envHost: values.optionalBool("env-host"),
    httpProxy: values.optionalBool("http-proxy"),
    entrypoint: values.string("entrypoint"),
    workdir: values.string("workdir"),
    user: values.string("user"),
    groupAdd: list("group-add"),
    hostname: values.string("hostname"),
    labels: list("label"),
    labelFiles: list("label-file"),
    annotations: list("annotation"),
    remove: values.bool("rm"),
    restart: values.string("restart"),
    stopSignal: values.string("stop-signal"),
    stopTimeout: values.number("stop-timeout"),
    timeout: values.number("timeout"),
    systemd: values.string("systemd"),
    init: values.optionalBool("init"),
    cidFile: values.string("cidfile"),
    timezone: values.string("tz"),
    umask: values.string("umask"),
    network: list("network"),
    publish: list("publish"),
    publishAll: values.bool("publish-all"),
    expose: list("expose"),
    ip: values.string("ip"),
    ip6: values.string("ip6"),
    macAddress: values.string("mac-address"),
    networkAlias: list("network-alias"),
    addHost: list("add-host"),
    noHosts: values.optionalBool("no-hosts"),
    dns: list("dns"),
    dnsSearch: list("dns-search"),
    dnsOption: list("dns-option"),
    volumes: list("volume"),
    mounts: list("mount"),
    tmpfs: list("tmpfs"),
    volumesFrom: list("volumes-from"),
    imageVolume: choice(values, "image-volume", ["anonymous", "bind", "tmpfs", "ignore"]),
    readOnly: values.optionalBool("read-only"),
    readOnlyTmpfs: values.optionalBool("read-only-tmpfs"),
    devices: list("device"),
    capAdd: list("cap-add"),
    capDrop: list("cap-drop"),
    privileged: values.bool("privileged"),
    securityOpt: list("security-opt"),
    sysctl: list("sysctl"),
    pidMode: values.string("pid"),
    ipcMode: values.string("ipc"),
    utsMode: values.string("uts"),
    cgroupns: values.string("cgroupns"),
    userns: values.string("userns"),
    uidMap: list("uidmap"),
    gidMap: list("gidmap"),
    subuidName: values.string("subuidname"),
    subgidName: values.string("subgidname"),
    cgroupParent: values.string("cgroup-parent"),
    logDriver: values.string("log-driver"),
    logOpt: list("log-opt"),
    healthCmd: values.string("health-cmd"),
    healthInterval: values.string("health-interval"),
    healthTimeout: values.string("health-timeout"),
    healthStartPeriod: values.string("health-start-period"),
    healthRetries: values.number("health-retries"),
    noHealthcheck: values.bool("no-healthcheck"),
    memory: size(values, "memory"),
    memorySwap: size(values, "memory-swap"),
    memoryReservation: size(values, "memory-reservation"),
    shmSize: size(values, "shm-size"),
    cpus: values.number("cpus"),
    cpuShares: values.number("cpu-shares"),
    cpusetCpus: values.string("cpuset-cpus"),
    cpusetMems: values.string("cpuset-mems"),
    pidsLimit: values.number("pids-limit"),
    oomScoreAdj: values.number("oom-score-adj"),
    ulimits: values.has("ulimit") ? parseUlimits(values.list("ulimit")) : undefined,
  };
}

/** What makes the container: with `--pod new:NAME`, its pod first. */
export async function maker({ pod }: CreateOptions): Promise<typeof createContainer> {
  return pod?.startsWith("new:") ? (await import("../pod/new.ts")).createInPod : createContainer;
}
