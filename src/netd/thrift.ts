/** Memory that waiting does not need is given back: the network of idle containers costs little. */
import { releaseProgramPages } from "../sys/program-pages.ts";

/** Milliseconds of quiet after something was done. */
const QUIET = 1000;
/** The engine's own threads tidy up for a while after a collection, and have code of their own for that. */
const AFTERMATH = [4000, 12_000];

/** The loop in which something is done: see `Loop.later` and `Loop.atRest`. */
export interface Resting {
  later(milliseconds: number, action: () => void): void;
  atRest(action: () => void): void;
}

/** Something was done: a while later what it took is given back. */
export function thrift(loop: Resting): () => void {
  let isDue = false;
  // What else is done before the loop waits would bring pages back.
  const release = () => loop.atRest(releaseProgramPages);
  const giveBack = () => {
    isDue = false;
    Bun.gc(true);
    release();
    for (const milliseconds of AFTERMATH) loop.later(milliseconds, release);
  };
  return () => {
    if (isDue) return;
    isDue = true;
    loop.later(QUIET, giveBack);
  };
}
