/** What `info` tells of this machine and this engine, in the shape that Podman 4 gives it. */
import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { VERSION } from "../base/version.ts";
import { knownDriver } from "../image/driver.ts";
import { fuseProgram } from "../image/fuse-overlay.ts";
import { fileSystemOf } from "../sys/file.ts";
import { parseIdMap } from "../sys/user-namespace.ts";
import { decideCapabilities } from "./capabilities.ts";
import { isUnified, managerName } from "./cgroups.ts";
import { statusOf } from "./config.ts";
import { conmonPath } from "./conmon.ts";
import { logSettings } from "./create-limits.ts";
import type { Engine } from "./engine.ts";
import { chooseRuntime } from "./runtime.ts";
import { DEFAULT_PROFILES } from "./seccomp.ts";

const ARCHITECTURES: Record<string, string> = { x64: "amd64" };
/** Magic numbers of statfs(2), with the names that Podman gives the file systems. */
const FILE_SYSTEMS: Record<number, string> = {
  61267: "extfs",
  1481003842: "xfs",
  2435016766: "btrfs",
  16914836: "tmpfs",
  801189825: "zfs",
  2035054128: "overlayfs",
};

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

/** The user namespace's map, in Podman's form; null for root's engine, which has none. */
const idMap = ({ user }: Engine, file: "uid_map" | "gid_map") =>
  user
    ? parseIdMap(read(`/proc/self/${file}`)).map(({ inside, outside, count }) => ({
        container_id: inside,
        host_id: outside,
        size: count,
      }))
    : null;

export async function systemInfo(engine: Engine): Promise<object> {
  const runtime = chooseRuntime(engine);
  const conmon = conmonPath(engine);
  const [packages, conmonVersion, runtimeVersion] = await Promise.all([
    packagesOf([conmon, runtime]),
    output(conmon, "--version"),
    output(runtime, "--version"),
  ]);
  const memory = memoryFacts();
  const arch = ARCHITECTURES[process.arch] ?? process.arch;
  return {
    host: {
      arch,
      cgroupManager: managerName(engine),
      cgroupVersion: isUnified() ? "v2" : "v1",
      cgroupControllers: controllers(),
      conmon: { package: packages[0], path: conmon, version: conmonVersion.split("\n")[0] },
      cpus: navigator.hardwareConcurrency,
      cpuUtilization: cpuUtilization(),
      distribution: distribution(),
      eventLogger: "sqlite",
      hostname: read("/proc/sys/kernel/hostname").trim(),
      idMappings: { gidmap: idMap(engine, "gid_map"), uidmap: idMap(engine, "uid_map") },
      kernel: read("/proc/sys/kernel/osrelease").trim(),
      linkmode: "dynamic",
      logDriver: logSettings(engine, {}).logDriver,
      ...memory,
      networkBackend: "cni",
      ociRuntime: {
        name: basename(runtime),
        package: packages[1],
        path: runtime,
        version: runtimeVersion,
      },
      os: "linux",
      security: {
        apparmorEnabled: read("/sys/module/apparmor/parameters/enabled").startsWith("Y"),
        capabilities: decideCapabilities({}, engine.conf.containers.default_capabilities).join(","),
        rootless: engine.user !== undefined,
        seccompEnabled: read("/proc/self/status").includes("\nSeccomp:"),
        seccompProfilePath: engine.conf.containers.seccomp_profile ?? DEFAULT_PROFILES.find(existsSync) ?? "",
        selinuxEnabled: existsSync("/sys/fs/selinux/enforce"),
      },
      serviceIsRemote: false,
      uptime: uptime(Number(read("/proc/uptime").split(" ")[0])),
    },
    store: storeInfo(engine),
    registries: {},
    plugins: {
      volume: ["local"],
      network: ["bridge"],
      log: ["k8s-file", "json-file", "none"],
      authorization: null,
    },
    version: {
      APIVersion: VERSION,
      Version: VERSION,
      GoVersion: `bun${Bun.version}`,
      GitCommit: "",
      Os: "linux",
      OsArch: `linux/${arch}`,
    },
  };
}

