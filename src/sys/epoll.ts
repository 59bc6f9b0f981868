/** epoll(7): one call tells which of many descriptors are ready. Failures of the packet path are negative errno values. */
import { check, ERRNO, sysError } from "./errno.ts";
import { errnoNow } from "./libc.ts";
import { addressOf, bytes } from "./mem.ts";
import { packetLibc } from "./packet-libc.ts";

/** Bits of epoll_ctl(2). */
export const EPOLL = {
  IN: 0x1,
  PRI: 0x2,
  OUT: 0x4,
  ERR: 0x8,
  HUP: 0x10,
  RDHUP: 0x2000,
  /** Edge-triggered. */
  ET: 0x80000000,
} as const;

const EPOLL_CLOEXEC = 0o2000000;
const CTL = { ADD: 1, DEL: 2, MOD: 3 } as const;

/** `struct epoll_event`: 32 bits of events, 64 of data, packed only on x86-64. */
const DATA = process.arch === "x64" ? 4 : 8;
const SIZE = DATA + 8;

export class Epoll implements Disposable {
  readonly fd: number;
  private readonly events: Uint8Array<ArrayBuffer>;
  private readonly view: DataView<ArrayBuffer>;
  private readonly one = bytes(SIZE);
  private readonly oneView = new DataView(this.one.buffer);

  /** `capacity`: the most events that one `wait` gives. */
  constructor(private readonly capacity = 256) {
    this.events = bytes(SIZE * capacity);
    this.view = new DataView(this.events.buffer);
    this.fd = check(packetLibc.epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  }

  /** Watches `fd`. `tag` (32 bits) comes back with its events: who closes a descriptor may still meet an event of it. */
  add(fd: number, events: number, tag: number): number {
    return this.control(CTL.ADD, fd, events, tag);
  }

  modify(fd: number, events: number, tag: number): number {
    return this.control(CTL.MOD, fd, events, tag);
  }

  /** Not needed before close(2), unless a copy of the descriptor stays open. */
  remove(fd: number): number {
    return this.control(CTL.DEL, fd, 0, 0);
  }

  private control(operation: number, fd: number, events: number, tag: number): number {
    this.oneView.setUint32(0, events >>> 0, true);
    this.oneView.setInt32(DATA, fd, true);
    this.oneView.setUint32(DATA + 4, tag, true);
    return packetLibc.epoll_ctl(this.fd, operation, fd, addressOf(this.one)) < 0 ? -errnoNow() : 0;
  }

  /** Waits up to `timeoutMs` (-1: for ever); gives how many events there are, 0 also when a signal came. */
  wait(timeoutMs: number): number {
    const count = packetLibc.epoll_wait(this.fd, addressOf(this.events), this.capacity, timeoutMs);
    if (count >= 0) return count;
    const errno = errnoNow();
    if (errno === ERRNO.EINTR) return 0;
    throw sysError("epoll_wait", errno);
  }

  /** Of the event at `index` of the last `wait`: its bits, its descriptor, its tag. */
  eventsAt(index: number): number {
    return this.view.getUint32(index * SIZE, true);
  }
  fdAt(index: number): number {
    return this.view.getInt32(index * SIZE + DATA, true);
  }
  tagAt(index: number): number {
    return this.view.getUint32(index * SIZE + DATA + 4, true);
  }

  [Symbol.dispose](): void {
    packetLibc.close(this.fd);
  }
}
