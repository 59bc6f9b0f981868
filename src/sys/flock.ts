/**
 * flock(2): locks that the kernel drops when their holder dies, however it dies. The whole engine's mutual exclusion,
 * and the way to tell a command that is still at work from one that was killed.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { check, ERRNO } from "./errno.ts";
import { closeFd, O, openFd } from "./fd.ts";
import { errnoNow, libc } from "./libc.ts";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

export interface LockOptions {
  shared?: boolean;
  /** File mode when the lock file has to be made. */
  mode?: number;
}

const held = new Set<number>();

/**
 * Descriptors of all locks that this process holds. A process that gets them (SCM_RIGHTS) holds the locks too, until it
 * closes them: what it does on behalf of one that was killed is then over before anybody else begins.
 */
export function heldLocks(): number[] {
  return [...held];
}

/** A lock that is held. Closing it gives the lock up; the file stays, since removing it would split its waiters. */
export class Lock implements Disposable {
  #fd: number;
  constructor(fd: number) {
    this.#fd = fd;
    held.add(fd);
  }
  get fd(): number {
    return this.#fd;
  }
  release(): void {
    if (this.#fd < 0) return;
    held.delete(this.#fd);
    closeFd(this.#fd);
    this.#fd = -1;
  }
  [Symbol.dispose](): void {
    this.release();
  }
}

function open(path: string, options: LockOptions): number {
  mkdirSync(dirname(path), { recursive: true });
  return openFd(path, O.RDONLY | O.CREAT, options.mode ?? 0o600);
}

/** Waits for the lock. Blocks the thread: hold locks for short work only. */
export function lock(path: string, options: LockOptions = {}): Lock {
  const fd = open(path, options);
  for (;;) {
    if (libc.flock(fd, options.shared ? LOCK_SH : LOCK_EX) === 0) return new Lock(fd);
    const errno = errnoNow();
    if (errno === ERRNO.EINTR) continue;
    closeFd(fd);
    check(-1, "flock", path);
  }
}

/** Takes the lock if it is free; undefined when somebody else holds it. */
export function tryLock(path: string, options: LockOptions = {}): Lock | undefined {
  const fd = open(path, options);
  if (libc.flock(fd, (options.shared ? LOCK_SH : LOCK_EX) | LOCK_NB) === 0) return new Lock(fd);
  const errno = errnoNow();
  closeFd(fd);
  if (errno === ERRNO.EAGAIN) return undefined;
  return check(-1, "flock", path) as never;
}

/** Runs `fn` with the lock held and gives it up afterwards. */
export function withLock<T>(path: string, fn: () => T, options: LockOptions = {}): T {
  using _held = lock(path, options);
  return fn();
}
