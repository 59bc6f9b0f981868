import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { MNT_DETACH, mountInfo, umount } from "./mount.ts";

/** Removes what is in a directory, which may be a mount point itself, and the mounts below it. */
export function emptyDirectory(directory: string): void {
  const below = mountInfo().map(one => one.target);
  for (const target of below.filter(one => one.startsWith(`${directory}/`)).reverse())
    umount(target, MNT_DETACH);
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true });
}
