/** Whose a container's things are, as this engine numbers users: another one where it has a user namespace of its own. */
import { chmodSync, chownSync, existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "../base/errors.ts";
import { mapped } from "../image/attributes.ts";
import { hasOutsideId } from "../sys/user-namespace.ts";
import type { ContainerConfig } from "./config.ts";

/** The container's user `uid:gid`, its root where nothing is said. Throws for one that it has not. */
export function ownerOf({ ids }: ContainerConfig, uid = 0, gid = 0): { uid: number; gid: number } {
  return ids ? { uid: mapped(ids.uids, uid), gid: mapped(ids.gids, gid) } : { uid, gid };
}

/** Gives files of the run directory, those of `names` that are there, to the container's root. */
export function giveFiles(run: string, config: ContainerConfig, names: readonly string[]): void {
  if (!config.ids) return;
  const { uid, gid } = ownerOf(config);
  for (const path of names.map(name => join(run, name))) if (existsSync(path)) chownSync(path, uid, gid);
}

/**
 * Lets the container's root get to `directory`, which the runtime looks up as that user. The directory itself opens to its
 * group alone; those above it that are closed open for passing through, as Podman has it, unless they belong to somebody
 * whom the container's root may act for.
 */
export function openWay(directory: string, config: ContainerConfig): void {
  const { ids } = config;
  if (!ids) return;
  const { uid, gid } = ownerOf(config);
  chownSync(directory, -1, gid);
  chmodSync(directory, 0o710);
  for (let path = dirname(directory); path !== "/"; path = dirname(path)) {
    const stats = statSync(path);
    const isPassable = (stats.mode & 0o001) !== 0 || stats.uid === uid;
    const isActedFor = hasOutsideId(ids.uids, stats.uid) && hasOutsideId(ids.gids, stats.gid);
    if (isPassable || isActedFor) continue;
    try {
      chmodSync(path, (stats.mode & 0o7777) | 0o001);
    } catch (error) {
      throw new UserError(`the container's root can't get to ${directory}: ${path} is closed to others`, {
        hint: `open it (chmod o+x ${path}), or name another directory by --root`,
        cause: error,
      });
    }
  }
}
