/** Deciding a new container's pid, ipc, uts and cgroup namespaces, and the sysctls that they allow. */
import { existsSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { type Container, type NetworkMode, ownsNamespace } from "./config.ts";
import { pairs } from "./create-environment.ts";
import type { CreateOptions } from "./create-options.ts";
import type { Engine } from "./engine.ts";

/** What each takes besides `container:NAME` and `ns:PATH`. */
const WORDS = {
  pid: ["private", "host"],
  ipc: ["shareable", "private", "host", "none"],
  uts: ["private", "host"],
  cgroup: ["private", "host"],
};
type Kind = keyof typeof WORDS;

/** The container whose namespace another one shall share. Throws in Podman's words where there is none. */
export function sharedContainer(engine: Engine, kind: Kind | "net" | "user", name: string): Container {
  const other = engine.containers.find(name);
  if (!other)
    throw new UserError(
      `looking up container to share ${kind} namespace with: no container with name or ID ${JSON.stringify(name)} found: no such container`,
    );
  return other;
}

function mode(engine: Engine, kind: Kind, text: string): string {
  if (WORDS[kind].includes(text)) return text;
  const [word, rest] = [text.slice(0, text.indexOf(":")), text.slice(text.indexOf(":") + 1)];
  if (word === "container" && rest) return `container:${sharedContainer(engine, kind, rest).config.id}`;
  if (word !== "ns" || !rest) throw new UserError(`unrecognized namespace mode ${text} passed`);
  if (!existsSync(rest))
    throw new UserError(
      `cannot find specified ${kind.toUpperCase()} namespace path: stat ${rest}: no such file or directory`,
    );
  return text;
}

export interface NamespaceModes {
  pidMode: string;
  ipcMode: string;
  utsMode: string;
  cgroupns: string;
}

/** Each as it was asked for, else as containers.conf has it, else Podman's own. */
export function namespaceModes(engine: Engine, options: CreateOptions, network: NetworkMode): NamespaceModes {
  const conf = engine.conf.containers;
  const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const sharesName = network.kind === "host" && options.hostname === undefined;
  const modes = {
    pidMode: mode(engine, "pid", options.pidMode || conf.pidns || "private"),
    ipcMode: mode(engine, "ipc", options.ipcMode || conf.ipcns || "shareable"),
    utsMode: mode(engine, "uts", options.utsMode || conf.utsns || (sharesName ? "host" : "private")),
    cgroupns: mode(engine, "cgroup", options.cgroupns || conf.cgroupns || (unified ? "private" : "host")),
  };
  if (modes.utsMode !== "private" && options.hostname !== undefined)
    throw new UserError(
      "invalid config provided: cannot set hostname when running in the host UTS namespace: invalid configuration",
    );
  if ((options.init ?? conf.init) && modes.pidMode !== "private")
    throw new UserError("cannot add init binary as PID 1 (PID namespace isn't private)");
  return modes;
}

const IPC = /^(fs\.mqueue\..+|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced))$/;

/** The namespace that a sysctl belongs to; undefined for one of the whole machine. */
function ownerOf(name: string): "Network" | "IPC" | "UTS" | undefined {
  if (name.startsWith("net.")) return "Network";
  if (IPC.test(name)) return "IPC";
  return name === "kernel.domainname" ? "UTS" : undefined;
}

/** Those of containers.conf where the container has the namespace that they belong to, and those that were asked for. */
export function sysctls(
  engine: Engine,
  options: CreateOptions,
  network: NetworkMode,
  modes: NamespaceModes,
): Record<string, string> {
  const shared = {
    Network: network.kind === "host",
    IPC: modes.ipcMode === "host",
    UTS: modes.utsMode === "host",
  };
  const parse = (texts: readonly string[]) =>
    Object.entries(
      pairs(texts, text => `${text} is invalid, sysctl values must be in the form of KEY=VALUE`),
    ).map(([key, value]) => {
      const name = key.replaceAll("/", ".");
      const owner = ownerOf(name);
      if (!owner) throw new UserError(`sysctl '${name}' is not allowed`);
      return { name, value, owner };
    });
  const asked = parse(options.sysctl ?? []);
  const wrong = asked.find(one => shared[one.owner]);
  if (wrong)
    throw new UserError(
      `sysctl ${wrong.name}=${wrong.value} can't be set since ${wrong.owner} Namespace set to host: invalid argument`,
    );
  const defaults = parse(engine.conf.containers.default_sysctls ?? ["net.ipv4.ping_group_range=0 0"]);
  // A network that is somebody else's is not ours to tune unasked.
  const own = defaults.filter(
    one => !shared[one.owner] && (one.owner !== "Network" || ownsNamespace(network)),
  );
  return Object.fromEntries([...own, ...asked].map(one => [one.name, one.value]));
}
