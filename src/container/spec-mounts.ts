/** What is mounted into a container besides its root (runtime-spec, config.md, "Mounts"). */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeAccounts } from "./accounts.ts";
import type { Container, ContainerConfig, VolumeMount } from "./config.ts";
import { containerEnv } from "./container-env.ts";
import { SYSTEMD_TMPFS } from "./create-lifecycle.ts";
import type { Engine } from "./engine.ts";
import { hasResolver } from "./resolv.ts";
import { type SpecMount, systemMounts } from "./system-mounts.ts";
import { copyZone } from "./timezone.ts";
import type { UserIds } from "./user.ts";

/** Where the program of `--init` lies in the container. */
export const INIT = "/run/podman-init";

/** Where the program lies that sleeps in an infra container without an image. */
export const PAUSE = "/catatonit";

/** The files of the run directory that a container sees. */
export const OWN_FILES = [
  "hosts",
  "resolv.conf",
  "hostname",
  ".containerenv",
  "passwd",
  "group",
  "localtime",
] as const;

/** What can be written to in a read-only container. */
export const READ_ONLY_TMPFS = ["/run", "/tmp", "/var/tmp"];

/** All of them, in the order in which they are made. Writes the files that are bound from the run directory. */
export function specMounts(engine: Engine, container: Container, rootfs: string, user: UserIds): SpecMount[] {
  const { config } = container;
  const run = engine.paths.containerRun(config.id);
  const list = systemMounts(engine, config);
  const bind = (destination: string, source: string, ...options: string[]) =>
    list.push({ destination, type: "bind", source, options: ["bind", "rprivate", ...options] });
  const memory = sharedMemory(engine, config);
  if (memory) bind("/dev/shm", memory, "nosuid", "noexec", "nodev");
  writeFileSync(join(run, "hostname"), `${config.hostname}\n`);
  writeFileSync(join(run, ".containerenv"), containerEnv(config));
  // Whoever shares another container's network also shares what that one knows of it.
  const net = config.network.kind === "container" ? engine.paths.containerRun(config.network.id) : run;
  const own: [string, string][] = [
    ["/etc/hostname", join(run, "hostname")],
    ["/run/.containerenv", join(run, ".containerenv")],
  ];
  if (!config.noHosts) own.push(["/etc/hosts", join(net, "hosts")]);
  if (hasResolver(config)) own.push(["/etc/resolv.conf", join(net, "resolv.conf")]);
  own.push(...writeAccounts(rootfs, run, config, user));
  if (config.timezone) {
    copyZone(config.timezone, join(run, "localtime"));
    own.push(["/etc/localtime", join(run, "localtime")]);
  }
  const taken = new Set(config.mounts.map(one => one.destination));
  const sealed = config.readOnly ? ["ro", "nosuid", "noexec", "nodev"] : [];
  for (const [destination, source] of own) if (!taken.has(destination)) bind(destination, source, ...sealed);
  if (config.readOnly && config.readOnlyTmpfs)
    for (const destination of READ_ONLY_TMPFS)
      if (!taken.has(destination))
        list.push({
          destination,
          type: "tmpfs",
          source: "tmpfs",
          options: ["rw", "rprivate", "nosuid", "nodev", "tmpcopyup"],
        });
  if (config.systemd)
    for (const destination of SYSTEMD_TMPFS)
      if (!taken.has(destination) && !list.some(one => one.destination === destination))
        list.push({
          destination,
          type: "tmpfs",
          source: "tmpfs",
          options: ["rprivate", "nosuid", "nodev", "tmpcopyup"],
        });
  for (const mount of config.mounts) list.push(userMount(engine, mount, user));
  if (config.initPath) bind(INIT, config.initPath, "ro");
  if (config.infra?.pause) bind(PAUSE, config.infra.pause, "ro");
  // What is mounted inside something that is mounted comes after it.
  return list.sort((a, b) => depth(a.destination) - depth(b.destination));
}

/** The host directory behind the container's /dev/shm; undefined where it has none. */
function sharedMemory(engine: Engine, { id, ipcMode }: ContainerConfig): string | undefined {
  if (ipcMode === "none") return undefined;
  if (ipcMode === "host") return "/dev/shm";
  const owner = ipcMode.startsWith("container:") ? ipcMode.slice("container:".length) : id;
  return join(engine.paths.containerRun(owner), "shm");
}

const depth = (path: string) => path.split("/").filter(Boolean).length;

function userMount(engine: Engine, mount: VolumeMount, user: UserIds): SpecMount {
  const { destination, options } = mount;
  if (mount.kind === "tmpfs")
    return {
      destination,
      type: "tmpfs",
      source: "tmpfs",
      options: [
        "rprivate",
        "nosuid",
        "nodev",
        "tmpcopyup",
        ...options.flatMap(one => (one === "U" ? [`uid=${user.uid}`, `gid=${user.gid}`] : [one])),
      ],
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
      ...(mount.kind === "volume" && !has(/^(no)?suid$/) ? ["nosuid"] : []),
      ...(mount.kind === "volume" && !has(/^(no)?dev$/) ? ["nodev"] : []),
      ...passed,
    ],
  };
}
