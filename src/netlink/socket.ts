/** A netlink socket: requests with acknowledgement, and dumps. */
import { BugError, SysError } from "../base/errors.ts";
import { errnoName, sysError } from "../sys/errno.ts";
import { closeFd, pipe, writeFd } from "../sys/fd.ts";
import { bytes } from "../sys/mem.ts";
import { AF, MSG, recv, SOCK, SOL_SOCKET, send, setOption, socket } from "../sys/socket.ts";
import {
  emitMessage,
  type Message,
  NLM_F,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseAttributes,
  parseMessages,
  value,
} from "../wire/netlink.ts";

const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const NLMSGERR_ATTR_MSG = 1;
const SO_RCVBUF = 8;
const MAX_DUMP_ATTEMPTS = 10;

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

/** What ps(1) shows of a process that sends a request aside. */
export const ASIDE = "portolan-netlink";

/** What begins and ends a transaction (linux/netfilter/nfnetlink.h). */
const NFNL_MSG_BATCH = { BEGIN: 16, END: 17 } as const;

export interface Request {
  type: number;
  flags: number;
  body: Uint8Array;
}

export class NetlinkSocket implements Disposable {
  #fd: number;
  #seq = 0;
  #buffer = bytes(65536);

  /** Opens a socket in the namespace that the calling thread is in. */
  constructor(protocol = NETLINK_ROUTE) {
    this.#fd = socket(AF.NETLINK, SOCK.RAW, protocol);
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK])
      setOption(this.#fd, SOL_NETLINK, option, 1);
    setOption(this.#fd, SOL_SOCKET, SO_RCVBUF, 1 << 20);
  }

  /** Sends a request and waits for its acknowledgement; gives the messages that came before it. */
  request(what: string, type: number, flags: number, body: Uint8Array): Message[] {
    const seq = this.#send(type, flags | NLM_F.REQUEST | NLM_F.ACK, body);
    const answers: Message[] = [];
    for (;;) {
      for (const message of this.#receive(seq)) {
        if (message.type === NLMSG_ERROR) {
          throwIfError(what, message);
          return answers;
        }
        answers.push(message);
      }
    }
  }

  /**
   * Sends requests to a part of netfilter (`NFNL_SUBSYS_`) that it carries out together: all or, with the first error that
   * it tells of, none.
   */
  transaction(what: string, subsystem: number, requests: readonly Request[]): void {
    // `nfgenmsg`: no family, version 0, and the part in network order.
    const about = Uint8Array.of(0, 0, subsystem >> 8, subsystem & 0xff);
    const pieces = [this.#message(NFNL_MSG_BATCH.BEGIN, NLM_F.REQUEST, about)];
    // One number for all of them: each is answered.
    for (const { type, flags, body } of requests)
      pieces.push(this.#message(type, flags | NLM_F.REQUEST | NLM_F.ACK, body, 0));
    pieces.push(this.#message(NFNL_MSG_BATCH.END, NLM_F.REQUEST, about, 0));
    const whole = bytes(pieces.reduce((size, piece) => size + piece.length, 0));
    let end = 0;
    for (const piece of pieces) {
      whole.set(piece, end);
      end += piece.length;
    }
    send(this.#fd, whole);
    for (let answers = 0; answers < requests.length; )
      for (const message of this.#receive(this.#seq)) {
        throwIfError(what, message);
        answers++;
      }
  }

  /**
   * Has a process of its own send a request that the kernel is long about. Nobody waits for the answer: whoever asked
   * looks whether it was done. Throws where no such process can be started.
   */
  requestAside(type: number, flags: number, body: Uint8Array): void {
    const [read, write] = pipe();
    try {
      writeFd(write, this.#message(type, flags | NLM_F.REQUEST, body));
      closeFd(write);
      // cat(1) reads the request whole and writes it to the socket, in one piece each.
      const env = { PATH: process.env.PATH ?? "/usr/bin:/bin" };
      Bun.spawn(["cat"], { argv0: ASIDE, stdio: [read, this.#fd, "ignore"], env }).unref();
    } finally {
      closeFd(read);
    }
  }

  /** Asks for a table and gives all of its messages. */
  dump(what: string, type: number, body: Uint8Array): Message[] {
    for (let attempt = 0; attempt < MAX_DUMP_ATTEMPTS; attempt++) {
      const seq = this.#send(type, NLM_F.REQUEST | NLM_F.DUMP, body);
      const rows: Message[] = [];
      let interrupted = false;
      for (let done = false; !done; ) {
        for (const message of this.#receive(seq)) {
          if (message.flags & NLM_F.DUMP_INTR) interrupted = true;
          if (message.type === NLMSG_ERROR) throwIfError(what, message);
          if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
            done = true;
            break;
          }
          rows.push(message);
        }
      }
      if (!interrupted) return rows;
    }
    throw new SysError(
      what,
      4,
      "EINTR",
      "",
      `the table changed during each of ${MAX_DUMP_ATTEMPTS} readings`,
    );
  }

  #send(type: number, flags: number, body: Uint8Array): number {
    send(this.#fd, this.#message(type, flags, body));
    return this.#seq;
  }

  /** A message with the next sequence number, or with that of the last. */
  #message(type: number, flags: number, body: Uint8Array, step: 0 | 1 = 1): Uint8Array {
    if (this.#fd < 0) throw new BugError("a netlink socket was used after it was closed");
    this.#seq = (this.#seq + step) >>> 0;
    return emitMessage({ type, flags, seq: this.#seq, pid: 0, body });
  }

  /** One datagram's messages that answer `seq`; late answers to an earlier request are dropped. */
  #receive(seq: number): Message[] {
    const size = recv(this.#fd, this.#buffer, MSG.PEEK | MSG.TRUNC);
    if (size > this.#buffer.length) this.#buffer = bytes(size);
    const count = recv(this.#fd, this.#buffer);
    return parseMessages(this.#buffer.subarray(0, count)).filter(message => message.seq === seq);
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }
}

/** `nlmsgerr`: a negative errno, the request's header, and with NLM_F_ACK_TLVS the kernel's sentence. */
function throwIfError(what: string, message: Message): void {
  const view = new DataView(message.body.buffer, message.body.byteOffset, message.body.byteLength);
  const errno = -view.getInt32(0, true);
  if (errno === 0) return;
  let sentence = "";
  if (message.flags & NLM_F.ACK_TLVS) {
    const original = message.flags & NLM_F.CAPPED ? 16 : (view.getUint32(4, true) + 3) & ~3;
    const text = parseAttributes(message.body.subarray(4 + original)).find(
      one => one.type === NLMSGERR_ATTR_MSG,
    );
    if (text) sentence = value.string(text.value);
  }
  if (sentence) throw new SysError(what, errno, errnoName(errno), "", sentence);
  throw sysError(what, errno);
}
