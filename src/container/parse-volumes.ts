/** `--volume`, `--mount` and `--tmpfs`: from what people type to `VolumeMount`s, refusing the rest in Podman's words. */
import { existsSync } from "node:fs";
import { normalize, resolve } from "node:path";
import { UserError } from "../base/errors.ts";
import type { VolumeMount } from "./config.ts";

const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Options of which at most one may be given. */
const EXCLUSIVE: readonly (readonly string[])[] = [
  ["rw", "ro"],
  ["exec", "noexec"],
  ["dev", "nodev"],
  ["suid", "nosuid"],
  ["z", "Z"],
  ["bind", "rbind"],
  ["copy", "nocopy"],
  ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"],
];
const OPTIONS = new Set([...EXCLUSIVE.flat(), "U", "O"]);
/** Options of tmpfs(5) that need no value, and those that do. */
const TMPFS_WORDS = new Set([...EXCLUSIVE.flat(), "U", "noswap", "tmpcopyup", "notmpcopyup", "noatime"]);
const TMPFS_VALUES = new Set(["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "huge", "mpol"]);

function destination(text: string): string {
  if (text === "") throw new UserError("container directory cannot be empty");
  if (!text.startsWith("/"))
    throw new UserError(`invalid container path "${text}", must be an absolute path`);
  return clean(text);
}

/** Without `.`, `..`, doubled and trailing slashes. */
const clean = (path: string) => normalize(path).replace(/(.)\/$/, "$1");

function checkExclusive(options: readonly string[]): void {
  for (const group of EXCLUSIVE)
    if (options.filter(option => group.includes(option)).length > 1)
      throw new UserError(
        `invalid options "${options.join(", ")}", can only specify 1 ${group.map(word => `'${word}'`).join(" or ")} option`,
      );
}

function checkOptions(options: readonly string[]): string[] {
  for (const option of options)
    if (!OPTIONS.has(option)) throw new UserError(`invalid option type "${option}"`);
  checkExclusive(options);
  if (options.includes("O")) throw new UserError("overlay volumes (option O) are not supported yet");
  return [...options];
}

function checkTmpfs(options: readonly string[]): string[] {
  for (const option of options) {
    const [key = "", value] = option.split("=");
    if (value === undefined ? !TMPFS_WORDS.has(key) : !TMPFS_VALUES.has(key))
      throw new UserError(`unknown mount option "${option}": invalid mount option`);
  }
  checkExclusive(options);
  return [...options];
}

/** A host path that must be there; relative ones are from here. */
function hostPath(text: string): string {
  const path = clean(resolve(text));
  if (!existsSync(path)) throw new UserError(`statfs ${path}: no such file or directory`);
  return path;
}

function volumeName(name: string): string {
  if (!VOLUME_NAME.test(name))
    throw new UserError(
      `creating named volume "${name}": running volume create option: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument`,
    );
  return name;
}

/** `-v [SOURCE:]DESTINATION[:OPTIONS]`: a path is a bind, a word a named volume, nothing an anonymous volume. */
export function parseVolume(text: string): VolumeMount {
  const parts = text.split(":");
  if (parts.length > 3)
    throw new UserError(`${text}: incorrect volume format, should be [host-dir:]ctr-dir[:option]`);
  if (parts.length === 1)
    return { kind: "volume", source: "", destination: destination(parts[0]!), options: [] };
  const [source = "", target = "", optionText] = parts;
  if (source === "") throw new UserError("host directory cannot be empty");
  const mount = {
    destination: destination(target),
    options: checkOptions(optionText ? optionText.split(",").filter(Boolean) : []),
  };
  return /^[./]/.test(source)
    ? { kind: "bind", source: hostPath(source), ...mount }
    : { kind: "volume", source: volumeName(source), ...mount };
}

/** `--tmpfs DESTINATION[:OPTIONS]`. */
export function parseTmpfs(text: string): VolumeMount {
  const colon = text.indexOf(":");
  const path = colon < 0 ? text : text.slice(0, colon);
  const options =
    colon < 0
      ? []
      : text
          .slice(colon + 1)
          .split(",")
          .filter(Boolean);
  return { kind: "tmpfs", source: "", destination: destination(path), options: checkTmpfs(options) };
}

/** The value of a switch such as `ro` or `ro=true`. */
function truth(value: string | undefined, names: string): boolean {
  if (value === undefined || value === "true") return true;
  if (value === "false") return false;
  throw new UserError(
    `${names} must be set to true or false, instead received "${value}": must provide an argument for option`,
  );
}

const MOUNT_FORMAT =
  "incorrect mount format: should be --mount type=<bind|tmpfs|volume>,[src=<host-dir|volume-name>,]target=<ctr-dir>[,options]";

/** `--mount type=…,source=…,destination=…,…`. */
export function parseMount(text: string): VolumeMount {
  const pairs = text.split(",").map(word => {
    const equals = word.indexOf("=");
    return equals < 0
      ? { key: word, value: undefined }
      : { key: word.slice(0, equals), value: word.slice(equals + 1) };
  });
  const kinds = pairs.filter(pair => pair.key === "type");
  // Without a type it is a volume, but then the rest must say where.
  if (kinds.length > 1 || (kinds.length === 0 && pairs.length < 2)) throw new UserError(MOUNT_FORMAT);
  const kind = kinds[0] ? kinds[0].value : "volume";
  if (kind !== "bind" && kind !== "volume" && kind !== "tmpfs")
    throw new UserError(`invalid filesystem type "${kind ?? ""}"`);

  let source = "";
  let target: string | undefined;
  const options: string[] = [];
  const needed = (key: string, value: string | undefined) => {
    if (value === undefined) throw new UserError(`${key}: must provide an argument for option`);
    return value;
  };
  for (const { key, value } of pairs) {
    switch (key) {
      case "type":
        break;
      case "source":
      case "src":
        if (kind === "tmpfs") throw new UserError("source is not supported with tmpfs mounts");
        source = needed(key, value);
        break;
      case "destination":
      case "dst":
      case "target":
        target = destination(needed(key, value));
        break;
      case "readonly":
      case "ro":
        options.push(truth(value, "'readonly', 'ro', or 'rw'") ? "ro" : "rw");
        break;
      case "rw":
        options.push(truth(value, "'readonly', 'ro', or 'rw'") ? "rw" : "ro");
        break;
      case "bind-propagation":
        options.push(needed(key, value));
        break;
      case "bind-nonrecursive":
        options.push(truth(value, "'bind-nonrecursive'") ? "bind" : "rbind");
        break;
      case "tmpfs-size":
      case "tmpfs-mode":
        options.push(`${key.slice("tmpfs-".length)}=${needed(key, value)}`);
        break;
      case "U":
      case "chown":
        if (truth(value, "'U' or 'chown'")) options.push("U");
        break;
      case "relabel": {
        const word = needed(key, value);
        if (word !== "shared" && word !== "private")
          throw new UserError(`invalid relabel option "${word}", must be shared or private`);
        options.push(word === "shared" ? "z" : "Z");
        break;
      }
      case "consistency":
        // Docker's, for macOS: accepted and without meaning here.
        break;
      default:
        if (!OPTIONS.has(key) && !TMPFS_WORDS.has(key)) throw new UserError(`${key}: invalid mount option`);
        if (value === undefined || value === "true") options.push(key);
    }
  }
  if (target === undefined) throw new UserError("must set volume destination");
  if (kind === "tmpfs") return { kind, source: "", destination: target, options: checkTmpfs(options) };
  checkOptions(options);
  if (kind === "bind") return { kind, source: hostPath(source || target), destination: target, options };
  return { kind, source: source && volumeName(source), destination: target, options };
}

/** All mounts of a command line; two for one place are refused. */
export function parseMounts(given: {
  volumes?: readonly string[];
  mounts?: readonly string[];
  tmpfs?: readonly string[];
}): VolumeMount[] {
  const byPlace = new Map<string, VolumeMount>();
  const all = [
    ...(given.mounts ?? []).map(parseMount),
    ...(given.volumes ?? []).map(parseVolume),
    ...(given.tmpfs ?? []).map(parseTmpfs),
  ];
  for (const mount of all) {
    const other = byPlace.get(mount.destination);
    if (other && JSON.stringify(other) !== JSON.stringify(mount))
      throw new UserError(`${mount.destination}: duplicate mount destination`);
    byPlace.set(mount.destination, mount);
  }
  return [...byPlace.values()];
}
