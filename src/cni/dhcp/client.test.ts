import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseIP } from "../../wire/addr.ts";
import { DHCP_OPTION, DHCP_TYPE, type DhcpMessage, emitDhcp, parseDhcp } from "../../wire/dhcp.ts";
import { ETHERNET, ETHERTYPE, putEthernet } from "../../wire/ethernet.ts";
import { IPV4, PROTOCOL, putIPv4, sealIPv4 } from "../../wire/ipv4.ts";
import { putUdp, UDP } from "../../wire/udp.ts";
import { DhcpClient, type Lease } from "./client.ts";

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 7);
const SERVER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const ip = (text: string) => parseIP(text)!.bytes;
const seconds = (count: number) => Uint8Array.of(0, 0, count >> 8, count & 0xff);
const TYPES = Object.fromEntries(Object.entries(DHCP_TYPE).map(([name, number]) => [number, name]));

/** What a frame of the client's says, and to whom it goes. */
function read(frame: Uint8Array) {
  const start = ETHERNET.HEADER + IPV4.HEADER + UDP.HEADER;
  const message = parseDhcp(frame.subarray(start))!;
  const to = ETHERNET.HEADER + IPV4.DESTINATION;
  return {
    message,
    type: TYPES[message.options.get(DHCP_OPTION.MESSAGE_TYPE)![0]!]!,
    mac: frame.slice(0, 6),
    to: frame.slice(to, to + 4).join("."),
  };
}

/** A frame from the server to the client. */
function frameOf(message: DhcpMessage): Uint8Array {
  const data = emitDhcp(message);
  const frame = new Uint8Array(ETHERNET.HEADER + IPV4.HEADER + UDP.HEADER + data.length);
  const view = new DataView(frame.buffer);
  putEthernet(view, 0, MAC, SERVER_MAC, ETHERTYPE.IPV4);
  putIPv4(view, 14, 0, 0, 64, PROTOCOL.UDP);
  frame.set(ip("192.0.2.1"), 14 + IPV4.SOURCE);
  sealIPv4(view, frame, 14, frame.length - 14);
  putUdp(view, 34, 67, 68, data.length);
  frame.set(data, 42);
  return frame;
}

class Conversation {
  readonly sent: ReturnType<typeof read>[] = [];
  readonly told: string[] = [];
  lease: Lease | undefined;
  now = 0;
  readonly client: DhcpClient;

  constructor(options: { broadcast?: boolean; provide?: [number, Uint8Array][] } = {}) {
    this.client = new DhcpClient(
      {
        mac: MAC,
        clientId: Uint8Array.from([0, ...Buffer.from("c1/lan/eth0")]),
        provide: new Map(options.provide),
        request: [1, 3],
        broadcast: options.broadcast ?? false,
        timing: { timeout: 10_000, resendMax: 8000, resendTimeout: 60_000 },
      },
      {
        send: frame => void this.sent.push(read(frame)),
        bound: lease => {
          this.lease = lease;
          this.told.push("bound");
        },
        failed: why => void this.told.push(`failed: ${why}`),
        lost: why => void this.told.push(`lost: ${why}`),
      },
      () => 0.5,
    );
  }

  /** What was sent since the last time. */
  types(): string[] {
    this.seen = this.last;
    return this.sent.splice(0).map(({ type, to }) => `${type} ${to}`);
  }

  /** To the moment that the client next wants. */
  wait(): number {
    this.now = this.client.due;
    this.client.tick(this.now);
    return this.now;
  }

  answer(type: number, options: [number, Uint8Array][] = [], parts: Partial<DhcpMessage> = {}): void {
    const asked = this.last;
    const all = new Map<number, Uint8Array>([
      [DHCP_OPTION.MESSAGE_TYPE, Uint8Array.of(type)],
      [DHCP_OPTION.SERVER_IDENTIFIER, ip("192.0.2.1")],
      [DHCP_OPTION.SUBNET_MASK, ip("255.255.255.0")],
      [DHCP_OPTION.LEASE_TIME, seconds(1000)],
      ...options,
    ]);
    const message = { ...asked, operation: 2, your: ip("192.0.2.7"), options: all, ...parts };
    this.client.receive(frameOf(message), this.now);
  }

  private seen: DhcpMessage | undefined;
  /** The last message of the client's, also when it was taken by `types`. */
  get last(): DhcpMessage {
    this.seen = this.sent.at(-1)?.message ?? this.seen;
    return this.seen!;
  }

  bind(): this {
    this.client.start(this.now);
    this.answer(DHCP_TYPE.OFFER);
    this.answer(DHCP_TYPE.ACK);
    this.types();
    return this;
  }
}

