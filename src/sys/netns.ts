/**
 * Network namespaces: made, pinned to a file, entered for the length of one synchronous function.
 *
 * A namespace lives as long as something holds it. Here a file does: the namespace of the thread that made it is
 * bind-mounted over an empty file (as ip-netns(8) does), so it needs no process.
 */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { check } from "./errno.ts";
import { closeFd, O, openFd } from "./fd.ts";
import { libc } from "./libc.ts";
import { isMountPoint, MS, mount } from "./mount.ts";
import { pinAt, unpin } from "./namespace-pin.ts";

const CLONE_NEWNET = 0x40000000;
const THREAD_NS = "/proc/thread-self/ns/net";

/** A function that `run` accepts: anything but one that returns a promise. */
type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

/** The calling thread's namespace as a descriptor; the caller closes it. */
export function openCurrent(): number {
  return openFd(THREAD_NS, O.RDONLY);
}

/** Runs `fn` inside the namespace at `path` (or of an open descriptor) and comes back, whatever happens. */
export function run<T>(namespace: string | number, fn: () => Synchronous<T>): T {
  const home = openCurrent();
  try {
    const target = typeof namespace === "number" ? namespace : openFd(namespace, O.RDONLY);
    try {
      check(libc.setns(target, CLONE_NEWNET), "setns", String(namespace));
    } finally {
      if (typeof namespace === "string") closeFd(target);
    }
    try {
      return fn() as T;
    } finally {
      check(libc.setns(home, CLONE_NEWNET), "setns", "the namespace we came from");
    }
  } finally {
    closeFd(home);
  }
}

/** Takes the calling thread into the namespace of an open descriptor, to stay. */
export function enter(namespace: number): void {
  check(libc.setns(namespace, CLONE_NEWNET), "setns", String(namespace));
}

/** True when the calling thread may enter the namespace that it is in, and so come back to it from another. */
export function canReturn(): boolean {
  const home = openCurrent();
  try {
    return libc.setns(home, CLONE_NEWNET) === 0;
  } finally {
    closeFd(home);
  }
}

/** Makes the directory for pins a shared mount of its own, so that pins made later are seen by every mount namespace. */
function preparePinDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  if (isMountPoint(directory)) return;
  mount(directory, directory, "", MS.BIND | MS.REC);
  mount("none", directory, "", MS.SHARED | MS.REC);
}

/** Makes a new namespace and pins it at `path`. The calling thread stays where it was. */
export function create(path: string): void {
  const home = openCurrent();
  try {
    try {
      createAndStay(path);
    } finally {
      check(libc.setns(home, CLONE_NEWNET), "setns", "the namespace we came from");
    }
  } catch (error) {
    remove(path);
    throw error;
  } finally {
    closeFd(home);
  }
}

/** The same, and the calling thread is in it from then on. */
export function createAndStay(path: string): void {
  leaveForNew();
  pin(path, THREAD_NS);
}

/** Pins a namespace that is there already, such as `/proc/PID/ns/net`. */
export function pin(path: string, namespace: string): void {
  preparePinDirectory(dirname(path));
  pinAt(path, namespace);
}

/** Takes the calling thread into a new namespace that only it holds. */
export function leaveForNew(): void {
  check(libc.unshare(CLONE_NEWNET), "unshare", "network namespace");
}

/** Unpins the namespace at `path` and removes the file; quiet when it is gone already. */
export const remove = unpin;

const NS_GET_NSTYPE = 0xb703;

/** True when `path` is a live namespace: a pin, or a `/proc/PID/ns/net` (ioctl_ns(2)). Nobody has to enter it for that. */
export function isNetns(path: string): boolean {
  if (!existsSync(path)) return false;
  try {
    const fd = openFd(path, O.RDONLY | O.NONBLOCK);
    try {
      return libc.ioctl(fd, NS_GET_NSTYPE, null) === CLONE_NEWNET;
    } finally {
      closeFd(fd);
    }
  } catch {
    return false;
  }
}
