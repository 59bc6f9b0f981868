/** The daemon's socket: net/rpc by HTTP's CONNECT (`rpc.ts`), one connection a plugin, one request after the other. */
import { errorText } from "../../base/errors.ts";
import { log } from "../../base/log.ts";
import type { Loop, Ready } from "../../netd/loop.ts";
import { EPOLL } from "../../sys/epoll.ts";
import { ERRNO, errnoName } from "../../sys/errno.ts";
import { acceptSocket, closeSocket, receivePart, SocketAddress, sendPart } from "../../sys/inet.ts";
import { bytes } from "../../sys/mem.ts";
import type { Result } from "../types.ts";
import { GobDecoder } from "./gob-decoder.ts";
import { GobEncoder } from "./gob-encoder.ts";
import type { Cancel, Leases } from "./leases.ts";
import {
  ASK_TO_CONNECT,
  CONNECTED,
  type CommandArguments,
  type Head,
  MOST_GREETING,
  NOTHING,
  RESPONSE,
  RESULT,
  toGo,
} from "./rpc.ts";

const received = bytes(65_536);
const peer = new SocketAddress();

/** Accepts plugins from now on; `listening` is a listening Unix socket that does not block. */
export function serveLeases(loop: Loop, listening: number, leases: Leases): void {
  loop.watch(listening, EPOLL.IN, () => {
    for (;;) {
      const fd = acceptSocket(listening, peer);
      if (fd < 0) return;
      const result = loop.add(fd, EPOLL.IN | EPOLL.RDHUP, new Connection(loop, fd, leases));
      if (result < 0) closeSocket(fd);
    }
  });
}

class Connection implements Ready {
  private greeting = "";
  private greeted = false;
  private open = true;
  private readonly decoder = new GobDecoder();
  private readonly encoder = new GobEncoder();
  /** The head whose arguments have not come yet. */
  private head: Head | undefined;
  private cancel: Cancel | undefined;

  constructor(
    private readonly loop: Loop,
    private readonly fd: number,
    private readonly leases: Leases,
  ) {}

  ready(): void {
    while (this.open) {
      const length = receivePart(this.fd, received, 0, received.length);
      if (length === -ERRNO.EAGAIN) return;
      if (length <= 0) {
        this.close();
        return;
      }
      try {
        const data = received.subarray(0, length);
        this.take(this.greeted ? data : this.greet(data));
      } catch (error) {
        log.warn(`a plugin said what is not understood: ${errorText(error)}`);
        this.close();
      }
    }
  }

  /** Gives what comes after the greeting. */
  private greet(data: Uint8Array): Uint8Array {
    this.greeting += Buffer.from(data).toString("latin1");
    const end = /\r?\n\r?\n/.exec(this.greeting);
    if (!end) {
      if (this.greeting.length > MOST_GREETING) throw new Error("its greeting has no end");
      return data.subarray(data.length);
    }
    const [word] = ASK_TO_CONNECT.split(" HTTP/");
    if (!this.greeting.startsWith(word!)) throw new Error(`its greeting is no ${word}`);
    this.greeted = true;
    this.write(Buffer.from(CONNECTED));
    return new Uint8Array(Buffer.from(this.greeting.slice(end.index + end[0].length), "latin1"));
  }

  private take(data: Uint8Array): void {
    this.decoder.push(data);
    for (;;) {
      const value = this.decoder.next();
      if (value === undefined) return;
      if (this.head) {
        const { head } = this;
        this.head = undefined;
        this.call(head, value as CommandArguments);
      } else this.head = value as Head;
    }
  }

  private call(head: Head, asked: CommandArguments): void {
    const answer = (result: Result | undefined, error: string) => this.answer(head, result, error);
    if (head.ServiceMethod === "DHCP.Allocate") this.cancel = this.leases.allocate(asked, answer);
    else if (head.ServiceMethod === "DHCP.Release") this.leases.release(asked, answer);
    else answer(undefined, `rpc: can't find method ${head.ServiceMethod}`);
  }

  private answer({ ServiceMethod, Seq }: Head, result: Result | undefined, error: string): void {
    if (!this.open) return;
    this.write(this.encoder.encode(RESPONSE, { ServiceMethod, Seq, Error: error }));
    this.write(result ? this.encoder.encode(RESULT, toGo(result)) : this.encoder.encode(NOTHING, {}));
  }

  /** An answer is far shorter than a socket's buffer: one that has no room is read by nobody. */
  private write(data: Uint8Array): void {
    const copy = bytes(data.length);
    copy.set(data);
    const sent = sendPart(this.fd, copy, 0, copy.length);
    if (sent === copy.length) return;
    log.warn(`a plugin's answer was not taken: ${sent < 0 ? errnoName(-sent) : "no room"}`);
    this.close();
  }

  private close(): void {
    if (!this.open) return;
    this.open = false;
    this.loop.forget(this.fd);
    closeSocket(this.fd);
    this.cancel?.();
  }
}
