/**
 * A hostile guest: random frames, and valid ones of every protocol with something changed, through a whole stack with
 * sockets that behave at random. Whatever comes, there is no exception, no call with nonsense, and no more memory than
 * the limits say.
 *
 *     bun run test/simulated/fuzz.ts [FRAMES] [SEED]
 *
 * runs ten million frames when nothing is said. One seed is one sequence: a failure names the seed and the frame.
 */
import { Stack } from "../../src/stack/stack.ts";
import { parseIP } from "../../src/wire/addr.ts";
import { addBytes, checksum } from "../../src/wire/checksum.ts";
import { configFor, text } from "../support/stack.ts";
import { corpus } from "./fuzz-corpus.ts";
import { FuzzOutside } from "./fuzz-outside.ts";
import { Random } from "./random.ts";

const LARGEST = 70_000;
const MAC = [0x52, 0x55, 0x0a, 0, 2, 2];
export const LIMITS = {
  tcpFlows: 200,
  udpFlows: 100,
  pingFlows: 20,
  flowBuffer: 256 << 10,
  totalBuffer: 8 << 20,
  reassembly: 512 << 10,
};

/** A network of the host's, with addresses that stand for others. */
const SHARED = {
  shared: true,
  hostLoopback: false,
  aliases: [
    { address: parseIP("10.0.2.50")!, to: parseIP("192.0.2.1")! },
    { address: parseIP("192.0.2.7")!, to: "loopback" as const },
    { address: parseIP("fd00::50")!, to: parseIP("2001:db8::1")! },
  ],
};

export interface FuzzResult {
  /** Frames in and out. */
  frames: number;
  emitted: number;
  /** Sockets that were opened in all. */
  opened: number;
  /** Most that were open at one time. */
  mostOpen: number;
  /** Bytes of JavaScript's heap when a tenth was done, and at the end. */
  heapEarly: number;
  heapLate: number;
}

export function fuzz(frames: number, seed: number): FuzzResult {
  const random = new Random(seed);
  const outside = new FuzzOutside(random);
  const offload = seed % 2 === 0;
  const mtu = random.pick([576, 1280, 1500, 65_520]);
  const udpSegments = random.chance(0.5);
  const config = configFor({
    offload,
    udpSegments,
    mtu,
    limits: LIMITS,
    searchDomains: ["a.test"],
    ...(seed % 3 === 0 ? SHARED : {}),
  });
  const stack = new Stack(config, outside);
  outside.mtu = config.mtu;
  const buffer = new Uint8Array(new ArrayBuffer(LARGEST));
  const view = new DataView(buffer.buffer);
  let now = 0;
  let heapEarly = 0;
  let length = 0;
  let index = 0;
  try {
    for (; index < frames; index++) {
      length = makeFrame(random, outside, buffer, view);
      const trusted = random.below(4) > 0;
      const segmentSize = random.below(32) === 0 ? 1 + random.below(1500) : 0;
      stack.input(now, buffer, view, 0, length, trusted, segmentSize);
      if (random.below(4) === 0) worldEvent(random, outside, stack, now);
      if (random.below(8) === 0) stack.flush(now);
      if (random.below(16) === 0) {
        now += random.below(64) === 0 ? random.below(200_000) : random.below(200);
        if (stack.nextTimeout() <= now) stack.tick(now);
        stack.flush(now);
      }
      if (index % 4096 === 0) check(stack, outside);
      if (index === Math.floor(frames / 10)) heapEarly = heap();
    }
    check(stack, outside);
    const heapLate = heap();
    stack.close(now);
    if (outside.open.length) throw new Error(`${outside.open.length} sockets are left open`);
    const { emitted, opened, mostOpen } = outside;
    return { frames, emitted, opened, mostOpen, heapEarly, heapLate };
  } catch (error) {
    throw new Error(`seed ${seed}, frame ${index}: ${text(buffer.subarray(0, Math.min(length, 200)))}`, {
      cause: error,
    });
  }
}

function check(stack: Stack, outside: FuzzOutside): void {
  const { tcp, udp, ping, promised, reassembly } = stack.usage;
  const within =
    udp <= LIMITS.udpFlows &&
    ping <= LIMITS.pingFlows &&
    promised <= LIMITS.totalBuffer &&
    reassembly <= LIMITS.reassembly;
  // Connections in TIME-WAIT have no socket and no buffers; they may be as many again.
  if (!within || tcp > LIMITS.tcpFlows * 2)
    throw new Error(`over the limits: ${JSON.stringify(stack.usage)}`);
  const most = LIMITS.tcpFlows * 2 + LIMITS.udpFlows + LIMITS.pingFlows;
  if (outside.open.length > most) throw new Error(`${outside.open.length} sockets open`);
}

