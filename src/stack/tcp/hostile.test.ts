/** Whatever a guest sends and a host's socket does: bytes stay right (the model checks each), and nothing is left behind. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { TcpTrace } from "../../../test/support/tcp-trace.ts";
import { ERRNO } from "../errno.ts";

const near = fc.oneof(fc.integer({ min: -3, max: 3000 }), fc.integer({ min: -70_000, max: 140_000 }));
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant("segment" as const),
      flags: fc.constantFrom(".", "P.", "F.", "FP.", "S", "S.", "R", "R.", "P", "SF.", "F"),
      sequence: near,
      /** From where we stand, or from the beginning. */
      follows: fc.boolean(),
      length: fc.oneof(
        fc.constant(0),
        fc.integer({ min: 1, max: 1460 }),
        fc.integer({ min: 1, max: 60_000 }),
      ),
      ack: near,
      answers: fc.boolean(),
      window: fc.constantFrom(0, 1, 500, 65_535),
      sack: fc.array(fc.tuple(near, near), { maxLength: 3 }),
      flush: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("feed" as const), bytes: fc.nat(100_000) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("room" as const), bytes: fc.nat(100_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({ what: fc.constant("pass" as const), time: fc.constantFrom(0, 1, 300, 70_000) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("end" as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom("fail" as const, "break" as const) }) },
);

test("hostile segments and failing sockets", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("mss 1460", "mss 536,sack", "mss 1460,sack,ts 1 0,ws 7", "mss 9000,ws 14"),
      fc.boolean(),
      fc.array(step, { maxLength: 60 }),
      (options, offload, steps) => {
        const t = new TcpTrace({ config: { offload } }).establish(options);
        t.socket.room = 10_000;
        let sent = 1;
        let acked = 1;
        const look = () => {
          for (const one of t.drain()) {
            sent = Math.max(sent, one.sequence + one.length);
            if (one.ack !== undefined && one.flags !== "R.") acked = Math.max(acked, one.ack);
          }
        };
        for (const one of steps) {
          const live = t.socket.state === "open" || t.socket.state === "shut";
          if (one.what === "segment") {
            const start = one.follows ? acked : one.sequence;
            const range = one.length > 0 ? `${start}:${start + one.length}` : `${start}`;
            const words = one.sack.map(([left, right]) => `sack ${left}:${right}`);
            if (options.includes("ts ")) words.unshift("ts 2 0");
            const kept = words.slice(0, 3).join(",");
            t.inject(`${one.flags} ${range} ack ${one.answers ? sent : one.ack} win ${one.window} <${kept}>`);
            if (one.flush) t.layer.flush(t.now);
          } else if (one.what === "pass") t.pass(one.time);
          else if (live) {
            if (one.what === "feed" && !t.socket.ended) t.feed(one.bytes);
            else if (one.what === "room") t.makeRoom(one.bytes);
            else if (one.what === "end") t.end();
            else if (one.what === "fail" || one.what === "break") {
              t.socket.error = ERRNO.ECONNRESET;
              // Otherwise the next call finds it out.
              if (one.what === "fail") t.ready("E");
            }
          }
          look();
          // Another connection has begun, with another stream.
          if (t.host.sockets.length > 1) break;
          expect(t.layer.promised).toBeGreaterThanOrEqual(0);
          expect(t.layer.promised).toBeLessThanOrEqual(t.config.limits.totalBuffer);
        }
        t.layer.close(t.now);
        expect(t.host.sockets.filter(one => one.state === "open" || one.state === "shut")).toEqual([]);
        expect([t.layer.flows, t.layer.promised, t.timers.next()]).toEqual([0, 0, Number.POSITIVE_INFINITY]);
      },
    ),
    { numRuns: 300 },
  );
});
