/**
 * A model of the host's TCP sockets: what they give is a stream of known bytes, what they take is compared with another.
 * How much there is, and how much they take, is told by the test. UDP, ping and DNS are not here.
 */
import { ERRNO } from "../../src/stack/errno.ts";
import type { Destination, Handle, OutFrame, Outside } from "../../src/stack/outside.ts";

/** The byte at `index` of one direction's stream. */
export function streamByte(index: number, direction: "out" | "in"): number {
  return (index * 31 + (index >>> 8) * 7 + (index >>> 16) * 3 + (direction === "out" ? 11 : 101)) & 0xff;
}

export class HostSocket {
  state: "open" | "shut" | "closed" | "reset" = "open";
  /** Bytes from the guest that were taken; each was the right one. */
  taken = 0;
  /** How many more it takes before it says -EAGAIN. */
  room = Number.POSITIVE_INFINITY;
  /** Bytes of its stream that it has given, and that are there. */
  given = 0;
  available = 0;
  ended = false;
  /** What `takeError`, and the next call, answer: a positive errno. */
  error = 0;
  /** Calls of `receive`, for tests of how many are needed. */
  receives = 0;

  constructor(readonly to: Destination) {}
}

export class StreamHost implements Outside {
  readonly sockets: HostSocket[] = [];
  /** What the next `connectTcp` answers instead of a handle, if not 0. */
  refusal = 0;
  onFrame: (frame: OutFrame) => void = () => {};

  /** The socket of a handle that is open; one that is not is the stack's error. */
  private open(handle: Handle): HostSocket {
    const socket = this.sockets[handle];
    if (socket === undefined || socket.state === "closed" || socket.state === "reset")
      throw new Error(`handle ${handle} is ${socket?.state ?? "unknown"}`);
    return socket;
  }

  /** A socket that a published port has accepted. */
  accept(): Handle {
    this.sockets.push(new HostSocket({ kind: "internet", family: 4, address: new Uint8Array(4), port: 0 }));
    return this.sockets.length - 1;
  }

  emit(frame: OutFrame): void {
    this.onFrame(frame);
  }

  connectTcp(to: Destination): Handle {
    if (this.refusal !== 0) return this.refusal;
    this.sockets.push(new HostSocket({ ...to, address: to.address.slice() }));
    return this.sockets.length - 1;
  }

  send(handle: Handle, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    const socket = this.open(handle);
    if (socket.error !== 0) return -socket.error;
    if (socket.state === "shut") throw new Error("sent after shutdown");
    if (length <= 0 || start < 0 || start + length > buffer.length)
      throw new Error("sent from outside of the buffer");
    const count = Math.min(length, socket.room);
    if (count === 0) return -ERRNO.EAGAIN;
    for (let index = 0; index < count; index++)
      if (buffer[start + index] !== streamByte(socket.taken + index, "out"))
        throw new Error(`byte ${socket.taken + index} from the guest is wrong`);
    socket.taken += count;
    socket.room -= count;
    return count;
  }

  receive(handle: Handle, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number {
    const socket = this.open(handle);
    socket.receives++;
    if (length <= 0 || start < 0 || start + length > buffer.length)
      throw new Error("received outside of the buffer");
    const count = Math.min(length, socket.available);
    if (count === 0) return socket.error !== 0 ? -socket.error : socket.ended ? 0 : -ERRNO.EAGAIN;
    for (let index = 0; index < count; index++)
      buffer[start + index] = streamByte(socket.given + index, "in");
    socket.given += count;
    socket.available -= count;
    return count;
  }

  takeError(handle: Handle): number {
    const socket = this.open(handle);
    const { error } = socket;
    socket.error = 0;
    if (error !== 0) socket.ended = true;
    return error;
  }

  shutdownWrite(handle: Handle): void {
    const socket = this.open(handle);
    if (socket.state === "shut") throw new Error("shut twice");
    socket.state = "shut";
  }

  close(handle: Handle): void {
    this.open(handle).state = "closed";
  }

  reset(handle: Handle): void {
    this.open(handle).state = "reset";
  }

  pathMtu(): number {
    return 0;
  }

  openUdp(): Handle {
    throw new Error("no UDP here");
  }

  openPing(): Handle {
    throw new Error("no ping here");
  }

  sendTo(): number {
    throw new Error("no UDP here");
  }

  dnsQuery(): void {
    throw new Error("no DNS here");
  }
}
