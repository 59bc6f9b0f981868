/**
 * Datagrams that a guest sends one after the other by one flow, handed to the kernel as one (UDP_SEGMENT): most of what
 * a datagram costs is the way through the host's stack.
 *
 * The first of a batch of frames goes out by itself at once, so a lone datagram, and its error, wait for nothing. Those
 * that follow it in the same flow and of the same size gather until another comes or the batch is over.
 */
import { sendSegments } from "../sys/datagram.ts";
import { ERRNO } from "../sys/errno.ts";
import { copyPart } from "../sys/frame.ts";
import { sendPart } from "../sys/inet.ts";
import { bytes } from "../sys/mem.ts";

/** The kernel's limits: pieces, and bytes in all. */
const MOST_PIECES = 64;
const MOST_BYTES = 65_000;

export class UdpBatch {
  /** Made when first needed: many guests never send two datagrams in a row. */
  private buffer: Uint8Array<ArrayBuffer> | undefined;
  /** Whose datagram came last; -1 at the beginning of a batch of frames. */
  private last = -1;
  /** Whose datagrams have gathered. */
  private handle = -1;
  private count = 0;
  private length = 0;
  private size = 0;
  /** Sockets whose path takes no segments. */
  private readonly unable = new Set<number>();

  /** `failed` hears of what a gathered datagram met: a positive errno. */
  constructor(private readonly failed: (handle: number, errno: number) => void) {}

  /** Sends, or gathers; `length`, or a negative errno. */
  send(handle: number, data: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    if (handle !== this.last || length === 0 || this.unable.has(handle)) {
      if (this.count > 0) this.flush();
      this.last = handle;
      return sendPart(handle, data, start, length);
    }
    if (this.count > 0 && !this.fits(length)) this.flush();
    if (length > MOST_BYTES) return sendPart(handle, data, start, length);
    if (this.count === 0) {
      this.handle = handle;
      this.size = length;
    }
    this.buffer ??= bytes(MOST_BYTES);
    copyPart(this.buffer, this.length, data, start, length);
    this.length += length;
    this.count++;
    // A shorter one can only be the last.
    if (length < this.size) this.flush();
    return length;
  }

  private fits(length: number): boolean {
    return length <= this.size && this.length + length <= MOST_BYTES && this.count < MOST_PIECES;
  }

  /** The batch of frames is over. */
  end(): void {
    if (this.count > 0) this.flush();
    this.last = -1;
  }

  /** `handle` is about to be closed. */
  release(handle: number): void {
    if (this.handle === handle && this.count > 0) this.flush();
    this.unable.delete(handle);
    if (this.last === handle) this.last = -1;
  }

  private flush(): void {
    const { handle, length, size, count } = this;
    const buffer = this.buffer!;
    this.count = 0;
    this.length = 0;
    const sent = count === 1 ? -ERRNO.EINVAL : sendSegments(handle, buffer, 0, length, size);
    if (sent >= 0 || sent === -ERRNO.EAGAIN) return;
    if (count > 1 && (sent === -ERRNO.EINVAL || sent === -ERRNO.EIO)) this.unable.add(handle);
    for (let at = 0; at < length; at += size) {
      const result = sendPart(handle, buffer, at, Math.min(size, length - at));
      if (result < 0 && result !== -ERRNO.EAGAIN && result !== -ERRNO.ENOBUFS) this.failed(handle, -result);
    }
  }
}
