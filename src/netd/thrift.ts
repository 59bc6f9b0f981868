/** Memory that waiting does not need is given back: the network of idle containers costs little. */
import { releaseProgramPages } from "../sys/program-pages.ts";

/** Milliseconds of quiet after something was done. */
const QUIET = 1000;
/** The engine's own threads tidy up for a while after a collection, and have code of their own for that. */
const AFTERMATH = [4000, 12_000];

/** Something was done: a while later what it took is given back. `later` is the loop's. */
export function thrift(later: (milliseconds: number, action: () => void) => void): () => void {
  let isDue = false;
  const giveBack = () => {
    isDue = false;
    Bun.gc(true);
    releaseProgramPages();
    for (const milliseconds of AFTERMATH) later(milliseconds, releaseProgramPages);
  };
  return () => {
    if (isDue) return;
    isDue = true;
    later(QUIET, giveBack);
  };
}
