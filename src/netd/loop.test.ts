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
