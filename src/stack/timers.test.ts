import { expect, test } from "bun:test";
import fc from "fast-check";
import { Timer, Timers } from "./timers.ts";

test("timers go off when they are due, as a list would have it", () => {
  const step = fc.oneof(
    fc.record({
      what: fc.constant("set" as const),
      timer: fc.integer({ min: 0, max: 7 }),
      delay: fc.integer({ min: 0, max: 50 }),
    }),
    fc.record({ what: fc.constant("cancel" as const), timer: fc.integer({ min: 0, max: 7 }) }),
    fc.record({ what: fc.constant("run" as const), delay: fc.integer({ min: 0, max: 20 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const timers = new Timers();
      let fired: number[] = [];
      const all = Array.from({ length: 8 }, (_, index) => new Timer(() => fired.push(index)));
      const due = new Array<number>(8).fill(Number.POSITIVE_INFINITY);
      let now = 0;
      for (const one of steps)
        if (one.what === "set") {
          due[one.timer] = now + one.delay;
          timers.set(all[one.timer]!, now + one.delay);
        } else if (one.what === "cancel") {
          due[one.timer] = Number.POSITIVE_INFINITY;
          timers.cancel(all[one.timer]!);
        } else {
          expect(timers.next()).toBeLessThanOrEqual(Math.min(...due));
          now += one.delay;
          fired = [];
          timers.run(now);
          const expected = due.flatMap((when, index) => (when <= now ? [index] : []));
          expect([...fired].sort()).toEqual(expected);
          for (const index of expected) due[index] = Number.POSITIVE_INFINITY;
          expect(timers.next()).toBeGreaterThan(now);
        }
    }),
  );
});

test("a timer may set itself again, to a passed time as well, without holding up the run", () => {
  const timers = new Timers();
  let count = 0;
  const timer: Timer = new Timer(now => {
    count++;
    timers.set(timer, now);
  });
  timers.set(timer, 5);
  timers.run(10);
  expect(count).toBe(1);
  expect(timers.next()).toBe(10);
  timers.run(10);
  expect(count).toBe(2);
});

test("a timer that another one cancels or puts off in the same run is silent", () => {
  const timers = new Timers();
  const fired: string[] = [];
  const second = new Timer(() => fired.push("second"));
  const third = new Timer(() => fired.push("third"));
  const first = new Timer(() => {
    fired.push("first");
    timers.cancel(second);
    timers.set(third, 20);
  });
  timers.set(first, 1);
  timers.set(second, 2);
  timers.set(third, 3);
  timers.run(10);
  expect(fired).toEqual(["first"]);
  timers.run(20);
  expect(fired).toEqual(["first", "third"]);
});

test("an empty heap has no next time", () => {
  expect(new Timers().next()).toBe(Number.POSITIVE_INFINITY);
});
