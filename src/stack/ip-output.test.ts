import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { configFor, RecordingOutside, text } from "../../test/support/stack.ts";
import { addBytes, checksum, fold, isSound, pseudoHeader } from "../wire/checksum.ts";
import { checkIPv4, IPV4, PROTOCOL } from "../wire/ipv4.ts";
import { checkIPv6, FRAGMENT, IPV6 } from "../wire/ipv6.ts";
import { IpOutput } from "./ip-output.ts";
import { Neighbours } from "./neighbours.ts";
import type { OutFrame } from "./outside.ts";

const GUEST = Uint8Array.of(10, 0, 2, 100);
const PEER = Uint8Array.of(192, 0, 2, 7);
const GUEST6 = Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x64);
const PEER6 = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7);
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 9);

function setUp(options: { offload?: boolean; mtu?: number } = {}) {
  const outside = new RecordingOutside();
  const neighbours = new Neighbours();
  const parked: OutFrame[] = [];
  neighbours.learn(Uint8Array.from([...MAC, ...GUEST]), 0, 4, 6);
  neighbours.learn(Uint8Array.from([...MAC, ...GUEST6]), 0, 6, 6);
  const config = configFor(options);
  const output = new IpOutput(config, outside, neighbours, { park: frame => parked.push(frame) });
  return { outside, output, neighbours, parked };
}

/** Sends a UDP datagram from PEER:53 to the guest's port 4000. */
function sendUdp(output: IpOutput, family: 4 | 6, payload: Uint8Array<ArrayBuffer>) {
  const at =
    family === 4
      ? output.begin(4, PROTOCOL.UDP, PEER, 0, GUEST, 0)
      : output.begin(6, PROTOCOL.UDP, PEER6, 0, GUEST6, 0);
  output.view.setUint16(at, 53);
  output.view.setUint16(at + 2, 4000);
  output.view.setUint16(at + 4, 8 + payload.length);
  output.frame.payload = payload;
  output.frame.payloadStart = 0;
  output.frame.payloadLength = payload.length;
  output.send(8, 6, 0);
}