test("DISCOVER, OFFER, REQUEST, ACK", () => {
  const talk = new Conversation({ provide: [[12, Buffer.from("web")]] });
  talk.client.start(0);
  const { options } = talk.last;
  expect(Buffer.from(options.get(DHCP_OPTION.CLIENT_IDENTIFIER)!).toString()).toBe("\0c1/lan/eth0");
  expect(Buffer.from(options.get(DHCP_OPTION.HOST_NAME)!).toString()).toBe("web");
  expect([...options.get(DHCP_OPTION.PARAMETER_LIST)!]).toEqual([1, 3]);
  talk.answer(DHCP_TYPE.OFFER);
  expect(talk.last.options.get(DHCP_OPTION.REQUESTED_ADDRESS)).toEqual(ip("192.0.2.7"));
  expect(talk.last.options.get(DHCP_OPTION.SERVER_IDENTIFIER)).toEqual(ip("192.0.2.1"));
  talk.answer(DHCP_TYPE.ACK);
  expect(talk.types()).toEqual(["DISCOVER 255.255.255.255", "REQUEST 255.255.255.255"]);
  expect([talk.told, talk.lease!.address, talk.client.listens, talk.client.due]).toEqual([
    ["bound"],
    "192.0.2.7",
    false,
    500_000,
  ]);
});

test("without an answer it asks ever more rarely, and gives up with a reason", () => {
  const talk = new Conversation();
  talk.client.start(0);
  const at: number[] = [];
  while (talk.told.length === 0) at.push(talk.wait());
  expect(at).toEqual([1000, 3000, 7000, 15_000, 23_000, 31_000, 39_000, 47_000, 55_000, 60_000]);
  expect(new Set(talk.types())).toEqual(new Set(["DISCOVER 255.255.255.255"]));
  expect(talk.told).toEqual(["failed: no more tries: no DHCP server gave an address within 60 s"]);
  expect(talk.client.due).toBe(Number.POSITIVE_INFINITY);
});

test("a server that offered is asked again for what it offered, in the end all are", () => {
  const talk = new Conversation();
  talk.client.start(0);
  talk.answer(DHCP_TYPE.OFFER);
  talk.types();
  const asked: string[] = [];
  while (!asked.includes("DISCOVER 255.255.255.255")) {
    talk.wait();
    asked.push(...talk.types());
  }
  expect(asked).toEqual([
    "REQUEST 255.255.255.255",
    "REQUEST 255.255.255.255",
    "REQUEST 255.255.255.255",
    "DISCOVER 255.255.255.255",
  ]);
});

test("a refusal begins all anew, not at once, and is told at the end", () => {
  const talk = new Conversation();
  talk.client.start(0);
  talk.answer(DHCP_TYPE.OFFER);
  talk.types();
  talk.answer(DHCP_TYPE.NAK, [[DHCP_OPTION.MESSAGE, Buffer.from("no\nleases left")]]);
  expect(talk.types()).toEqual([]);
  talk.wait();
  expect(talk.types()).toEqual(["DISCOVER 255.255.255.255"]);
  while (talk.told.length === 0) talk.wait();
  expect(talk.told[0]).toEndWith('within 60 s; the last answer was a refusal, "noleases left"');
});

test("renewal asks the server that gave, rebinding asks all, and then the time is up", () => {
  const talk = new Conversation().bind();
  expect([talk.wait(), talk.types(), [...talk.last.client]]).toEqual([
    500_000,
    ["REQUEST 192.0.2.1"],
    [192, 0, 2, 7],
  ]);
  // Half of what is left, a minute at least.
  expect([talk.wait(), talk.wait(), talk.wait()]).toEqual([687_500, 781_250, 841_250]);
  expect(talk.wait()).toBe(875_000);
  expect(talk.types().slice(-2)).toEqual(["REQUEST 192.0.2.1", "REQUEST 255.255.255.255"]);
  talk.answer(DHCP_TYPE.ACK, [], { your: ip("192.0.2.8") });
  expect(talk.client.lease!.since).toBe(0);
  talk.answer(DHCP_TYPE.ACK);
  expect([talk.told, talk.client.lease!.since, talk.client.due]).toEqual([
    ["bound", "bound"],
    875_000,
    1_375_000,
  ]);
  while (talk.told.length === 2) talk.wait();
  expect([talk.now, talk.told[2]]).toEqual([1_875_000, "lost: its time is up, and no server gave more"]);
});

