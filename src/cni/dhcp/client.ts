/**
 * A DHCP client (RFC 2131, 4.4) as a function of frames and of a clock: it has no socket, no timer and no dice of its own.
 * Times are milliseconds of a monotonic clock.
 */
import { parseIP } from "../../wire/addr.ts";
import { DHCP_OPERATION, DHCP_OPTION, DHCP_TYPE, emitDhcp, parseDhcp } from "../../wire/dhcp.ts";
import { type LeaseFacts, readLease } from "../../wire/dhcp-lease.ts";
import { clientFrame, type End, EVERYBODY, messageOf, NO_ADDRESS } from "./frame.ts";

export interface Timing {
  /** How long a server that offered is asked for what it offered, before all are asked anew. */
  timeout: number;
  /** The longest pause between two messages. */
  resendMax: number;
  /** How long there may be no lease. */
  resendTimeout: number;
}

export interface ClientSettings {
  /** Hardware address, six bytes. */
  mac: Uint8Array;
  /** Value of the client identifier, with the byte of its type before it (RFC 2132, 9.14). */
  clientId: Uint8Array;
  /** Options that the server is told, by their number. */
  provide: ReadonlyMap<number, Uint8Array>;
  /** Options that it is asked for. */
  request: readonly number[];
  /** Answers are to be broadcast. */
  broadcast: boolean;
  timing: Timing;
}

export interface Lease extends LeaseFacts {
  /** When its time began. */
  since: number;
  /** The server's identifier, `192.0.2.1`, and the hardware address by which it is reached. */
  server: string;
  serverMac: Uint8Array;
}

export interface ClientEvents {
  send(frame: Uint8Array<ArrayBuffer>): void;
  /** There is a lease, or it has a new time. */
  bound(lease: Lease): void;
  /** None could be had. */
  failed(why: string): void;
  /** It is over: the server took it back, or its time is up. */
  lost(why: string): void;
}

type State = "idle" | "selecting" | "requesting" | "bound" | "renewing" | "rebinding";

/** The first pause; the next ones are twice as long each, and none is what another machine's is (RFC 2131, 4.1). */
const FIRST_PAUSE = 1000;
/** Nobody asks more often for a longer lease (RFC 2131, 4.4.5). */
const LEAST_RENEWAL_PAUSE = 60_000;
const MAX_MESSAGE = 1500;
const BROADCAST_FLAG = 0x8000;
const NEVER = Number.POSITIVE_INFINITY;

export class DhcpClient {
  /** When `tick` wants to be called. */
  due = NEVER;
  lease: Lease | undefined;
  private state: State = "idle";
  private transaction = 0;
  private began = 0;
  private sentAt = 0;
  private pause = FIRST_PAUSE;
  private offer: { address: Uint8Array; server: Uint8Array; until: number } | undefined;
  /** What the last server that refused said, if one did. */
  private refusal: string | undefined;

  /** `random` gives numbers from 0 up to 1. */
  constructor(
    private readonly settings: ClientSettings,
    private readonly events: ClientEvents,
    private readonly random: () => number,
  ) {}

  /** True while answers are awaited. */
  get listens(): boolean {
    return this.state !== "idle" && this.state !== "bound";
  }

  /** Asks for an address. */
  start(now: number): void {
    this.began = now;
    this.pause = FIRST_PAUSE;
    this.refusal = undefined;
    this.discover(now);
  }

  /** Goes on with a lease that was had before. */
  resume(lease: Lease, now: number): void {
    this.hold(lease);
    this.tick(now);
  }

  tick(now: number): void {
    const { lease } = this;
    if (now < this.due) return;
    if (!lease) {
      if (this.state !== "idle") this.again(now);
    } else if (now >= lease.since + lease.lease * 1000) this.lose("its time is up, and no server gave more");
    else {
      const rebinds = now >= lease.since + lease.rebinding * 1000;
      this.state = rebinds ? "rebinding" : "renewing";
      this.transaction = this.dice();
      this.began = now;
      this.extend(now, lease);
    }
  }

  /** A frame that came for this client, or for anybody. */
  receive(frame: Uint8Array, now: number): void {
    const came = this.listens ? messageOf(frame) : undefined;
    const answer = came && parseDhcp(came.message);
    if (!answer || answer.operation !== DHCP_OPERATION.REPLY || answer.transaction !== this.transaction)
      return;
    if (!isSame(answer.mac, this.settings.mac)) return;
    const server = answer.options.get(DHCP_OPTION.SERVER_IDENTIFIER);
    const type = answer.options.get(DHCP_OPTION.MESSAGE_TYPE)?.[0];
    if (server?.length !== 4) return;
    if (this.state === "selecting") {
      if (type !== DHCP_TYPE.OFFER || !readLease(answer)) return;
      this.offer = { address: answer.your, server, until: now + this.settings.timing.timeout };
      this.state = "requesting";
      this.pause = FIRST_PAUSE;
      this.select(now);
      return;
    }
    if (this.state === "requesting" && !isSame(server, this.offer!.server)) return;
    if (type === DHCP_TYPE.NAK) {
      this.refused(answer.options.get(DHCP_OPTION.MESSAGE), now);
      return;
    }
    const facts = type === DHCP_TYPE.ACK ? readLease(answer) : undefined;
    // A server that gives another address than the one that is in use has not extended anything.
    if (!facts || (this.lease && facts.address !== this.lease.address)) return;
    const lease: Lease = { ...facts, since: this.sentAt, server: server.join("."), serverMac: came.mac };
    this.hold(lease);
    this.events.bound(lease);
  }

