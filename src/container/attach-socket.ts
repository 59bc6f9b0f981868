/**
 * conmon's attach socket (SEQPACKET). Each packet from it is one byte that names the stream, then up to 8 KiB of output;
 * bare bytes go the other way, and shutting down the sending side is the end of input. Bun has no such sockets: a pool
 * thread waits in read(2), so the event loop stays free, and conmon waits for us when we are slow, so nothing is lost.
 */
import { read } from "node:fs";
import { basename, dirname, join } from "node:path";
import { hasCode } from "../base/errors.ts";
import { closeFd, O, openFd } from "../sys/fd.ts";
import {
  AF,
  connect,
  MSG,
  SOCK,
  send,
  shutdownBoth,
  shutdownWrite,
  socket,
  unixAddress,
} from "../sys/socket.ts";

/** conmon takes no more than this at once; the rest of a larger packet would be cut off. */
const PACKET = 8192;
const STDERR = 3;

export class AttachSocket {
  readonly #fd: number;
  #open = true;
  #inputOpen = true;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Connects to the socket; its path may be longer than a socket address can be. */
  static connect(path: string): AttachSocket {
    const directory = openFd(dirname(path), O.PATH | O.DIRECTORY);
    try {
      const fd = socket(AF.UNIX, SOCK.SEQPACKET);
      try {
        connect(fd, unixAddress(join(`/proc/self/fd/${directory}`, basename(path))), path);
        return new AttachSocket(fd);
      } catch (error) {
        closeFd(fd);
        throw error;
      }
    } finally {
      closeFd(directory);
    }
  }

  /** Hands every piece of output to `take`, in order, until conmon has sent the last one or `leave` is called. */
  async pump(take: (data: Uint8Array, isError: boolean) => void | Promise<void>): Promise<void> {
    const buffer = Buffer.alloc(1 + PACKET);
    try {
      for (;;) {
        const count = await this.#read(buffer);
        if (count === 0) return;
        await take(buffer.subarray(1, count), buffer[0] === STDERR);
      }
    } finally {
      this.#open = false;
      closeFd(this.#fd);
    }
  }

  #read(buffer: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#fd, buffer, 0, buffer.length, null, (error, count) => {
        if (!error) resolve(count);
        else if (hasCode(error, "ECONNRESET")) resolve(0);
        else reject(error);
      });
    });
  }

  /** Sends input; waits while the container does not read it. Input for a container that has ended is dropped. */
  async write(data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.length && this.#open && this.#inputOpen; ) {
      try {
        // A copy: the pieces that streams give may be views, and the kernel reads where the bytes are now.
        done += send(this.#fd, data.slice(done, done + PACKET), MSG.DONTWAIT);
      } catch (error) {
        if (hasCode(error, "EPIPE", "ECONNRESET", "ENOTCONN")) return;
        if (!hasCode(error, "EAGAIN")) throw error;
        await Bun.sleep(2);
      }
    }
  }

  /** The end of input. */
  endInput(): void {
    if (!this.#open || !this.#inputOpen) return;
    this.#inputOpen = false;
    try {
      shutdownWrite(this.#fd);
    } catch (error) {
      if (!hasCode(error, "ENOTCONN")) throw error;
    }
  }

  /** Lets go of the socket: `pump` ends, the container goes on. */
  leave(): void {
    if (this.#open) shutdownBoth(this.#fd);
  }
}
