/**
 * storage.conf(5), what of it concerns this engine; its places (`graphroot`, …) are containers-storage's and not ours.
 * One file counts: the one that `CONTAINERS_STORAGE_CONF` names, else the user's, else the machine's, else the
 * distribution's.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errorText, hasCode, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { idCount, idMap, inInitialUserNamespace } from "../sys/user-namespace.ts";

export interface StorageConf {
  /** `overlay`, `vfs`, or a driver that this engine has not; "" where nothing is said. */
  driver: string;
  /** The program that mounts overlays in place of the kernel, fuse-overlayfs; "" for the kernel. */
  mountProgram: string;
  /** Files of owners that the user namespace has not become its root's. */
  ignoreChownErrors: boolean;
}

/** Reads the text of a file. Throws one line that names the file, and the field that is wrong. */
export function parseStorageConf(text: string, path: string): StorageConf {
  const wrong = (what: string) => new UserError(`decoding configuration ${path}: ${what}`);
  let file: unknown;
  try {
    file = Bun.TOML.parse(text);
  } catch (error) {
    throw wrong(errorText(error).replace("TOML Parse error", "toml"));
  }
  const table = (of: unknown, name: string): Record<string, unknown> => {
    const value = (of as Record<string, unknown>)[name.split(".").at(-1)!] ?? {};
    if (typeof value !== "object" || Array.isArray(value)) throw wrong(`${name} must be a table`);
    return value as Record<string, unknown>;
  };
  const storage = table(file, "storage");
  const options = table(storage, "storage.options");
  const overlay = table(options, "storage.options.overlay");
  const words = (value: unknown, name: string) => {
    if (value === undefined) return "";
    if (typeof value !== "string") throw wrong(`${name} must be a string`);
    return value;
  };
  const ignore = overlay.ignore_chown_errors ?? options.ignore_chown_errors ?? false;
  if (!["true", "false", true, false, ""].includes(ignore as string | boolean))
    throw wrong("storage.options.ignore_chown_errors must be true or false");
  return {
    driver: words(storage.driver, "storage.driver"),
    mountProgram: words(
      overlay.mount_program ?? options.mount_program,
      "storage.options.overlay.mount_program",
    ),
    ignoreChownErrors: ignore === true || ignore === "true",
  };
}

/** The configuration in force. */
export function readStorageConf(
  env: Readonly<Record<string, string | undefined>> = process.env,
  root = "/",
): StorageConf {
  const named = env.CONTAINERS_STORAGE_CONF;
  const home = env.XDG_CONFIG_HOME || (env.HOME ? join(env.HOME, ".config") : undefined);
  const isRootless = !inInitialUserNamespace() || process.getuid?.() !== 0;
  const places = [
    ...(isRootless && home ? [join(home, "containers/storage.conf")] : []),
    join(root, "etc/containers/storage.conf"),
    join(root, "usr/share/containers/storage.conf"),
  ];
  const path = named ?? places.find(existsSync);
  if (!path) return parseStorageConf("", "");
  try {
    return parseStorageConf(readFileSync(path, "utf8"), path);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const why = hasCode(error, "ENOENT") ? "no such file or directory" : errorText(error);
    throw new UserError(`storage.conf file: open ${path}: ${why}`);
  }
}

let warned = false;

/**
 * Do files of owners that the user namespace has not become its root's? They do where storage.conf says so, and where
 * there is but one id, since else hardly any image could be kept. Says so once.
 */
export function squashesOwners(): boolean {
  if (inInitialUserNamespace()) return false;
  const isSingle = idCount(idMap("uid")) === 1 || idCount(idMap("gid")) === 1;
  if (!isSingle && !readStorageConf().ignoreChownErrors) return false;
  if (isSingle && !warned) {
    warned = true;
    log.warn(
      "only one user or group ID is available in the user namespace: all files of images become your own (give yourself more in /etc/subuid and /etc/subgid)",
    );
  }
  return true;
}
