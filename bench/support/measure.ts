/** Times and what is said of them: medians, and ratios in the same run. */

export const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** One of the sides of a comparison; `act` is what is timed. */
export interface Contender {
  name: string;
  act(round: number): Promise<void> | void;
  /** Restores what `act` changed; not timed. */
  restore?(round: number): Promise<void> | void;
}

/** Milliseconds of each round of each contender, in turns; the first round warms up and is not counted. */
export async function inTurns(contenders: readonly Contender[], rounds: number): Promise<number[][]> {
  const times = contenders.map((): number[] => []);
  for (let round = 0; round <= rounds; round++)
    for (const [index, { act, restore }] of contenders.entries()) {
      const start = performance.now();
      await act(round);
      const took = performance.now() - start;
      await restore?.(round);
      if (round > 0) times[index]!.push(took);
    }
  return times;
}

/** Prints median and minimum of a row of times in milliseconds. */
export function printTimes(name: string, what: string, times: readonly number[]): void {
  const text = (value: number) => `${value.toFixed(1).padStart(7)} ms`;
  console.log(
    `${name.padEnd(10)} ${what.padEnd(34)} median ${text(median(times))}, min ${text(Math.min(...times))}`,
  );
}

/** Prints how a ratio stands to its goal, the most or the least that it may be. `all.ts` gathers these lines. */
export function printVerdict(
  what: string,
  ratio: number,
  goal: number,
  bound: "at most" | "at least" = "at most",
): void {
  const verdict = (bound === "at most" ? ratio <= goal : ratio >= goal) ? "met" : "missed";
  console.log(`${what.padEnd(45)} ratio ${ratio.toFixed(3)}, goal ${bound} ${goal.toFixed(2)}: ${verdict}`);
}
