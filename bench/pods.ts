/**
 * A pod's life, `pod create`, two `run`s in it and `pod rm -f`, and `ps -a` with 500 containers, against Debian's podman, in
 * turns on one throw-away machine. `bun run bench/pods.ts [rounds]`. Goals: half of the time, and 0.4 of it.
 */
import { ENGINES, must, onSharedHost, quiet } from "./support/host.ts";
import { inTurns, median, printTimes, printVerdict } from "./support/measure.ts";

const LIFE_GOAL = 0.5;
const LIST_GOAL = 0.4;
const DEFAULT_ROUNDS = "7";
/** Containers of each engine that `ps -a` lists. */
const LISTED = 500;

/** One pod's whole life; with ports, which both engines have to hold. */
function life(engine: string): void {
  must(engine, "pod", "create", "--name", "web", "-p", "8080:80");
  for (const name of ["one", "two"])
    must(engine, "run", "-d", "--name", name, "--pod", "web", "busybox", "sleep", "1000");
  must(engine, "pod", "rm", "-f", "-t", "0", "web");
}

async function measure(rounds: number): Promise<void> {
  const lives = await inTurns(
    ENGINES.map(name => ({ name, act: () => life(name), restore: quiet })),
    rounds,
  );
  const what = "pod create -p, 2 × run, pod rm -f";
  for (const [index, name] of ENGINES.entries()) printTimes(name, what, lives[index]!);
  printVerdict(what, median(lives[1]!) / median(lives[0]!), LIFE_GOAL);

  for (const name of ENGINES) {
    const many = `seq ${LISTED} | xargs -P 2 -I N ${name} create --name c-N busybox true >/dev/null`;
    must("sh", "-c", many);
  }
  const lists = await inTurns(
    ENGINES.map(name => ({ name, act: () => must(name, "ps", "-a") })),
    rounds * 2,
  );
  const listed = `ps -a, ${LISTED} containers`;
  for (const [index, name] of ENGINES.entries()) printTimes(name, listed, lists[index]!);
  printVerdict(listed, median(lists[1]!) / median(lists[0]!), LIST_GOAL);
}

const [first = DEFAULT_ROUNDS, rounds] = process.argv.slice(2);
if (first === "--inside") await measure(Number(rounds));
else process.exitCode = await onSharedHost(import.meta.path, first);
