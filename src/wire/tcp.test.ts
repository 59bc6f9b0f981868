import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  headerLength,
  MAX_SACK_BLOCKS,
  MAX_WINDOW_SCALE,
  parseOptions,
  putSack,
  putSynOptions,
  putTcp,
  putTimestamps,
  TCP,
  TCP_FLAG,
  TcpOptions,
} from "./tcp.ts";

const buffer = () => new DataView(new ArrayBuffer(128));
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const port = fc.integer({ min: 0, max: 0xffff });

describe("TCP's header", () => {
  test("literal bytes of a SYN", () => {
    const view = buffer();
    const end = putSynOptions(view, 20, 1460, 7, true);
    expect(end).toBe(32);
    putTcp(view, 0, 40_000, 443, 0x01020304, 0, end, TCP_FLAG.SYN, 64_240);
    const text = Buffer.from(view.buffer, 0, end).toString("hex");
    expect(text).toBe("9c4001bb01020304000000008002faf000000000020405b40101040201030307");
  });

  test("what is written is read", () => {
    fc.assert(
      fc.property(
        port,
        port,
        int32,
        int32,
        fc.integer({ min: 5, max: 15 }),
        fc.nat(255),
        port,
        (...values) => {
          const [source, destination, sequence, acknowledgment, words, flags, window] = values;
          const view = buffer();
          putTcp(view, 3, source, destination, sequence, acknowledgment, words * 4, flags, window);
          expect(view.getUint16(3 + TCP.SOURCE_PORT)).toBe(source);
          expect(view.getUint16(3 + TCP.DESTINATION_PORT)).toBe(destination);
          expect(view.getInt32(3 + TCP.SEQUENCE)).toBe(sequence);
          expect(view.getInt32(3 + TCP.ACKNOWLEDGMENT)).toBe(acknowledgment);
          expect(headerLength(view, 3)).toBe(words * 4);
          expect(view.getUint8(3 + TCP.FLAGS)).toBe(flags);
          expect(view.getUint16(3 + TCP.WINDOW)).toBe(window);
          expect(view.getUint32(3 + TCP.CHECKSUM)).toBe(0);
        },
      ),
    );
  });
});

describe("TCP's options", () => {
  test("those of a SYN are read as they were written", () => {
    fc.assert(
      fc.property(port, fc.integer({ min: -1, max: 14 }), fc.boolean(), (mss, windowScale, sackPermitted) => {
        const view = buffer();
        const end = putSynOptions(view, 20, mss, windowScale, sackPermitted);
        expect(end % 4).toBe(0);
        const options = new TcpOptions();
        parseOptions(view, 20, end, options);
        expect({ ...options, sack: undefined }).toEqual({
          ...new TcpOptions(),
          mss,
          windowScale,
          sackPermitted,
          sack: undefined,
        });
      }),
    );
  });

  test("timestamps and SACK blocks are read as they were written, alone or together", () => {
    fc.assert(
      fc.property(
        fc.option(fc.tuple(int32, int32)),
        fc.array(fc.tuple(int32, int32), { maxLength: 3 }),
        (timestamps, blocks) => {
          const view = buffer();
          let end = 20;
          if (timestamps) end = putTimestamps(view, end, timestamps[0], timestamps[1]);
          if (blocks.length > 0) end = putSack(view, end, Int32Array.from(blocks.flat()), blocks.length);
          expect(end).toBeLessThanOrEqual(60);
          const options = new TcpOptions();
          parseOptions(view, 20, end, options);
          expect(options.hasTimestamps).toBe(timestamps !== null);
          if (timestamps) expect([options.timestamp, options.timestampEcho]).toEqual(timestamps);
          expect(options.sackBlocks).toBe(blocks.length);
          expect([...options.sack.subarray(0, blocks.length * 2)]).toEqual(blocks.flat());
        },
      ),
    );
  });

  test("any bytes are read without error, within their bounds, and give values in range", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(8), (bytes, before) => {
        // A buffer that ends where the options end: reading on would throw.
        const whole = new Uint8Array(new ArrayBuffer(before + bytes.length));
        whole.set(bytes, before);
        const options = new TcpOptions();
        parseOptions(new DataView(whole.buffer), before, whole.length, options);
        expect(options.windowScale).toBeGreaterThanOrEqual(-1);
        expect(options.windowScale).toBeLessThanOrEqual(MAX_WINDOW_SCALE);
        expect(options.sackBlocks).toBeLessThanOrEqual(MAX_SACK_BLOCKS);
      }),
      { numRuns: 2000 },
    );
  });

  test("unknown options are passed over; at a wrong length the reading ends", () => {
    const read = (hex: string) => {
      const bytes = new Uint8Array(Buffer.from(hex, "hex"));
      const options = new TcpOptions();
      parseOptions(new DataView(bytes.buffer), 0, bytes.length, options);
      return options;
    };
    // Fast Open's cookie request (34, 2) before the MSS.
    expect(read("220201020405b400").mss).toBe(1460);
    expect(read("2202020405b40000").mss).toBe(1460);
    expect(read("020405b4fe00030307").windowScale).toBe(-1);
    expect(read("020405b4fe00030307").mss).toBe(1460);
    expect(read("0303ff00").windowScale).toBe(14);
    expect(read("020305b4").mss).toBe(0);
    expect(read("00020405b4").mss).toBe(0);
  });
});