function storeInfo(engine: Engine): object {
  const { paths } = engine;
  const statuses = engine.containers.list().map(statusOf);
  const running = statuses.filter(status => status === "running").length;
  const paused = statuses.filter(status => status === "paused").length;
  const disk = fileSystemOf(paths.root);
  const driver = knownDriver(paths);
  return {
    containerStore: {
      number: statuses.length,
      paused,
      running,
      stopped: statuses.length - running - paused,
    },
    graphDriverName: driver === "vfs" ? "vfs" : "overlay",
    graphOptions:
      driver === "fuse-overlayfs" ? { "overlay.mount_program": { Executable: fuseProgram() ?? "" } } : {},
    graphRoot: paths.root,
    graphRootAllocated: disk.blocks * disk.blockSize,
    graphRootUsed: (disk.blocks - disk.free) * disk.blockSize,
    graphStatus: {
      "Backing Filesystem": FILE_SYSTEMS[disk.type] ?? `0x${disk.type.toString(16)}`,
      "Supports d_type": "true",
    },
    imageStore: { number: engine.images.list().length },
    runRoot: paths.runRoot,
    stateDatabase: paths.database,
    volumePath: paths.volumes,
  };
}

async function output(...words: string[]): Promise<string> {
  const child = Bun.spawn(words, { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  return (await child.stdout.text()).trim();
}

/** The Debian packages, `name_version_arch`, that the programs are from; `Unknown` elsewhere. */
async function packagesOf(programs: readonly string[]): Promise<string[]> {
  if (!existsSync("/usr/bin/dpkg-query")) return programs.map(() => "Unknown");
  // On a merged /usr the package may have listed the program under the other name.
  return Promise.all(
    programs.map(async program => {
      const other = program.startsWith("/usr/") ? program.slice("/usr".length) : join("/usr", program);
      const owners = await output("dpkg-query", "-S", program, other);
      const owner = /^([^:\s]+)[^\n]*: \//m.exec(owners)?.[1];
      if (!owner) return "Unknown";
      // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own notation
      return output("dpkg-query", "-W", "-f", "${Package}_${Version}_${Architecture}", owner);
    }),
  );
}

/** Version 2 lists its controllers; of version 1 those count that this process has a group in. */
function controllers(): string[] {
  const unified = read("/sys/fs/cgroup/cgroup.controllers").trim();
  if (unified) return unified.split(" ");
  return read("/proc/self/cgroup")
    .trim()
    .split("\n")
    .flatMap(line => line.split(":")[1]?.split(",") ?? [])
    .filter(name => name !== "" && !name.startsWith("name="))
    .reverse();
}

/** Since boot, in per cent with two digits (proc(5), /proc/stat). */
function cpuUtilization(): object {
  const [user = 0, nice = 0, system = 0, idle = 0, ...rest] = (read("/proc/stat").split("\n")[0] ?? "")
    .trim()
    .split(/\s+/)
    .slice(1, 9)
    .map(Number);
  const all = [user, nice, system, idle, ...rest].reduce((sum, one) => sum + one, 0) || 1;
  const share = (value: number) => Math.round((value / all) * 10_000) / 100;
  return {
    userPercent: share(user + nice),
    systemPercent: share(system),
    idlePercent: share(all - user - nice - system),
  };
}

function distribution(): object {
  const facts = Object.fromEntries(
    (read("/etc/os-release") || read("/usr/lib/os-release")).split("\n").flatMap(line => {
      const match = /^([A-Z_]+)=(?:"(.*)"|(.*))$/.exec(line);
      return match ? [[match[1], match[2] ?? match[3] ?? ""]] : [];
    }),
  );
  return {
    distribution: facts.ID ?? "unknown",
    version: facts.VERSION_ID ?? "unknown",
    ...(facts.VARIANT_ID ? { variant: facts.VARIANT_ID } : {}),
    ...(facts.VERSION_CODENAME ? { codename: facts.VERSION_CODENAME } : {}),
  };
}

/** Bytes (proc(5), /proc/meminfo). */
function memoryFacts(): Record<"memFree" | "memTotal" | "swapFree" | "swapTotal", number> {
  const text = read("/proc/meminfo");
  const field = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024;
  return {
    memFree: field("MemFree"),
    memTotal: field("MemTotal"),
    swapFree: field("SwapFree"),
    swapTotal: field("SwapTotal"),
  };
}

/** `3h 29m 9.00s (Approximately 0.12 days)`. */
export function uptime(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = `${(Math.floor(seconds) % 60).toFixed(2)}s`;
  const clock = hours > 0 ? `${hours}h ${minutes}m ${rest}` : minutes > 0 ? `${minutes}m ${rest}` : rest;
  return `${clock} (Approximately ${(hours / 24).toFixed(2)} days)`;
}
