/** Long streams between two sockets of this process, which the plane, another process, connects; with checksums. */
import { EPOLL, Epoll } from "../../src/sys/epoll.ts";
import { ERRNO, sysError } from "../../src/sys/errno.ts";
import { setNonBlocking } from "../../src/sys/fd.ts";
import { receivePart, sendPart, shutdownSending } from "../../src/sys/inet.ts";
import { bytes } from "../../src/sys/mem.ts";
import type { TestSocket } from "./test-socket.ts";

const PATTERN = bytes((1 << 20) + 7);
for (let index = 0, state = 1; index < PATTERN.length; index++) {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  PATTERN[index] = state >>> 16;
}

export interface Sum {
  bytes: number;
  sum: string;
}

/** What `count` bytes of the pattern come to. */
export function patternSum(count: number): Sum {
  const hasher = new Bun.CryptoHasher("md5");
  for (let done = 0; done < count; done += PATTERN.length)
    hasher.update(PATTERN.subarray(0, Math.min(PATTERN.length, count - done)));
  return { bytes: count, sum: hasher.digest("hex") };
}

const room = bytes(1 << 20);

/** One end: sends its bytes and then its end, and sums what comes until the other's. */
class End {
  private sent = 0;
  private received = 0;
  private readonly hasher = new Bun.CryptoHasher("md5");
  sum: Sum | undefined;

  constructor(
    private readonly fd: number,
    private readonly count: number,
  ) {
    setNonBlocking(fd, true);
  }

  /** Does what can be done without waiting; true when both directions are over. */
  turn(): boolean {
    while (this.sent < this.count) {
      const at = this.sent % PATTERN.length;
      const taken = sendPart(this.fd, PATTERN, at, Math.min(PATTERN.length - at, this.count - this.sent));
      if (taken === -ERRNO.EAGAIN) break;
      if (taken < 0) throw sysError("send", -taken);
      this.sent += taken;
      if (this.sent === this.count) shutdownSending(this.fd);
    }
    while (!this.sum) {
      const count = receivePart(this.fd, room, 0, room.length);
      if (count === -ERRNO.EAGAIN) break;
      if (count < 0) throw sysError("recv", -count);
      if (count === 0) this.sum = { bytes: this.received, sum: this.hasher.digest("hex") };
      else this.hasher.update(room.subarray(0, count));
      this.received += count;
    }
    return this.sent === this.count && this.sum !== undefined;
  }

  begin(): void {
    if (this.count === 0) shutdownSending(this.fd);
  }
}

/** Sends `out` bytes from `client` to `server` and `back` bytes the other way, both to their ends; what arrived where. */
export function exchange(
  client: TestSocket,
  server: TestSocket,
  out: number,
  back: number,
): { server: Sum; client: Sum } {
  using epoll = new Epoll();
  const ends = [new End(client.fd, out), new End(server.fd, back)] as const;
  for (const [index, { fd }] of [client, server].entries())
    epoll.add(fd, EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP | EPOLL.ET, index);
  for (const end of ends) end.begin();
  for (;;) {
    const over = ends.map(end => end.turn());
    if (over.every(Boolean)) return { client: ends[0].sum!, server: ends[1].sum! };
    if (epoll.wait(20_000) === 0) throw new Error("the stream has stopped");
  }
}
