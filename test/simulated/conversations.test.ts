/** Conversations over bad links: whatever happens on the way, every byte arrives both ways, in order, and both ends close. */
import { test } from "bun:test";
import fc from "fast-check";
import { World, type WorldOptions } from "./world.ts";

const options: fc.Arbitrary<WorldOptions> = fc.record({
  seed: fc.integer(),
  family: fc.constantFrom(4 as const, 6 as const),
  mtu: fc.constantFrom(1280, 1500, 9000, 65_520),
  offload: fc.boolean(),
  link: fc.record({
    delay: fc.constantFrom(0.05, 1, 40),
    jitter: fc.constantFrom(0, 0.5, 30),
    loss: fc.constantFrom(0, 0.01, 0.1, 0.2),
    duplication: fc.constantFrom(0, 0.02, 0.2),
  }),
  peer: fc.record({
    windowScale: fc.constantFrom(undefined, 0, 2, 7),
    sack: fc.boolean(),
    timestamps: fc.boolean(),
    toSend: fc.constantFrom(0, 1, 1000, 70_000, 300_000),
    toReceive: fc.constantFrom(0, 1, 1000, 70_000, 300_000),
    buffer: fc.constantFrom(2000, 30_000, 65_535, 1_000_000),
    flight: fc.constantFrom(1500, 20_000, 500_000),
  }),
  piece: fc.constantFrom(10, 3000, 200_000),
  pace: fc.constantFrom(0, 0.5, 20),
  flowBuffer: fc.constantFrom(65_536, 1 << 20),
  hostClosesLast: fc.boolean(),
  published: fc.boolean(),
});

test("every byte arrives, both ends close, nothing is left", () => {
  fc.assert(
    fc.property(options, given => {
      // Ten bytes at a time, thousands of times: not with large streams.
      if (given.piece === 10) {
        given.peer.toSend = Math.min(given.peer.toSend!, 1000);
        given.peer.toReceive = Math.min(given.peer.toReceive!, 1000);
      }
      // One of both ends first, or nobody does.
      given.peer.closesLast = !given.hostClosesLast || given.pace === 0;
      const world = new World(given);
      world.run();
      world.verify();
    }),
    // Always the same ones: of ten thousand handshakes at such losses, some rightly give up.
    { numRuns: 300, seed: 9293 },
  );
}, 120_000);
