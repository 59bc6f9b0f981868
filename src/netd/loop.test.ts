import { expect, test } from "bun:test";
import { Loop } from "./loop.ts";

test("what is to be done at rest is done once, after the engine's own turn and before the loop waits", async () => {
  const loop = new Loop();
  const seen: string[] = [];
  loop.later(0, () => {
    setImmediate(() => seen.push("turn"));
    loop.atRest(() => {
      seen.push("rest");
      loop.stop();
    });
  });
  await loop.serve();
  expect(seen).toEqual(["turn", "rest"]);
});

test("silence after a busy time is told once, and none after a quiet one", () => {
  const loop = new Loop(1);
  const seen: string[] = [];
  loop.inSilence(() => {
    seen.push("silence");
    loop.later(20, () => loop.stop());
  });
  const wakeUp = () => {
    if (loop.wakeUps < 1000) loop.later(0, wakeUp);
    else seen.push("busy");
  };
  // Longer than silence, and told of no busy time.
  loop.later(20, wakeUp);
  loop.run();
  expect(seen).toEqual(["busy", "silence"]);
});
