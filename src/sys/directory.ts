/** A directory as a descriptor (openat(2)): what is done in it needs no path, and so works from under another root. */
import { check, ERRNO } from "./errno.ts";
import { O, openFd } from "./fd.ts";
import { errnoNow, libc } from "./libc.ts";
import { cstr } from "./mem.ts";
import { MNT_DETACH, MS, mount, umount } from "./mount.ts";

/** Opens it for nothing but such use; the caller closes it. */
export function openDirectory(path: string): number {
  return openFd(path, O.PATH | O.DIRECTORY);
}

/**
 * The same, but `..` leads nowhere from it: it is the root of a mount that hangs on nothing. Needs CAP_SYS_ADMIN in the
 * user namespace that owns the calling thread's mount namespace, and that namespace to be its own.
 */
export function openClosedDirectory(path: string): number {
  mount(path, path, "", MS.BIND);
  try {
    return openDirectory(path);
  } finally {
    umount(path, MNT_DETACH);
  }
}

/** Removes the file `name` in the directory (unlinkat(2)); quiet when it is gone. */
export function unlinkAt(directory: number, name: string): void {
  if (libc.unlinkat(directory, cstr(name), 0) === 0) return;
  const errno = errnoNow();
  if (errno !== ERRNO.ENOENT) check(-errno, "unlinkat", name);
}