test("a server that takes the lease back ends it", () => {
  const talk = new Conversation().bind();
  talk.wait();
  talk.answer(DHCP_TYPE.NAK, [[DHCP_OPTION.MESSAGE, Buffer.from("wrong network")]]);
  expect(talk.told).toEqual(["bound", 'lost: the server took it back, "wrong network"']);
  expect([talk.client.lease, talk.client.due]).toEqual([undefined, Number.POSITIVE_INFINITY]);
});

test("a lease is given back to its server, by its address and under the same name", () => {
  const talk = new Conversation().bind();
  talk.client.release();
  const [{ type, to, mac, message }] = talk.sent as [ReturnType<typeof read>];
  expect([type, to, mac, [...message.client]]).toEqual(["RELEASE", "192.0.2.1", SERVER_MAC, [192, 0, 2, 7]]);
  expect(Buffer.from(message.options.get(DHCP_OPTION.CLIENT_IDENTIFIER)!).toString()).toBe("\0c1/lan/eth0");
  expect(talk.client.due).toBe(Number.POSITIVE_INFINITY);
});

test("a lease that was had before goes on where it was: bound, late, over", () => {
  const { lease } = new Conversation().bind();
  const bound = new Conversation();
  bound.client.resume(lease!, 100_000);
  expect([bound.types(), bound.client.due]).toEqual([[], 500_000]);
  const late = new Conversation();
  late.client.resume(lease!, 600_000);
  expect(late.types()).toEqual(["REQUEST 192.0.2.1"]);
  const over = new Conversation();
  over.client.resume(lease!, 1_000_000);
  expect(over.told).toEqual(["lost: its time is up, and no server gave more"]);
});

test("answers to others, of other servers and of no server change nothing", () => {
  const talk = new Conversation();
  talk.client.start(0);
  talk.answer(DHCP_TYPE.OFFER, [], { transaction: talk.last.transaction ^ 1 });
  talk.answer(DHCP_TYPE.OFFER, [], { mac: SERVER_MAC });
  talk.answer(DHCP_TYPE.OFFER, [], { operation: 1 });
  talk.answer(DHCP_TYPE.OFFER, [[DHCP_OPTION.SERVER_IDENTIFIER, Uint8Array.of(1)]]);
  talk.answer(DHCP_TYPE.OFFER, [], { your: ip("0.0.0.0") });
  talk.answer(DHCP_TYPE.ACK);
  expect(talk.types()).toEqual(["DISCOVER 255.255.255.255"]);
  talk.answer(DHCP_TYPE.OFFER);
  talk.answer(DHCP_TYPE.ACK, [[DHCP_OPTION.SERVER_IDENTIFIER, ip("192.0.2.66")]]);
  expect(talk.told).toEqual([]);
});

test("broadcast is asked for while there is no address", () => {
  const talk = new Conversation({ broadcast: true });
  talk.client.start(0);
  expect(talk.last.flags).toBe(0x8000);
  talk.answer(DHCP_TYPE.OFFER);
  talk.answer(DHCP_TYPE.ACK);
  talk.wait();
  expect(talk.last.flags).toBe(0);
});

test("whatever frames and times come, it never throws, and always knows when it goes on", () => {
  const { OFFER, ACK, NAK } = DHCP_TYPE;
  const step = fc.oneof(
    fc.record({ kind: fc.constant("noise" as const), bytes: fc.uint8Array({ maxLength: 400 }) }),
    fc.record({
      kind: fc.constant("answer" as const),
      type: fc.oneof(fc.constantFrom(OFFER, ACK, NAK), fc.nat(255)),
      options: fc.array(fc.tuple(fc.integer({ min: 1, max: 254 }), fc.uint8Array({ maxLength: 20 })), {
        maxLength: 4,
      }),
    }),
    fc.record({ kind: fc.constant("wait" as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const talk = new Conversation();
      talk.client.start(0);
      for (const one of steps) {
        if (one.kind === "noise") talk.client.receive(one.bytes, talk.now);
        else if (one.kind === "answer") talk.answer(one.type, one.options as [number, Uint8Array][]);
        else if (talk.client.due < Number.POSITIVE_INFINITY) talk.wait();
        const over = talk.told.some(word => !word.startsWith("bound"));
        const endless = talk.client.lease?.lease === Number.POSITIVE_INFINITY;
        if (!over && !endless) expect(talk.client.due).toBeGreaterThanOrEqual(talk.now);
        if (over) expect([talk.client.lease, talk.client.listens]).toEqual([undefined, false]);
      }
      // Nothing but messages of ours goes out, and not without end.
      expect(talk.sent.length).toBeLessThanOrEqual(steps.length + 1);
    }),
    { numRuns: 300 },
  );
});
