/** A container's root file system: the image's layers below, its own changes above (overlayfs). */
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import { MNT_DETACH, mount, umount } from "../sys/mount.ts";

export interface Rootfs {
  /** Layer directories, topmost first; all in one directory. */
  lower: readonly string[];
  upper: string;
  work: string;
  merged: string;
  /** Nobody will want the changes after a crash: they are not written through to the disk, which umount(2) waits for. */
  volatile?: boolean;
}

/** The kernel takes at most a page of mount options. */
const PAGE = 4096;

/**
 * Mounts the overlay. The layers are named relative to the directory that holds them, which is made the working
 * directory for the length of the call: so some hundred layers fit into the page of options.
 */
export function mountRootfs(rootfs: Rootfs): void {
  if (!existsSync(rootfs.upper)) {
    mkdirSync(rootfs.upper, { recursive: true });
    // The topmost directory speaks for the root directory's owner and mode.
    const { uid, gid, mode } = statSync(rootfs.lower[0]!);
    chownSync(rootfs.upper, uid, gid);
    chmodSync(rootfs.upper, mode & 0o7777);
  }
  for (const directory of [rootfs.work, rootfs.merged])
    mkdirSync(directory, { recursive: true, mode: 0o755 });
  // overlayfs refuses an upper directory that was mounted so before, since after a crash it may be incomplete.
  if (rootfs.volatile) rmSync(join(rootfs.work, "work", "incompat"), { recursive: true, force: true });
  const home = process.cwd();
  const options = `lowerdir=${rootfs.lower.map(path => basename(path)).join(":")},upperdir=${rootfs.upper},workdir=${rootfs.work}${rootfs.volatile ? ",volatile" : ""}`;
  if (options.length >= PAGE)
    throw new UserError(`the image has ${rootfs.lower.length} layers, more than the kernel can stack`);
  process.chdir(dirname(rootfs.lower[0]!));
  try {
    mount("overlay", rootfs.merged, "overlay", 0, options);
  } finally {
    process.chdir(home);
  }
}

/** Unmounts it; quiet when it is not mounted. */
export function unmountRootfs(merged: string): void {
  try {
    umount(merged, MNT_DETACH);
  } catch (error) {
    if (!hasCode(error, "EINVAL", "ENOENT")) throw error;
  }
}