  /** Gives the lease back, if there is one, and ends. */
  release(): void {
    const { lease } = this;
    if (lease) {
      this.transaction = this.dice();
      const options = new Map<number, Uint8Array>([[DHCP_OPTION.SERVER_IDENTIFIER, bytesOf(lease.server)]]);
      this.send(DHCP_TYPE.RELEASE, bytesOf(lease.address), options, serverOf(lease), this.began);
    }
    this.stop();
  }

  /** Ends; the server hears nothing of it. */
  stop(): void {
    this.state = "idle";
    this.lease = undefined;
    this.due = NEVER;
  }

  private hold(lease: Lease): void {
    this.lease = lease;
    this.state = "bound";
    this.due = lease.since + lease.renewal * 1000;
  }

  private lose(why: string): void {
    this.stop();
    this.events.lost(why);
  }

  private discover(now: number): void {
    this.state = "selecting";
    this.offer = undefined;
    this.transaction = this.dice();
    this.send(DHCP_TYPE.DISCOVER, NO_ADDRESS, this.wishes(), EVERYBODY, now);
    this.wait(now);
  }

  /** Asks for the address that was offered (RFC 2131, 4.3.2). */
  private select(now: number): void {
    const { address, server } = this.offer!;
    const options = this.wishes();
    options.set(DHCP_OPTION.REQUESTED_ADDRESS, address);
    options.set(DHCP_OPTION.SERVER_IDENTIFIER, server);
    this.send(DHCP_TYPE.REQUEST, NO_ADDRESS, options, EVERYBODY, now);
    this.wait(now);
  }

  /** Nobody has answered. */
  private again(now: number): void {
    const { resendTimeout, resendMax } = this.settings.timing;
    if (now >= this.began + resendTimeout) {
      this.stop();
      const seconds = Math.round(resendTimeout / 1000);
      const but = this.refusal === undefined ? "" : `; the last answer was a refusal${this.refusal}`;
      this.events.failed(`no more tries: no DHCP server gave an address within ${seconds} s${but}`);
      return;
    }
    this.pause = Math.min(this.pause * 2, resendMax);
    if (this.offer && now < this.offer.until) this.select(now);
    else this.discover(now);
  }

  /** Asks for more time: the server that gave the lease, or in the end any. */
  private extend(now: number, lease: Lease): void {
    const to = this.state === "renewing" ? serverOf(lease) : EVERYBODY;
    this.send(DHCP_TYPE.REQUEST, bytesOf(lease.address), this.wishes(), to, now);
    const end = lease.since + (this.state === "renewing" ? lease.rebinding : lease.lease) * 1000;
    this.due = Math.min(now + Math.max((end - now) / 2, LEAST_RENEWAL_PAUSE), end);
  }

  private refused(message: Uint8Array | undefined, now: number): void {
    const words = new TextDecoder().decode(message).replaceAll(/[^\x20-\x7e]/g, "");
    this.refusal = words && `, ${JSON.stringify(words)}`;
    if (this.lease) {
      this.lose(`the server took it back${this.refusal}`);
      return;
    }
    // Asked again at once, a server that refuses what it offers would be asked without end.
    this.offer = undefined;
    this.state = "selecting";
    this.transaction = this.dice();
    this.wait(now);
  }

  private wait(now: number): void {
    const { resendTimeout } = this.settings.timing;
    const pause = this.pause * (0.75 + this.random() / 2);
    this.due = Math.min(now + pause, this.began + resendTimeout);
  }

  private wishes(): Map<number, Uint8Array> {
    const { provide, request } = this.settings;
    const options = new Map<number, Uint8Array>(provide);
    if (request.length > 0) options.set(DHCP_OPTION.PARAMETER_LIST, Uint8Array.from(request));
    return options.set(DHCP_OPTION.MAX_SIZE, Uint8Array.of(MAX_MESSAGE >> 8, MAX_MESSAGE & 0xff));
  }

  private send(
    type: number,
    client: Uint8Array,
    wishes: Map<number, Uint8Array>,
    to: End,
    now: number,
  ): void {
    const { mac, clientId, broadcast } = this.settings;
    const options = new Map<number, Uint8Array>([
      [DHCP_OPTION.MESSAGE_TYPE, Uint8Array.of(type)],
      [DHCP_OPTION.CLIENT_IDENTIFIER, clientId],
      ...wishes,
    ]);
    // Whatever the server is told besides, the kind of message is ours.
    options.set(DHCP_OPTION.MESSAGE_TYPE, Uint8Array.of(type));
    const message = emitDhcp({
      operation: DHCP_OPERATION.REQUEST,
      transaction: this.transaction,
      seconds: Math.min(Math.max(Math.floor((now - this.began) / 1000), 0), 0xffff),
      flags: broadcast && client === NO_ADDRESS ? BROADCAST_FLAG : 0,
      client,
      your: NO_ADDRESS,
      server: NO_ADDRESS,
      relay: NO_ADDRESS,
      mac,
      options,
    });
    this.sentAt = now;
    this.events.send(clientFrame({ mac, ip: client }, to, message));
  }

  private dice(): number {
    return Math.floor(this.random() * 0x1_0000_0000);
  }
}

const bytesOf = (text: string) => parseIP(text)!.bytes;
const serverOf = ({ server, serverMac }: Lease): End => ({ mac: serverMac, ip: bytesOf(server) });

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
