/** Many connections at once on little memory: each gets through, and together they never have more than was allowed. */
import { expect, test } from "bun:test";
import { READY } from "../../src/stack/outside.ts";
import { Stack } from "../../src/stack/stack.ts";
import { configFor } from "../support/stack.ts";
import { StreamHost } from "../support/stream-host.ts";
import { Clock } from "./clock.ts";
import { Link } from "./link.ts";
import { Peer } from "./peer.ts";
import { Random } from "./random.ts";
import { type Addresses, emit, parse } from "./segments.ts";

const CROWD = 60;
const BYTES = 150_000;

function crowd(seed: number, totalBuffer: number) {
  const clock = new Clock();
  const random = new Random(seed);
  const host = new StreamHost();
  const limits = { ...configFor().limits, totalBuffer };
  const stack = new Stack(configFor({ limits, offload: true }), host);
  const link = { delay: 0.2, jitter: 0.3, loss: 0.01, duplication: 0.01 };
  let most = 0;
  const look = () => {
    most = Math.max(most, stack.usage.promised);
  };
  const up = new Link<Uint8Array<ArrayBuffer>>(clock, random, link, bytes => {
    const before = host.sockets.length;
    stack.input(clock.now, bytes, new DataView(bytes.buffer), 0, bytes.length, false);
    if (host.sockets.length > before) clock.after(1, () => connected(before));
    stack.flush(clock.now);
    look();
  });
  const tell = (handle: number, events: number) => {
    stack.socketReady(clock.now, handle, events);
    stack.flush(clock.now);
    look();
  };
  /** The application behind a socket: has much to say from the start, and reads by fits and starts. */
  const connected = (handle: number) => {
    const socket = host.sockets[handle]!;
    tell(handle, READY.WRITABLE);
    socket.available = BYTES;
    socket.ended = true;
    socket.room = 0;
    tell(handle, READY.READABLE | READY.PEER_CLOSED);
    const reads = () => {
      if (socket.state === "closed" || socket.state === "reset") return;
      const full = socket.room === 0;
      socket.room = random.between(0, 20_000);
      if (full && socket.room > 0) tell(handle, READY.WRITABLE);
      clock.after(random.next() * 10, reads);
    };
    reads();
  };
  const peers = Array.from({ length: CROWD }, (_, index) => {
    const addresses: Addresses = {
      family: 4,
      guest: Uint8Array.of(10, 0, 2, 100),
      remote: Uint8Array.of(192, 0, 2, 7),
      guestPort: 40_000 + index,
      remotePort: 80,
    };
    const peer = new Peer(
      clock,
      {
        isn: random.between(-(2 ** 31), 2 ** 31 - 1),
        mss: 1460,
        windowScale: 7,
        sack: true,
        timestamps: true,
        toSend: BYTES,
        toReceive: BYTES,
        buffer: 100_000,
        flight: 100_000,
        closesLast: false,
        passive: false,
      },
      segment => up.put(emit(addresses, segment)),
      unread => unread,
    );
    const down = new Link<{ bytes: Uint8Array<ArrayBuffer>; size: number }>(clock, random, link, frame => {
      for (const segment of parse(addresses, frame.bytes, frame.size, false)) peer.receive(segment);
    });
    const reads = () => {
      peer.read();
      if (!peer.done) clock.after(2, reads);
    };
    clock.after(index * 2, () => {
      peer.start();
      reads();
    });
    return { peer, down };
  });
  host.onFrame = frame => {
    const bytes = new Uint8Array(new ArrayBuffer(frame.headerLength + frame.payloadLength));
    bytes.set(frame.header.subarray(frame.headerStart, frame.headerStart + frame.headerLength));
    bytes.set(
      frame.payload.subarray(frame.payloadStart, frame.payloadStart + frame.payloadLength),
      frame.headerLength,
    );
    if (bytes[12] !== 8 || bytes[13] !== 0 || bytes[23] !== 6) return;
    const port = (bytes[36]! << 8) | bytes[37]!;
    peers[port - 40_000]!.down.put({ bytes, size: frame.segmentSize });
  };
  const end = clock.now + 600_000;
  while (
    clock.now < end &&
    !(peers.every(one => one.peer.done || one.peer.wasReset) && stack.usage.tcp === 0)
  ) {
    const timer = stack.nextTimeout();
    if (timer <= clock.next) {
      clock.now = Math.max(clock.now, timer);
      stack.tick(clock.now);
      stack.flush(clock.now);
      look();
    } else clock.step();
  }
  return { peers: peers.map(one => one.peer), host, stack, most };
}

test.each([1, 2, 3])(
  "sixty connections share three megabytes (seed %d)",
  seed => {
    const { peers, host, stack, most } = crowd(seed, 3 << 20);
    expect(peers.filter(peer => peer.wasReset).length).toBe(0);
    expect(peers.every(peer => peer.done && peer.received === BYTES)).toBe(true);
    expect(host.sockets.length).toBe(CROWD);
    expect(host.sockets.every(socket => socket.taken === BYTES && socket.state === "closed")).toBe(true);
    expect(most).toBeLessThanOrEqual(3 << 20);
    expect(most).toBeGreaterThan(2 << 20);
    expect(stack.usage).toMatchObject({ tcp: 0, promised: 0 });
  },
  60_000,
);

test("when there is no memory for more, more are refused, and those that are there go on", () => {
  const { peers, most } = crowd(4, 1 << 20);
  const refused = peers.filter(peer => peer.wasReset).length;
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(CROWD);
  expect(peers.filter(peer => peer.done && peer.received === BYTES).length).toBe(CROWD - refused);
  expect(most).toBeLessThanOrEqual(1 << 20);
}, 60_000);
