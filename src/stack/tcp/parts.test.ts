import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Congestion } from "./congestion.ts";
import { InitialSequence } from "./isn.ts";
import { Ranges } from "./ranges.ts";
import { Budget, Ring, RingPool, ringSize, SMALLEST_RING } from "./ring.ts";
import { RetransmissionTimeout } from "./rto.ts";
import { seqAdd, seqDiff, seqGe, seqGt, seqLe, seqLt, seqMax, seqMin } from "./sequence.ts";

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const distance = fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 });

describe("sequence numbers", () => {
  test("compare by the shorter way round, wherever they are", () => {
    fc.assert(
      fc.property(int32, distance, (base, bytes) => {
        const other = seqAdd(base, bytes);
        expect(other | 0).toBe(other);
        expect(seqDiff(other, base)).toBe(bytes);
        expect(seqLt(other, base)).toBe(bytes < 0);
        expect(seqLe(other, base)).toBe(bytes <= 0);
        expect(seqGt(other, base)).toBe(bytes > 0);
        expect(seqGe(other, base)).toBe(bytes >= 0);
        expect(seqMax(other, base)).toBe(bytes > 0 ? other : base);
        expect(seqMin(other, base)).toBe(bytes < 0 ? other : base);
      }),
    );
  });
});

describe("ranges", () => {
  const part = fc.tuple(fc.nat(60), fc.nat(12));

  test("hold what a set of numbers would, across the wrap", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, -30, 2 ** 31 - 30),
        fc.array(fc.tuple(part, fc.option(fc.nat(60), { freq: 4 })), { maxLength: 40 }),
        (base, steps) => {
          const ranges = new Ranges();
          const model = new Set<number>();
          for (const [[start, length], edge] of steps) {
            const before = model.size;
            for (let at = start; at < start + length; at++) model.add(at);
            expect(ranges.add(seqAdd(base, start), seqAdd(base, start + length))).toBe(model.size - before);
            if (edge !== null) {
              ranges.removeBefore(seqAdd(base, edge));
              for (const at of model) if (at < edge) model.delete(at);
            }
            expect(ranges.bytes).toBe(model.size);
            const held = Array.from({ length: 75 }, (_, at) => ranges.holding(seqAdd(base, at)) >= 0);
            expect(held).toEqual(Array.from({ length: 75 }, (_, at) => model.has(at)));
            for (let index = 1; index < ranges.count; index++)
              expect(seqGt(ranges.start(index), ranges.end(index - 1))).toBe(true);
            const within = [...model].filter(at => at >= start && at < 50).length;
            expect(ranges.within(seqAdd(base, start), seqAdd(base, Math.max(start, 50)))).toBe(within);
          }
        },
      ),
    );
  });

  test("a list that would grow without bound is full at some point, and says so", () => {
    const ranges = new Ranges();
    let refused = -2;
    for (let index = 0; index < 5000 && refused !== -1; index++)
      refused = ranges.add(index * 2, index * 2 + 1);
    expect(refused).toBe(-1);
    expect(ranges.count).toBe(1024);
    expect(ranges.add(0, 2)).toBe(1);
  });
});

