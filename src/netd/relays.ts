/**
 * Callers of published TCP ports whose bytes do not pass the stack: from socket to socket by splice(2), the guest's end
 * being a socket of its own namespace (`transparent.ts`). Half-closes, resets and refusals are passed on as they come.
 */
import type { Endpoint } from "../stack/endpoint.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO } from "../sys/errno.ts";
import { closeSocket, getInt, LEVEL, resetOnClose, SO, shutdownSending } from "../sys/inet.ts";
import { closePipe, openPipe, type Pipe, splicePart } from "../sys/splice.ts";
import type { Loop, Ready, Turn } from "./loop.ts";
import { TransparentSockets } from "./transparent.ts";

/** Bytes that one splice may move. */
const PART = 1 << 20;
/** Moves of one direction at one wake-up, so that others get their turn. */
const BATCH = 8;
/** Pipes that are kept for the next callers. */
const SPARE_PIPES = 32;

/** One direction. */
interface Stream {
  from: number;
  to: number;
  pipe: Pipe;
  /** Bytes in the pipe. */
  held: number;
  /** The sender has said its last. */
  ended: boolean;
  /** That was passed on. */
  over: boolean;
}

interface Relay {
  caller: number;
  inside: number;
  connected: boolean;
  /** Where the guest refuses: what happens to the caller, of whom nothing was read. Absent: it is refused. */
  otherwise: (() => void) | undefined;
  streams: readonly [Stream, Stream];
}

export class Relays implements Ready, Turn {
  due = Number.POSITIVE_INFINITY;
  touched = false;
  private readonly sockets = new TransparentSockets();
  private readonly relays = new Map<number, Relay>();
  /** Those with more to move than one wake-up allows. */
  private readonly unfinished = new Set<Relay>();
  private readonly pipes: Pipe[] = [];

  constructor(private readonly loop: Loop) {
    loop.join(this);
  }

  /** Sockets of the guest's namespace, ours from now on. */
  give(fds: readonly number[]): void {
    this.sockets.give(fds);
  }

  /**
   * Connects a caller, who shall appear as `address`, to the guest endpoint `to`. False when that can't be done in this way;
   * then the caller is as it was. A caller whom the guest refuses goes back to `otherwise` if that is there.
   */
  take(caller: number, address: Uint8Array, to: Endpoint, otherwise?: () => void): boolean {
    const inside = this.sockets.connect(address, to);
    if (inside < 0) return false;
    const out = this.pipe();
    const back = out && this.pipe();
    if (!out || !back) {
      if (out) this.pipes.push(out);
      this.sockets.release(inside);
      return false;
    }
    const stream = (from: number, to: number, pipe: Pipe): Stream => ({
      ...{ from, to, pipe, held: 0, ended: false, over: false },
    });
    const relay: Relay = {
      caller,
      inside,
      connected: false,
      otherwise,
      streams: [stream(caller, inside, out), stream(inside, caller, back)],
    };
    for (const fd of [caller, inside]) {
      this.relays.set(fd, relay);
      const result = this.loop.add(fd, EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP | EPOLL.ET, this);
      if (result < 0) {
        this.end(relay, true);
        return true;
      }
    }
    return true;
  }

  private pipe(): Pipe | undefined {
    const spare = this.pipes.pop();
    if (spare) return spare;
    const pipe = openPipe();
    return typeof pipe === "number" ? undefined : pipe;
  }

  ready(_now: number, fd: number, events: number): void {
    const relay = this.relays.get(fd);
    if (!relay) return;
    if (!relay.connected) {
      if (fd !== relay.inside || (events & (EPOLL.OUT | EPOLL.ERR | EPOLL.HUP)) === 0) return;
      relay.connected = getInt(fd, LEVEL.SOCKET, SO.ERROR) === 0;
    }
    if (relay.connected) this.move(relay);
    else if (relay.otherwise === undefined) this.end(relay, true);
    else {
      this.letGo(relay);
      this.loop.unwatch(relay.caller);
      relay.otherwise();
    }
  }

  run(): void {
    this.due = Number.POSITIVE_INFINITY;
    const relays = [...this.unfinished];
    this.unfinished.clear();
    for (const relay of relays) this.move(relay);
  }

  private move(relay: Relay): void {
    const [out, back] = relay.streams;
    const [first, second] = [moveStream(out), moveStream(back)];
    if (first < 0 || second < 0) this.end(relay, true);
    else if (out.over && back.over) this.end(relay, false);
    else if (first > 0 || second > 0) {
      this.unfinished.add(relay);
      this.due = 0;
    }
  }

  /** Ends both sides; `reset`: neither shall take it for an orderly end. */
  private end(relay: Relay, reset: boolean): void {
    const { caller } = relay;
    this.letGo(relay);
    this.loop.forget(caller);
    if (reset) resetOnClose(caller);
    closeSocket(caller);
  }

  /** Forgets a relay and gives back what it had; the caller's socket stays as it is. */
  private letGo(relay: Relay): void {
    const { caller, inside, streams } = relay;
    this.unfinished.delete(relay);
    for (const fd of [caller, inside]) this.relays.delete(fd);
    this.loop.unwatch(inside);
    this.sockets.release(inside);
    for (const { pipe, held } of streams)
      if (held === 0 && this.pipes.length < SPARE_PIPES) this.pipes.push(pipe);
      else closePipe(pipe);
  }

  close(): void {
    for (const relay of new Set(this.relays.values())) this.end(relay, true);
    for (const pipe of this.pipes.splice(0)) closePipe(pipe);
    this.sockets.close();
    this.loop.leave(this);
  }
}

/** Moves what can be moved: 0, 1 when there is more, or a negative errno. */
function moveStream(stream: Stream): number {
  for (let count = 0; count < BATCH; count++) {
    let moved = 0;
    if (!stream.ended) {
      const came = splicePart(stream.from, stream.pipe.write, PART);
      if (came > 0) {
        stream.held += came;
        moved += came;
      } else if (came === 0) stream.ended = true;
      else if (came !== -ERRNO.EAGAIN) return came;
    }
    if (stream.held > 0) {
      const went = splicePart(stream.pipe.read, stream.to, stream.held);
      if (went > 0) {
        stream.held -= went;
        moved += went;
      } else if (went !== -ERRNO.EAGAIN) return went < 0 ? went : -ERRNO.EPIPE;
    }
    if (stream.ended && stream.held === 0 && !stream.over) {
      stream.over = true;
      shutdownSending(stream.to);
    }
    if (moved === 0) return 0;
  }
  return 1;
}
