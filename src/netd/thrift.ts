/** Memory that waiting does not need is given back: the network of idle containers costs little. */
import { releaseProgramPages } from "../sys/program-pages.ts";
import type { Loop } from "./loop.ts";

/** Milliseconds of quiet after something was done. */
const QUIET = 1000;
/** The engine's own threads tidy up for a while after a collection, and have code of their own for that. */
const AFTERMATH = [4000, 12_000];

/**
 * What `loop` has left over from a busy time is given back in the silence after it. To be called when something was done,
 * which has the same some time later.
 */
export function thrift(loop: Loop): () => void {
  let isDue = false;
  // What else is done before the loop waits would bring pages back.
  const release = () => loop.atRest(releaseProgramPages);
  const giveBack = () => {
    isDue = false;
    Bun.gc(true);
    release();
    const before = loop.wakeUps;
    for (const milliseconds of AFTERMATH)
      loop.later(milliseconds, () => loop.isIdleSince(before) && release());
  };
  loop.inSilence(giveBack);
  return () => {
    if (isDue) return;
    isDue = true;
    loop.later(QUIET, giveBack);
  };
}

/**
 * A process that lives in the engine's own event loop gives back what only its start took, some 27 MB; the engine's turn, which
 * comes after, takes a little of it again.
 */
export function thriftOnce(): void {
  setTimeout(() => {
    Bun.gc(true);
    releaseProgramPages();
  }, QUIET);
}
