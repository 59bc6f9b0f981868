/** One query to the host's resolvers by TCP, and its answer. */
import { Timer } from "../stack/timers.ts";
import { EPOLL } from "../sys/epoll.ts";
import { ERRNO } from "../sys/errno.ts";
import { closeSocket, receivePart, sendPart } from "../sys/inet.ts";
import { bytes } from "../sys/mem.ts";
import { emitError, RCODE } from "../wire/dns.ts";
import type { Answered } from "./dns.ts";
import { connectToResolver, type ResolverConnection } from "./dns-connect.ts";
import type { Ready } from "./loop.ts";

/** Milliseconds until the asker hears that nobody answered; as by UDP. */
const PATIENCE = 4800;
const DNS_PORT = 53;

const buffer = bytes(65_537);

export class StreamQuery implements Ready {
  private fd = -1;
  private readonly end = new Timer(() => this.fail());
  /** With its length before it; what is not sent yet. */
  private unsent: Uint8Array<ArrayBuffer>;
  private heard = Buffer.alloc(0);

  constructor(
    private readonly way: Omit<ResolverConnection, "port" | "sink">,
    private readonly message: Uint8Array,
    private readonly done: Answered,
  ) {
    this.unsent = bytes(2 + message.length);
    new DataView(this.unsent.buffer).setUint16(0, message.length);
    this.unsent.set(message, 2);
  }

  start(): void {
    const now = performance.now();
    this.fd = connectToResolver({ ...this.way, port: DNS_PORT, sink: this });
    // Whoever asked is still in the middle of it: a failure is told a little later.
    this.way.loop.timers.set(this.end, this.fd < 0 ? now : now + PATIENCE);
  }

  /** Edge-triggered. */
  ready(_now: number, fd: number, events: number): void {
    const result = events & EPOLL.ERR ? -ERRNO.EIO : this.converse(fd);
    if (typeof result !== "number") this.finish(result);
    else if (result !== -ERRNO.EAGAIN) this.fail();
  }

  /** Sends and reads what can be: the answer once it is whole, or a negative errno. */
  private converse(fd: number): Uint8Array | number {
    while (this.unsent.length > 0) {
      const sent = sendPart(fd, this.unsent, 0, this.unsent.length);
      if (sent < 0) return sent;
      const rest = bytes(this.unsent.length - sent);
      rest.set(this.unsent.subarray(sent));
      this.unsent = rest;
    }
    for (;;) {
      const length = receivePart(fd, buffer, 0, buffer.length);
      if (length < 0) return length;
      if (length === 0) return -ERRNO.EPIPE;
      this.heard = Buffer.concat([this.heard, buffer.subarray(0, length)]);
      const end = this.heard.length < 2 ? Number.POSITIVE_INFINITY : 2 + this.heard.readUInt16BE(0);
      if (end <= this.heard.length) return this.heard.subarray(2, end);
    }
  }

  private fail(): void {
    this.finish(emitError(this.message, RCODE.SERVFAIL));
  }

  private finish(answer: Uint8Array): void {
    this.close();
    const own = bytes(answer.length);
    own.set(answer);
    this.done(own);
  }

  close(): void {
    const { loop } = this.way;
    loop.timers.cancel(this.end);
    if (this.fd < 0) return;
    loop.forget(this.fd);
    closeSocket(this.fd);
    this.fd = -1;
  }
}
