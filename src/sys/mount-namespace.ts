/** A mount namespace of a process's own, and another root in it. */
import { confineLibc } from "./confine-libc.ts";
import { check } from "./errno.ts";
import { libc } from "./libc.ts";
import { bytes, cstr } from "./mem.ts";
import { MNT_DETACH, MS, mount, umount } from "./mount.ts";

const CLONE_NEWNS = 0x00020000;
const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
/** Attributes of mount_setattr(2). */
export const MOUNT_ATTR = { RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8 } as const;

/**
 * The calling thread leaves for a copy of its mount namespace (unshare(2)); what is mounted in the old one still arrives,
 * nothing goes back. Other threads stay where they were.
 */
export function unshareMounts(): void {
  check(libc.unshare(CLONE_NEWNS), "unshare", "mount namespace");
  mount("none", "/", "", MS.SLAVE | MS.REC);
}

/** Adds attributes to the mount at `path` and all below it (mount_setattr(2), Linux 5.12). */
export function addMountAttributes(path: string, attributes: number): void {
  const request = bytes(32);
  new DataView(request.buffer).setBigUint64(0, BigInt(attributes), true);
  check(
    confineLibc.mount_setattr(AT_FDCWD, cstr(path), AT_RECURSIVE, request, request.length),
    "mount_setattr",
    path,
  );
}

/** Makes the mount at `path` the root and lets go of the old one (pivot_root(2)). */
export function changeRoot(path: string): void {
  check(libc.chdir(cstr(path)), "chdir", path);
  // Old and new root in one place: the old one ends up on top, and is taken off.
  check(confineLibc.pivot_root(cstr("."), cstr(".")), "pivot_root", path);
  umount(".", MNT_DETACH);
  check(libc.chdir(cstr("/")), "chdir", "/");
}
