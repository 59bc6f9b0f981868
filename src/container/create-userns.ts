/**
 * Deciding a new container's own user namespace: `--userns`, `--uidmap`, `--gidmap`, `--subuidname`, `--subgidname`.
 *
 * Ids of the container are mapped to those that this engine has: root's engine has all, a user's those of the user's
 * namespace, where the user is 0 and the subordinate ids follow ("intermediate" ids in Podman's manual).
 */
import { existsSync, readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { hasId, type IdMapping, type IdMaps, idCount, idMap, parseIdMap } from "../sys/user-namespace.ts";
import type { Identity } from "../userns/identity.ts";
import { readSubids } from "../userns/subids.ts";
import type { KeptId } from "./config.ts";
import { sharedContainer } from "./create-namespaces.ts";
import type { CreateOptions } from "./create-options.ts";
import type { Engine } from "./engine.ts";

/** What `--userns=auto` asks for; the ids are found when the container is recorded. */
export interface AutoIds {
  size?: number;
  uids: IdMapping[];
  gids: IdMapping[];
}

export interface UserNamespace {
  /** `host`, `private`, `container:ID`, `ns:PATH`. */
  usernsMode: string;
  /** Where the container has a user namespace that is not ours. */
  ids?: IdMaps;
  autoIds?: AutoIds;
  keepId?: KeptId;
}

const MAX_ID = 0xffffffff;

/** `container:from:amount`, as `kind` (`UID`, `GID`) of those that were given. */
export function parseIdMappings(texts: readonly string[], kind: "UID" | "GID"): IdMapping[] {
  const malformed = () =>
    new UserError(
      `initializing ID mappings: ${kind} setting is malformed expected ["uint32:uint32:uint32"]: [${texts.map(one => JSON.stringify(one)).join(" ")}]`,
    );
  return texts.flatMap(text => {
    const parts = text.split(":");
    if (parts.length !== 3 || !parts.every(part => /^\d{1,10}$/.test(part))) throw malformed();
    const [inside, outside, count] = parts.map(Number) as [number, number, number];
    if (Math.max(inside, outside, count) > MAX_ID) throw malformed();
    return count > 0 ? [{ inside, outside, count }] : [];
  });
}

/** `0:1:65536` */
export const showMapping = ({ inside, outside, count }: IdMapping) => `${inside}:${outside}:${count}`;

/** Refuses maps that the kernel would not take, or that leave the container without root. */
export function checkMappings(map: readonly IdMapping[]): void {
  if (!hasId(map, 0)) throw new UserError("container ID 0 cannot be mapped to a host ID");
  const overlap = (a: IdMapping, b: IdMapping, side: "inside" | "outside") =>
    a[side] < b[side] + b.count && b[side] < a[side] + a.count;
  const sorted = map.toSorted((a, b) => a.outside - b.outside);
  for (const [index, one] of sorted.entries()) {
    const isBeyond = Math.max(one.inside, one.outside) + one.count - 1 > MAX_ID;
    const before = sorted.slice(0, index);
    if (isBeyond || before.some(other => overlap(one, other, "inside") || overlap(one, other, "outside")))
      throw new UserError(
        `creating container storage: the specified UID and/or GID mapping ${showMapping(one)} conflicts with other mappings: invalid mappings specified`,
      );
  }
}

/** Refuses ids that this engine has not itself. */
function checkAvailable(kind: "uid" | "gid", map: readonly IdMapping[]): void {
  const ours = idMap(kind);
  for (const one of map) {
    // Ours are one run, or are asked for where one begins and ends.
    const isOurs = hasId(ours, one.outside) && hasId(ours, one.outside + one.count - 1);
    if (!isOurs)
      throw new UserError(
        `potentially insufficient ${kind.toUpperCase()}s available in user namespace (requested ${showMapping(one)}): Check /etc/sub${kind}, then run "portolan system migrate"`,
      );
  }
}

/** `key=value,…` behind the colon of a mode. */
function modeOptions(text: string, known: readonly string[]): [key: string, value: string][] {
  if (text === "") return [];
  return text.split(",").map(part => {
    const [key = "", ...value] = part.split("=");
    if (!known.includes(key)) throw new UserError(`unknown option specified: ${JSON.stringify(key)}`);
    return [key, value.join("=")];
  });
}

function unsigned(text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > MAX_ID)
    throw new UserError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

export function parseAuto(text: string): AutoIds {
  const auto: AutoIds = { uids: [], gids: [] };
  for (const [key, value] of modeOptions(text, ["size", "uidmapping", "gidmapping"])) {
    if (key === "size") auto.size = unsigned(value);
    else if (key === "uidmapping") auto.uids.push(...parseIdMappings([value], "UID"));
    else auto.gids.push(...parseIdMappings([value], "GID"));
  }
  return auto;
}

/** The caller's own id (0 on our side of the map) as `id` in the container, the others of ours around it. */
export function keepMapping(id: number, total: number): IdMapping[] {
  const below = Math.min(id, total - 1);
  return [
    { inside: 0, outside: 1, count: below },
    { inside: id, outside: 0, count: 1 },
    { inside: id + 1, outside: id + 1, count: total - 1 - id },
  ].filter(one => one.count > 0);
}

/** `keep-id[:uid=,gid=]` */
export function parseKeepId(text: string, user: Identity): { uid: number; gid: number } {
  const kept = { uid: user.uid, gid: user.gid };
  for (const [key, value] of modeOptions(text, ["uid", "gid"])) kept[key as "uid" | "gid"] = unsigned(value);
  return kept;
}

/** The ids of a user by the name in /etc/subuid or /etc/subgid, one after the other from 0. */
function subordinate(kind: "uid" | "gid", name: string): IdMapping[] {
  const ranges = readSubids(`/etc/sub${kind}`, { name, uid: -1 });
  if (ranges.length === 0)
    throw new UserError(`no sub${kind} ranges found for user ${JSON.stringify(name)} in /etc/sub${kind}`);
  let inside = 0;
  return ranges.flatMap(({ start, count }) => {
    const from = inside;
    inside += count;
    return fromHost(kind, { inside: from, outside: start, count });
  });
}

/** A mapping to ids of the machine, as one to those that we have. */
function fromHost(kind: "uid" | "gid", { inside, outside, count }: IdMapping): IdMapping[] {
  const found = idMap(kind).find(one => outside >= one.outside && outside + count <= one.outside + one.count);
  // Those that aren't ours are refused as such later.
  return [
    { inside, outside: found ? outside - found.outside + found.inside : MAX_ID, count: found ? count : 1 },
  ];
}

/** `--uidmap` and the like; what is said of users alone or of groups alone holds for both. */
function explicit(options: CreateOptions): UserNamespace | undefined {
  const { uidMap = [], gidMap = [] } = options;
  const subuid = options.subuidName || options.subgidName;
  const subgid = options.subgidName || options.subuidName;
  if (uidMap.length + gidMap.length === 0 && !subuid) return undefined;
  if (options.userns !== undefined)
    throw new UserError("--userns and --uidmap/--gidmap/--subuidname/--subgidname are mutually exclusive");
  const uids = uidMap.length > 0 ? parseIdMappings(uidMap, "UID") : undefined;
  const gids = gidMap.length > 0 ? parseIdMappings(gidMap, "GID") : undefined;
  return {
    usernsMode: "private",
    ids: {
      uids: uids ?? (subuid ? subordinate("uid", subuid) : gids!),
      gids: gids ?? (subgid ? subordinate("gid", subgid) : uids!),
    },
  };
}

/** Throws in Podman's words. */
export function userNamespace(engine: Engine, options: CreateOptions): UserNamespace {
  const decided =
    explicit(options) ??
    byMode(engine, options.userns || process.env.PODMAN_USERNS || engine.conf.containers.userns || "");
  if (decided.ids && !/^(container|ns):/.test(decided.usernsMode)) {
    checkMappings(decided.ids.uids);
    checkMappings(decided.ids.gids);
    checkAvailable("uid", decided.ids.uids);
    checkAvailable("gid", decided.ids.gids);
  }
  return decided;
}

function byMode(engine: Engine, mode: string): UserNamespace {
  const colon = mode.indexOf(":");
  const [word, rest] = colon < 0 ? [mode, ""] : [mode.slice(0, colon), mode.slice(colon + 1)];
  switch (word) {
    case "":
    case "host":
      return { usernsMode: "host" };
    case "private":
      throw new UserError("must provide at least one UID or GID mapping to configure a user namespace");
    case "auto":
      return { usernsMode: "private", autoIds: parseAuto(rest) };
    case "keep-id":
    case "nomap":
      return aroundCaller(engine, word, rest);
    case "container": {
      const other = sharedContainer(engine, "user", rest).config;
      return other.ids ? { usernsMode: `container:${other.id}`, ids: other.ids } : { usernsMode: "host" };
    }
    case "ns":
      if (!existsSync(rest))
        throw new UserError(
          `cannot find specified user namespace path: stat ${rest}: no such file or directory`,
        );
      return { usernsMode: mode, ids: mapsOf(rest) };
  }
  throw new UserError(`unrecognized namespace mode ${mode} passed`);
}

function aroundCaller(engine: Engine, word: "keep-id" | "nomap", rest: string): UserNamespace {
  if (!engine.user) throw new UserError(`${word} is only supported in rootless mode`);
  const [uids, gids] = [idCount(idMap("uid")), idCount(idMap("gid"))];
  if (word === "nomap") {
    if (uids === 1 || gids === 1)
      throw new UserError(
        "nomap needs subordinate ids, and you have none: Check /etc/subuid and /etc/subgid",
      );
    const rest = (total: number) => [{ inside: 0, outside: 1, count: total - 1 }];
    return { usernsMode: "private", ids: { uids: rest(uids), gids: rest(gids) } };
  }
  const keepId = parseKeepId(rest, engine.user);
  if (uids === 1 || gids === 1)
    throw new UserError(
      "keep-id needs subordinate ids, and you have none: Check /etc/subuid and /etc/subgid",
    );
  return {
    usernsMode: "private",
    ids: { uids: keepMapping(keepId.uid, uids), gids: keepMapping(keepId.gid, gids) },
    keepId: keepId.uid === engine.user.uid ? { ...keepId, ...nameOf(keepId.uid) } : keepId,
  };
}

/** The caller's name on the host; inside the user namespace nobody else knows it. */
function nameOf(uid: number): { name: string; fullName: string } {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map(one => one.split(":"))
    .find(fields => fields[2] === String(uid));
  return { name: line?.[0] || process.env.USER || String(uid), fullName: line?.[4] ?? "" };
}

/** The maps of the user namespace at a path, in our numbers. Who is in there sees them so. */
function mapsOf(path: string): IdMaps {
  const read = (kind: "uid" | "gid") => {
    const child = Bun.spawnSync([
      ...["nsenter", `--user=${path}`, "--preserve-credentials"],
      ...["cat", `/proc/self/${kind}_map`],
    ]);
    if (child.exitCode !== 0)
      throw new UserError(`can't enter the user namespace ${path}: ${child.stderr.toString().trim()}`);
    return parseIdMap(child.stdout.toString());
  };
  return { uids: read("uid"), gids: read("gid") };
}