describe("packets to the guest", () => {
  test("literal bytes: a UDP datagram without offload", () => {
    const { outside, output } = setUp();
    sendUdp(output, 4, new TextEncoder().encode("hi"));
    const [frame] = outside.frames;
    expect(text(frame!.subarray(0, 14))).toBe("02 00 00 00 00 09 52 55 0a 00 02 02 08 00");
    // The identification comes from the secret, so the header's checksum with it.
    expect(text(frame!.subarray(14, 18))).toBe("45 00 00 1e");
    expect(text(frame!.subarray(20, 24))).toBe("00 00 40 11");
    expect(text(frame!.subarray(26))).toBe("c0 00 02 07 0a 00 02 64 00 35 0f a0 00 0a b9 30 68 69");
    const view = new DataView(frame!.buffer, frame!.byteOffset);
    expect(checkIPv4(view, frame!, 14, frame!.length)).toBe(20);
  });

  test("with offload the field holds the pseudo-header's sum, and says where it lies", () => {
    const { outside, output } = setUp({ offload: true });
    sendUdp(output, 4, new TextEncoder().encode("hi"));
    const frame = outside.frames[0]!;
    expect(outside.offloads[0]).toEqual({ checksumStart: 34, checksumOffset: 6, segmentSize: 0 });
    expect((frame[40]! << 8) | frame[41]!).toBe(fold(pseudoHeader(frame, 26, 30, 4, 17, 10)));
  });

  test("a checksum that comes out as zero is sent as 0xffff", () => {
    const { outside, output } = setUp();
    sendUdp(output, 4, Uint8Array.of(0, 0));
    const sum = outside.frames[0]!.slice(40, 42);
    sendUdp(output, 4, Uint8Array.from(sum));
    expect(text(outside.frames[1]!.subarray(40, 42))).toBe("ff ff");
  });

  test("fragments carry the datagram, whatever its length, with a complete checksum", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(4 as const, 6 as const),
        fc.integer({ min: 0, max: 65_507 }),
        fc.constantFrom(1280, 1500, 9000, 65_520),
        fc.boolean(),
        (family, length, mtu, offload) => {
          const { outside, output } = setUp({ mtu, offload });
          const payload = new Uint8Array(new ArrayBuffer(length)).map((_, index) => index * 7);
          sendUdp(output, family, payload);
          const header = family === 4 ? 20 : 40;
          const whole = new Uint8Array(8 + length);
          let seen = 0;
          const fragmented = outside.frames.length > 1;
          const identifications = new Set<number>();
          outside.frames.forEach((frame, index) => {
            const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
            expect(frame.length).toBeLessThanOrEqual(14 + mtu);
            let offset = 0;
            let data = 14 + header;
            let more = false;
            if (family === 4) {
              expect(checkIPv4(view, frame, 14, frame.length)).toBe(20);
              expect(view.getUint16(14 + IPV4.TOTAL_LENGTH)).toBe(frame.length - 14);
              const word = view.getUint16(14 + IPV4.FRAGMENT);
              offset = (word & IPV4.OFFSET_MASK) * 8;
              more = (word & IPV4.MORE_FRAGMENTS) !== 0;
              identifications.add(view.getUint16(14 + IPV4.IDENTIFICATION));
            } else {
              expect(checkIPv6(view, 14, frame.length)).toBe(true);
              expect(view.getUint16(14 + IPV6.PAYLOAD_LENGTH)).toBe(frame.length - 54);
              if (fragmented) {
                const word = view.getUint16(data + FRAGMENT.OFFSET);
                expect(view.getUint8(14 + IPV6.NEXT_HEADER)).toBe(44);
                expect(view.getUint8(data)).toBe(17);
                offset = word & FRAGMENT.MASK;
                more = (word & 1) === 1;
                identifications.add(view.getUint32(data + FRAGMENT.IDENTIFICATION));
                data += 8;
              }
            }
            expect(more).toBe(index < outside.frames.length - 1);
            whole.set(frame.subarray(data), offset);
            seen += frame.length - data;
          });
          expect(seen).toBe(whole.length);
          expect(identifications.size).toBeLessThanOrEqual(1);
          expect(whole.subarray(8)).toEqual(payload);
          if (!offload || fragmented) {
            const first = outside.frames[0]!;
            const address = 14 + (family === 4 ? IPV4.SOURCE : IPV6.SOURCE);
            const size = family === 4 ? 4 : 16;
            const pseudo = pseudoHeader(first, address, address + size, family, 17, whole.length);
            expect(isSound(addBytes(pseudo, whole, 0, whole.length))).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("what no IP packet holds is dropped", () => {
    const { outside, output } = setUp({ mtu: 65_520 });
    sendUdp(output, 4, new Uint8Array(new ArrayBuffer(65_508)));
    expect(outside.frames.length).toBe(0);
  });

  test("groups have hardware addresses by rule, unicast by what was heard; the unheard are parked", () => {
    const { outside, output, neighbours, parked } = setUp();
    const send = (family: 4 | 6, to: Uint8Array) => {
      output.begin(family, PROTOCOL.UDP, family === 4 ? PEER : PEER6, 0, to, 0);
      output.send(8, 6, 0);
      return text(outside.frames.pop()?.subarray(0, 6) ?? Uint8Array.of());
    };
    expect(send(4, Uint8Array.of(239, 129, 2, 3))).toBe("01 00 5e 01 02 03");
    expect(send(4, Uint8Array.of(255, 255, 255, 255))).toBe("ff ff ff ff ff ff");
    expect(send(6, Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 1, 2, 3))).toBe(
      "33 33 ff 01 02 03",
    );
    neighbours.learn(Uint8Array.of(2, 0, 0, 0, 0, 8, 10, 0, 2, 77), 0, 4, 6);
    expect(send(4, Uint8Array.of(10, 0, 2, 77))).toBe("02 00 00 00 00 08");
    expect(send(4, GUEST)).toBe("02 00 00 00 00 09");
    expect(send(4, Uint8Array.of(10, 0, 2, 78))).toBe("");
    expect(parked.length).toBe(1);
  });
});

describe("the Internet checksum", () => {
  test("RFC 1071's example", () => {
    expect(fold(addBytes(0, Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7), 0, 8))).toBe(
      0xddf2,
    );
  });

  test("any bytes with their checksum are sound, and parts add up to the whole", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70_000 }), fc.nat(), (bytes, cut) => {
        const split = (cut % (bytes.length + 1)) & ~1;
        const sum = addBytes(addBytes(0, bytes, 0, split), bytes, split, bytes.length - split);
        expect(fold(sum)).toBe(fold(addBytes(0, bytes, 0, bytes.length)));
        expect(isSound(sum + checksum(sum))).toBe(true);
      }),
    );
    const ones = new Uint8Array(65_536).fill(0xff);
    expect(fold(addBytes(0, ones, 0, ones.length))).toBe(0xffff);
  });
});