describe("rings", () => {
  test("bytes lie where their numbers say, before and after a move to a larger one", () => {
    fc.assert(
      fc.property(int32, fc.nat(SMALLEST_RING), (start, length) => {
        const source = Uint8Array.from({ length: length + 3 }, (_, index) => (index * 7) & 0xff);
        const ring = new Ring(SMALLEST_RING);
        ring.write(start, source, 3, length);
        const larger = new Ring(SMALLEST_RING * 4);
        ring.moveTo(larger, start, seqAdd(start, length));
        for (const one of [ring, larger])
          for (const index of [0, 1, length >> 1, length - 1].filter(at => at >= 0 && at < length))
            expect(one.bytes[seqAdd(start, index) & one.mask]).toBe(source[3 + index]!);
      }),
    );
  });

  test("sizes are powers of two that hold what is asked", () => {
    expect([1, 16_384, 16_385, 65_536, 100_000].map(ringSize)).toEqual([
      16_384, 16_384, 32_768, 65_536, 131_072,
    ]);
  });

  test("a pool gives back what it was given, but keeps only so much", () => {
    const pool = new RingPool();
    const rings = Array.from({ length: 10 }, () => pool.take(1 << 20));
    for (const ring of rings) pool.give(ring);
    const again = Array.from({ length: 10 }, () => pool.take(1 << 20));
    expect(again.filter(ring => rings.includes(ring)).length).toBe(2);
    for (const ring of rings) pool.give(ring);
    pool.clear();
    expect(rings).not.toContain(pool.take(1 << 20));
    const small = Array.from({ length: 10 }, () => pool.take(SMALLEST_RING));
    for (const ring of small) pool.give(ring);
    pool.clear();
    const kept = Array.from({ length: 10 }, () => pool.take(SMALLEST_RING));
    expect(kept.filter(ring => small.includes(ring)).length).toBe(4);
  });

  test("a budget promises no more than there is", () => {
    const budget = new Budget(100);
    expect(budget.reserve(60)).toBe(true);
    expect(budget.reserve(41)).toBe(false);
    expect(budget.scarce).toBe(false);
    expect(budget.reserve(40)).toBe(true);
    expect(budget.scarce).toBe(true);
    budget.release(100);
    expect(budget.used).toBe(0);
  });
});

describe("the retransmission timeout (RFC 6298)", () => {
  test("a second before anything is measured, then round trip and variation, 200 ms at least", () => {
    const rto = new RetransmissionTimeout();
    expect(rto.value).toBe(1000);
    rto.measured(500);
    expect(rto.value).toBe(500 + 4 * 250);
    for (let count = 0; count < 100; count++) rto.measured(0.1);
    expect(rto.value).toBe(200);
  });

  test("doubles up to a minute, and comes back with progress", () => {
    const rto = new RetransmissionTimeout();
    rto.measured(1);
    for (let count = 0; count < 20; count++) rto.backOff();
    expect(rto.value).toBe(60_000);
    rto.progress();
    expect(rto.value).toBe(200);
  });
});

describe("congestion (RFC 5681)", () => {
  test("slow start doubles, avoidance adds a segment a round trip, and only while the window is used", () => {
    const congestion = new Congestion();
    const first = congestion.window;
    congestion.acknowledged(first, 1000, true);
    expect(congestion.window).toBe(2 * first);
    congestion.acknowledged(first, 1000, false);
    expect(congestion.window).toBe(2 * first);
    congestion.lost(100_000, 1000);
    expect(congestion.window).toBe(70_000);
    congestion.acknowledged(70_000, 1000, true);
    expect(congestion.window).toBe(71_000);
  });

  test("a timeout leaves one segment, and half of what was on its way as the threshold; twice the same, once", () => {
    const congestion = new Congestion();
    congestion.timedOut(100_000, 1000, false);
    expect([congestion.window, congestion.threshold]).toEqual([1000, 50_000]);
    congestion.timedOut(1000, 1000, true);
    expect([congestion.window, congestion.threshold]).toEqual([1000, 50_000]);
    congestion.lost(500, 1000);
    expect(congestion.window).toBe(2000);
  });
});

describe("initial sequence numbers (RFC 6528)", () => {
  test("the same clock and flow give the same; any other flow or secret another; the clock is added", () => {
    const secret = Uint8Array.from({ length: 16 }, (_, index) => index);
    const addresses = new Uint8Array(32).fill(5);
    const first = new InitialSequence(secret).next(4, addresses, 1, 2, 1000);
    expect(new InitialSequence(secret).next(4, addresses, 1, 2, 1000)).toBe(first);
    expect(seqDiff(new InitialSequence(secret).next(4, addresses, 1, 2, 3000), first)).toBe(500_000);
    expect(new InitialSequence(secret).next(4, addresses, 2, 1, 1000)).not.toBe(first);
    expect(new InitialSequence(secret).next(6, addresses, 1, 2, 1000)).not.toBe(first);
    expect(new InitialSequence(secret.map(byte => byte + 1)).next(4, addresses, 1, 2, 1000)).not.toBe(first);
  });
});
