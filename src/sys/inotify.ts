/** inotify(7): that something changed in a directory. */
import { check, ERRNO } from "./errno.ts";
import { closeFd } from "./fd.ts";
import { errnoNow } from "./libc.ts";
import { addressOf, bytes, cstr, textOf } from "./mem.ts";
import { packetLibc } from "./packet-libc.ts";

const IN = {
  CLOSE_WRITE: 0x8,
  MOVED_FROM: 0x40,
  MOVED_TO: 0x80,
  CREATE: 0x100,
  DELETE: 0x200,
  ONLYDIR: 0x1000000,
};
const NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;

export interface DirectoryChange {
  watch: number;
  /** The file's name in the directory that is watched; empty for the directory itself. */
  name: string;
}

export class Inotify implements Disposable {
  /** `fd`: one that was made before; a new one where nothing is said. */
  constructor(readonly fd = check(packetLibc.inotify_init1(NONBLOCK_CLOEXEC), "inotify_init1")) {}

  private readonly buffer = bytes(16384);

  /** Watches a directory for files that are written, made, renamed or removed; gives the watch's number. */
  watchDirectory(path: string): number {
    const mask = IN.CLOSE_WRITE | IN.MOVED_FROM | IN.MOVED_TO | IN.CREATE | IN.DELETE | IN.ONLYDIR;
    return check(
      packetLibc.inotify_add_watch(this.fd, addressOf(cstr(path)), mask),
      "inotify_add_watch",
      path,
    );
  }

  unwatch(watch: number): void {
    packetLibc.inotify_rm_watch(this.fd, watch);
  }

  /** What has changed since it was last asked; empty when nothing has. */
  changes(): DirectoryChange[] {
    const changes: DirectoryChange[] = [];
    const view = new DataView(this.buffer.buffer);
    for (;;) {
      const count = packetLibc.read(this.fd, addressOf(this.buffer), this.buffer.length);
      if (count <= 0) {
        const again = count < 0 && errnoNow() === ERRNO.EINTR;
        if (again) continue;
        return changes;
      }
      for (let at = 0; at + 16 <= count; ) {
        const length = view.getUint32(at + 12, true);
        changes.push({
          watch: view.getInt32(at, true),
          name: textOf(this.buffer.subarray(at + 16, at + 16 + length)),
        });
        at += 16 + length;
      }
    }
  }

  [Symbol.dispose](): void {
    closeFd(this.fd);
  }
}
