/**
 * flock(2): locks that the kernel drops when their holder dies, however it dies. The whole engine's mutual exclusion,
 * and the way to tell a command that is still at work from one that was killed.
 */
import { fstatSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { ERRNO, sysError } from "./errno.ts";
import { closeFd, O, openFd } from "./fd.ts";
import { errnoNow, libc } from "./libc.ts";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

export interface LockOptions {
  shared?: boolean;
  /** File mode when the lock file has to be made. */
  mode?: number;
  /**
   * Asked when the lock is given up: true where what it stood for is gone, and the file goes too. All who take such a lock
   * must give this: who has waited for a file that is gone by then waits anew, for the one that is there now.
   */
  isGone?: () => boolean;
}

const held = new Set<number>();

/**
 * Descriptors of all locks that this process holds. A process that gets them (SCM_RIGHTS) holds the locks too, until it
 * closes them: what it does on behalf of one that was killed is then over before anybody else begins.
 */
export function heldLocks(): number[] {
  return [...held];
}

/** A lock that is held. Closing it gives the lock up; the file stays, unless `isGone` was given and says otherwise. */
export class Lock implements Disposable {
  #fd: number;
  readonly #path: string;
  readonly #isGone: LockOptions["isGone"];
  constructor(fd: number, path: string, { isGone }: LockOptions) {
    this.#fd = fd;
    this.#path = path;
    this.#isGone = isGone;
    held.add(fd);
  }
  get fd(): number {
    return this.#fd;
  }
  release(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    try {
      // Only the holder removes it, so the name is this file's still.
      if (this.#isGone?.()) rmSync(this.#path, { force: true });
    } finally {
      held.delete(fd);
      closeFd(fd);
    }
  }
  [Symbol.dispose](): void {
    this.release();
  }
}

function open(path: string, options: LockOptions): number {
  mkdirSync(dirname(path), { recursive: true });
  return openFd(path, O.RDONLY | O.CREAT, options.mode ?? 0o600);
}

/** True where the holder before us removed the file that we have just locked. */
const isRemoved = (fd: number, { isGone }: LockOptions) => isGone !== undefined && fstatSync(fd).nlink === 0;

/** Waits for the lock. Blocks the thread: hold locks for short work only. */
export function lock(path: string, options: LockOptions = {}): Lock {
  for (;;) {
    const fd = open(path, options);
    while (libc.flock(fd, options.shared ? LOCK_SH : LOCK_EX) !== 0) {
      const errno = errnoNow();
      if (errno === ERRNO.EINTR) continue;
      closeFd(fd);
      throw sysError("flock", errno, path);
    }
    if (!isRemoved(fd, options)) return new Lock(fd, path, options);
    closeFd(fd);
  }
}

/** Takes the lock if it is free; undefined when somebody else holds it. */
export function tryLock(path: string, options: LockOptions = {}): Lock | undefined {
  for (;;) {
    const fd = open(path, options);
    if (libc.flock(fd, (options.shared ? LOCK_SH : LOCK_EX) | LOCK_NB) !== 0) {
      const errno = errnoNow();
      closeFd(fd);
      if (errno === ERRNO.EAGAIN) return undefined;
      throw sysError("flock", errno, path);
    }
    if (!isRemoved(fd, options)) return new Lock(fd, path, options);
    closeFd(fd);
  }
}

/** Runs `fn` with the lock held and gives it up afterwards. */
export function withLock<T>(path: string, fn: () => T, options: LockOptions = {}): T {
  using _held = lock(path, options);
  return fn();
}