function heap(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}

/** Writes the next frame to the start of `buffer`; gives its length. */
function makeFrame(
  random: Random,
  outside: FuzzOutside,
  buffer: Uint8Array<ArrayBuffer>,
  view: DataView<ArrayBuffer>,
): number {
  const kind = random.below(16);
  let length: number;
  if (kind === 0) {
    length = random.below(random.below(8) === 0 ? 2000 : 100);
    for (let at = 0; at < length; at++) buffer[at] = random.below(256);
    if (length >= 14) {
      buffer.set(MAC);
      buffer[6]! &= 0xfe;
      view.setUint16(12, random.pick([0x0800, 0x86dd, 0x0806]));
    }
    return length;
  }
  if (kind === 1 && random.below(8) === 0) length = outside.complain(buffer);
  else if (kind < 6) length = outside.answerTcp(buffer, view);
  else {
    const frame = random.pick(corpus);
    buffer.set(frame);
    length = frame.length;
  }
  if (kind % 2 === 0) length = mutate(random, buffer, length);
  if (length >= 34 && view.getUint16(12) === 0x0800 && random.below(8) > 0) {
    const header = Math.min((buffer[14]! & 15) * 4, length - 14);
    view.setUint16(24, 0);
    view.setUint16(24, checksum(addBytes(0, buffer, 14, header)));
  }
  return length;
}

/** Changes a few things of the frame; gives its new length. */
function mutate(random: Random, buffer: Uint8Array, length: number): number {
  let size = length;
  for (let count = 1 + random.below(3); count > 0 && size > 14; count--) {
    // The Ethernet header is left alone most of the time: changed, it only hides the rest.
    const from = random.below(32) === 0 ? 0 : 14;
    const at = from + random.below(Math.min(size - from, 120));
    switch (random.below(8)) {
      case 0:
        buffer[at]! ^= 1 << random.below(8);
        break;
      case 1:
        buffer[at] = random.below(256);
        break;
      case 2:
        buffer[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
        break;
      case 3:
        buffer[at] = random.below(256);
        buffer[Math.min(at + 1, size - 1)] = random.below(256);
        break;
      case 4:
        size = Math.max(14, size - random.below(Math.min(size, 40)));
        break;
      case 5: {
        const more = random.below(64);
        for (let index = 0; index < more; index++) buffer[size + index] = random.below(256);
        size += more;
        break;
      }
      case 6: {
        // A piece of another frame.
        const other = random.pick(corpus);
        const start = random.below(other.length);
        const piece = other.subarray(start, start + random.below(32));
        buffer.set(piece.subarray(0, Math.max(0, size - at)), at);
        break;
      }
      default: {
        const width = random.below(16);
        buffer.copyWithin(at, at + width, size);
      }
    }
  }
  return size;
}

/** Something happens on the host's side. */
function worldEvent(random: Random, outside: FuzzOutside, stack: Stack, now: number): void {
  const from = outside.client();
  const to = outside.guest(from.family);
  const published = 1_000_000 + random.below(4);
  switch (random.below(16)) {
    case 0:
      stack.datagramArrived(now, published, from, to, outside.data, 0, random.below(3000));
      return;
    case 1:
      if (outside.open.length < LIMITS.tcpFlows) stack.tcpAccepted(now, outside.accept(), from, to);
      return;
    case 2:
      if (random.below(8) === 0) stack.datagramsClosed(now, published);
      return;
    case 3:
      stack.dnsAnswered(
        now,
        random.below(outside.questions + 3),
        outside.data.subarray(0, random.below(600)),
      );
      return;
    case 4:
      // A late event of a socket that is no more, or never was.
      stack.socketReady(now, random.below(outside.opened + 10), random.below(16));
      return;
    default:
      if (outside.open.length) stack.socketReady(now, random.pick(outside.open), random.below(16));
  }
}

if (import.meta.main) {
  const frames = Number(process.argv[2] ?? 10_000_000);
  const seed = Number(process.argv[3] ?? 1);
  const rounds = Math.max(1, Math.ceil(frames / 1_000_000));
  const began = performance.now();
  for (let round = 0; round < rounds; round++) {
    const result = fuzz(Math.ceil(frames / rounds), seed + round);
    console.log(`seed ${seed + round}: ${JSON.stringify(result)}`);
  }
  console.log(`${frames} frames in ${((performance.now() - began) / 1000).toFixed(1)} s, nothing found`);
}
