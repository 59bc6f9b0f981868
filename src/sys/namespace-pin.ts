/**
 * Namespaces held by files: a namespace bind-mounted over an empty file lives as long as that mount, without a process
 * (namespaces(7)). Network namespaces have a file of their own (`netns.ts`).
 */
import { closeSync, openSync, rmSync } from "node:fs";
import { hasCode } from "../base/errors.ts";
import { check } from "./errno.ts";
import { closeFd, O, openFd } from "./fd.ts";
import { libc } from "./libc.ts";
import { cstr } from "./mem.ts";
import { MNT_DETACH, MS, mount, umount } from "./mount.ts";

/** Flags of unshare(2). */
const FLAGS = { ipc: 0x08000000, uts: 0x04000000 } as const;
export type PinnedKind = keyof typeof FLAGS;

/** Pins the namespace `namespace` (a `/proc/PID/ns/NAME`) at `path`, whose directory is there. */
export function pinAt(path: string, namespace: string): void {
  closeSync(openSync(path, "wx", 0o444));
  try {
    mount(namespace, path, "none", MS.BIND);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
}

/** Unpins the namespace at `path` and removes the file; quiet when it is gone already. */
export function unpin(path: string): void {
  for (;;) {
    try {
      umount(path, MNT_DETACH);
    } catch (error) {
      if (hasCode(error, "EINVAL", "ENOENT")) break;
      throw error;
    }
  }
  rmSync(path, { force: true });
}

/**
 * Makes a namespace and pins it at `path`, after `inside` has run in it. The calling thread comes back from it, unless it
 * is to stay because it may not (a user's can't enter the host's).
 */
export function createPinned(
  kind: PinnedKind,
  path: string,
  { stay = false, inside }: { stay?: boolean; inside?: () => void } = {},
): void {
  const current = `/proc/thread-self/ns/${kind}`;
  const home = stay ? undefined : openFd(current, O.RDONLY);
  try {
    check(libc.unshare(FLAGS[kind]), "unshare", `${kind} namespace`);
    try {
      inside?.();
      pinAt(path, current);
    } finally {
      if (home !== undefined) check(libc.setns(home, FLAGS[kind]), "setns", "the namespace we came from");
    }
  } finally {
    if (home !== undefined) closeFd(home);
  }
}

/** Names the UTS namespace that the calling thread is in (sethostname(2)). */
export function setHostname(name: string): void {
  const text = cstr(name);
  check(libc.sethostname(text, text.length - 1), "sethostname", name);
}
