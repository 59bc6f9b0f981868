/**
 * A container's root file system: the image's layers below, its own changes above. By the kernel's overlayfs, by
 * fuse-overlayfs, or as plain copies (`driver.ts` chooses).
 */
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import { MNT_DETACH, mount, umount } from "../sys/mount.ts";
import { inInitialUserNamespace } from "../sys/user-namespace.ts";
import { copyLayers } from "./copies.ts";
import type { Driver } from "./driver.ts";
import { endFuseDaemons, mountFuseOverlay } from "./fuse-overlay.ts";

export interface Rootfs {
  driver: Driver;
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

/** Puts it up at `merged`. */
export function mountRootfs(rootfs: Rootfs): void {
  if (rootfs.driver === "vfs") makeRootfs(rootfs, half => copyLayers(rootfs.lower, half));
  else mountOverlay(rootfs);
}

/** As plain copies: made by `make` the first time; later it is there. */
export function makeRootfs({ merged }: Rootfs, make: (directory: string) => void): void {
  if (existsSync(merged)) return;
  const half = `${merged}.half`;
  rmSync(half, { recursive: true, force: true });
  mkdirSync(dirname(merged), { recursive: true });
  make(half);
  renameSync(half, merged);
}

/**
 * Mounts an overlay. The layers are named relative to the directory that holds them, which is made the working
 * directory for the length of the call: so some hundred layers fit into the page of options.
 */
function mountOverlay(rootfs: Rootfs): void {
  const { upper, work, merged } = rootfs;
  if (!existsSync(upper)) {
    mkdirSync(upper, { recursive: true });
    // The topmost directory speaks for the root directory's owner and mode.
    const { uid, gid, mode } = statSync(rootfs.lower[0]!);
    chownSync(upper, uid, gid);
    chmodSync(upper, mode & 0o7777);
  }
  for (const directory of [work, merged]) mkdirSync(directory, { recursive: true, mode: 0o755 });
  // overlayfs refuses an upper directory that was mounted so before, since after a crash it may be incomplete.
  if (rootfs.volatile) rmSync(join(work, "work", "incompat"), { recursive: true, force: true });
  const lower = rootfs.lower.map(path => basename(path)).join(":");
  const directory = dirname(rootfs.lower[0]!);
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}${rootfs.volatile ? ",volatile" : ""}`;
  if (rootfs.driver === "fuse-overlayfs") mountFuseOverlay(options, merged, directory);
  else mountByKernel(inInitialUserNamespace() ? options : `${options},userxattr`, rootfs, directory);
}

function mountByKernel(options: string, { lower, merged, volatile }: Rootfs, directory: string): void {
  if (options.length >= PAGE)
    throw new UserError(`the image has ${lower.length} layers, more than the kernel can stack`);
  const home = process.cwd();
  process.chdir(directory);
  try {
    try {
      mount("overlay", merged, "overlay", 0, options);
    } catch (error) {
      // Linux 5.10 was the first to know it.
      if (!volatile || !hasCode(error, "EINVAL")) throw error;
      mount("overlay", merged, "overlay", 0, options.replace(",volatile", ""));
    }
  } finally {
    process.chdir(home);
  }
}

/** Takes it down; quiet when it is not there. */
export function unmountRootfs(merged: string, driver: Driver): void {
  if (driver === "vfs") return;
  unmount(merged);
  // A daemon that was only about to mount has done so before its end.
  if (driver === "fuse-overlayfs" && endFuseDaemons(merged)) unmount(merged);
}

function unmount(merged: string): void {
  try {
    umount(merged, MNT_DETACH);
  } catch (error) {
    if (!hasCode(error, "EINVAL", "ENOENT")) throw error;
  }
}
