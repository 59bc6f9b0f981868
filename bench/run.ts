/**
 * `run --rm busybox true` on the bridge network, against Debian's podman, in turns on one throw-away machine.
 * `bun run bench/run.ts [rounds]`. Goal: 0.35 of the time.
 */
import { ENGINES, must, onSharedHost, quiet } from "./support/host.ts";
import { inTurns, median, printTimes, printVerdict } from "./support/measure.ts";

const GOAL = 0.35;
const DEFAULT_ROUNDS = "20";

async function measure(rounds: number): Promise<void> {
  const times = await inTurns(
    ENGINES.map(name => ({ name, act: () => must(name, "run", "--rm", "busybox", "true"), restore: quiet })),
    rounds,
  );
  for (const [index, name] of ENGINES.entries()) printTimes(name, "run --rm busybox true", times[index]!);
  printVerdict("run --rm IMAGE true", median(times[1]!) / median(times[0]!), GOAL);
}

const [first = DEFAULT_ROUNDS, rounds] = process.argv.slice(2);
if (first === "--inside") await measure(Number(rounds));
else process.exitCode = await onSharedHost(import.meta.path, first);
