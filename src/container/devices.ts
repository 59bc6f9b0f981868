/** Device nodes of the host that a container gets. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import type { ContainerConfig } from "./config.ts";
import type { SpecMount } from "./system-mounts.ts";

type Device = ContainerConfig["devices"][number];

const isDevice = (path: string): boolean => {
  const facts = statSync(path, { throwIfNoEntry: false });
  return facts !== undefined && (facts.isBlockDevice() || facts.isCharacterDevice());
};

/** What is below /dev but no device of the machine. */
const LEFT_OUT = new Set(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"]);

/** The device nodes below a directory. */
function below(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap(entry => {
    const path = join(directory, entry.name);
    if (LEFT_OUT.has(entry.name)) return [];
    if (entry.isDirectory()) return below(path);
    return entry.isBlockDevice() || entry.isCharacterDevice() ? [path] : [];
  });
}

/** `--device HOST[:CONTAINER][:rwm]`; a directory stands for the devices in it. */
export function parseDevice(text: string): Device[] {
  const [source = "", second, third] = text.split(":");
  const onlyMode = second !== undefined && !second.startsWith("/") && third === undefined;
  const permissions = (onlyMode ? second : third) ?? "rwm";
  if (!/^[rwm]{1,3}$/.test(permissions)) throw new UserError(`invalid device mode: ${permissions}`);
  const destination = onlyMode ? source : second || source;
  if (!destination.startsWith("/")) throw new UserError(`${destination} is not an absolute path`);
  const facts = statSync(source, { throwIfNoEntry: false });
  if (!facts) throw new UserError(`stat ${source}: no such file or directory`);
  if (facts.isDirectory()) {
    const found = below(source).map(path => ({
      source: path,
      destination: join(destination, path.slice(source.length)),
      permissions,
    }));
    if (found.length === 0) throw new UserError(`no devices found in ${source}: invalid argument`);
    return found;
  }
  if (!isDevice(source)) throw new UserError(`${source} is not a valid device: not a device node`);
  return [{ source, destination, permissions }];
}

/** What the runtime puts into every container by itself (runtime-spec, "Default Devices"). */
const OWN = /^\/dev\/(tty|ptmx|null|zero|full|random|urandom)$/;

/** What `--privileged` gives: every device node of the host's /dev, of a user's its terminals left out. */
export function hostDevices(isUsers: boolean): Device[] {
  return below("/dev")
    .filter(path => !OWN.test(path) && !(isUsers && path.startsWith("/dev/tty")))
    .map(path => ({ source: path, destination: path, permissions: "rwm" }));
}

/** A device of a user's container, who may make no nodes: the host's own node, bound there. */
export function deviceMount({ source, destination }: Device): SpecMount {
  return { destination, type: "bind", source, options: ["bind", "rprivate", "nosuid", "noexec"] };
}

/** A device as the runtime specification wants it: the node, and the rule that allows its use. */
export function specDevice({ source, destination, permissions }: Device): { node: object; rule: object } {
  const facts = statSync(source);
  const number = BigInt(facts.rdev);
  const type = facts.isBlockDevice() ? "b" : "c";
  const major = Number((number >> 8n) & 0xfffn);
  const minor = Number((number & 0xffn) | ((number >> 12n) & 0xfff00n));
  return {
    node: {
      path: destination,
      type,
      major,
      minor,
      fileMode: facts.mode & 0o777,
      uid: facts.uid,
      gid: facts.gid,
    },
    rule: { allow: true, type, major, minor, access: permissions },
  };
}
