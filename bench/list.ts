/**
 * `ps` and `inspect` where several containers run, against Debian's podman, in turns on one throw-away machine.
 * `bun run bench/list.ts [rounds]`. Goal: half of the time.
 */
import { ENGINES, must, onSharedHost } from "./support/host.ts";
import { inTurns, median, printTimes, printVerdict } from "./support/measure.ts";

const GOAL = 0.5;
const DEFAULT_ROUNDS = "30";
/** Containers that run, and others that have ended, of each engine. */
const RUNNING = 5;
const ENDED = 3;
const COMMANDS = [["ps"], ["ps", "-a"], ["inspect", "running-0"]];

async function measure(rounds: number): Promise<void> {
  for (const [index, name] of ENGINES.entries()) {
    for (let n = 0; n < RUNNING; n++) {
      const port = `${8000 + 100 * index + n}:80`;
      must(name, "run", "-d", "--name", `running-${n}`, "-p", port, "busybox", "sleep", "1000");
    }
    for (let n = 0; n < ENDED; n++) must(name, "run", "--name", `ended-${n}`, "busybox", "true");
  }
  for (const command of COMMANDS) {
    const times = await inTurns(
      ENGINES.map(name => ({ name, act: () => must(name, ...command) })),
      rounds,
    );
    const what = command.join(" ");
    for (const [index, name] of ENGINES.entries()) printTimes(name, what, times[index]!);
    printVerdict(what, median(times[1]!) / median(times[0]!), GOAL);
  }
}

const [first = DEFAULT_ROUNDS, rounds] = process.argv.slice(2);
if (first === "--inside") await measure(Number(rounds));
else process.exitCode = await onSharedHost(import.meta.path, first);
