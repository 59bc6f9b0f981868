import { expect, test } from "bun:test";
import { fuzz, LIMITS } from "./fuzz.ts";

/** What the engine itself may need more of between a tenth of the way and the end. */
const SLACK = 8 << 20;

for (const seed of [1, 2, 3])
  test(`100,000 hostile frames do no harm (seed ${seed})`, () => {
    const result = fuzz(100_000, seed);
    expect(result.emitted).toBeGreaterThan(10_000);
    expect(result.opened).toBeGreaterThan(1000);
    expect(result.mostOpen).toBeLessThanOrEqual(LIMITS.tcpFlows * 2 + LIMITS.udpFlows + LIMITS.pingFlows);
    expect(result.heapLate - result.heapEarly).toBeLessThan(LIMITS.totalBuffer + LIMITS.reassembly + SLACK);
  }, 120_000);
