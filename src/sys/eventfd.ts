/** eventfd(2): a descriptor that one side makes ready and the other waits for. */
import { check } from "./errno.ts";
import { closeFd } from "./fd.ts";
import { addressOf, bytes } from "./mem.ts";
import { packetLibc } from "./packet-libc.ts";

const NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;

export class EventFd implements Disposable {
  readonly fd = check(packetLibc.eventfd(0, NONBLOCK_CLOEXEC), "eventfd");
  private readonly word = bytes(8);

  /** Makes the descriptor readable. */
  signal(): void {
    this.word[0] = 1;
    packetLibc.write(this.fd, addressOf(this.word), 8);
  }

  /** Takes the signals back; true when there was one. */
  clear(): boolean {
    return packetLibc.read(this.fd, addressOf(this.word), 8) === 8;
  }

  [Symbol.dispose](): void {
    closeFd(this.fd);
  }
}
