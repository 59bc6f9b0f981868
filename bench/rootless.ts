/**
 * An ordinary user's containers: `run`, `ps`, memory and published ports against podman 4.3.1 and its forwarder, and
 * published ports against podman 5.4 and pasta on a Debian 13; both sides in turns on one throw-away machine.
 * `bun run bench/rootless.ts [rounds]`. Goals: the issue's.
 */

import { incoming } from "../test/podman/traffic.ts";
import { ENGINES, type EngineName, Pair } from "../test/podman/world.ts";
import { debian13 } from "../test/support/debian13.ts";
import type { TestNetns } from "../test/support/netns.ts";
import { HOST_ADDRESS, OUTSIDE_ADDRESS, Outside } from "../test/support/outside.ts";
import { exchangeTcp, sha256 } from "../test/support/transfer.ts";
import { must } from "./support/host.ts";
import { inTurns, median, printTimes, printVerdict } from "./support/measure.ts";
import { asUser, becomeUser, gone, helpers } from "./support/user.ts";

const SECONDS = 2;
/** Containers of the measure of memory, and those that run while `ps` is asked. */
const MANY = 10;
const RUNNING = 5;
/** Processes that may end after their command; and those of a network that waits for its next container. */
const ENDING = /^(podman|portolan|portolan-net|conmon|runc|slirp4netns|rootlessport)$/;
const LINGERING = new RegExp(`${ENDING.source}|^netd(-service)?$`);

/** As the user, on the machine: what commands take. */
async function commands(rounds: number): Promise<void> {
  const run = (name: EngineName) => () => must(name, "run", "--rm", "busybox", "true");
  const cold = await inTurns(
    ENGINES.map(name => ({ name, act: run(name), restore: () => gone(LINGERING) })),
    rounds,
  );
  for (const [index, name] of ENGINES.entries()) printTimes(name, "run --rm busybox true", cold[index]!);
  printVerdict("rootless run --rm IMAGE true", median(cold[1]!) / median(cold[0]!), 0.6);

  for (const [index, name] of ENGINES.entries())
    for (let n = 0; n < RUNNING; n++)
      must(
        name,
        "run",
        "-d",
        "--name",
        `running-${n}`,
        "-p",
        `${8100 + 100 * index + n}:80`,
        "busybox",
        "sleep",
        "1000",
      );
  const warm = await inTurns(
    ENGINES.map(name => ({ name, act: run(name) })),
    rounds,
  );
  for (const [index, name] of ENGINES.entries())
    printTimes(name, `the same beside ${RUNNING} others`, warm[index]!);
  printVerdict(`rootless run --rm beside ${RUNNING} others`, median(warm[1]!) / median(warm[0]!), 0.6);

  for (const command of [["ps"], ["ps", "-a"]]) {
    const what = command.join(" ");
    const times = await inTurns(
      ENGINES.map(name => ({ name, act: () => must(name, ...command) })),
      2 * rounds,
    );
    for (const [index, name] of ENGINES.entries()) printTimes(name, what, times[index]!);
    printVerdict(`rootless ${what}`, median(times[1]!) / median(times[0]!), 0.5);
  }
  for (const name of ENGINES) must(name, "rm", "-f", "-t", "0", "-a");
}

/** Memory of all helper processes of published containers that do nothing. */
async function memory(pair: Pair): Promise<void> {
  const { user } = pair;
  const sums = { resident: [] as number[], proportional: [] as number[] };
  for (const name of ENGINES) {
    for (let n = 0; n < MANY; n++)
      await user!.must(name, "run", "-d", "-p", `${8100 + n}:80`, "busybox", "sleep", "1000");
    // What only starting took may be given back by now.
    await Bun.sleep(7000);
    const shares = await helpers(pair);
    const all = [...shares.values()];
    const sum = (of: "resident" | "proportional") => all.reduce((total, one) => total + one[of], 0);
    const parts = [...shares].map(
      ([program, { processes, proportional }]) => `${processes} × ${program} ${proportional.toFixed(1)}`,
    );
    console.log(
      `${name.padEnd(10)} ${MANY} published containers: ${sum("proportional").toFixed(1)} MiB proportional (${parts.join(", ")}), ${sum("resident").toFixed(1)} MiB resident`,
    );
    for (const of of ["resident", "proportional"] as const) sums[of].push(sum(of));
    await user!.must(name, "rm", "-f", "-t", "0", "-a");
  }
  for (const [of, [theirs, ours]] of Object.entries(sums))
    printVerdict(`${of} memory of ${MANY} published containers`, ours! / theirs!, 0.6);
}

interface Iperf {
  end: { sum_received: { bits_per_second: number } };
}

/** A server in a container of each engine, published; callers from the outside and from the host's loopback address. */
async function throughput(pair: Pair, rounds: number, network: string, peer: string): Promise<void> {
  const { host, user } = pair;
  for (const [index, name] of ENGINES.entries())
    await user!.must(
      ...[name, "run", "-d", "--name", "server", "--network", network, "-p", `${5201 + index}:5201`],
      ...["probe", "iperf3", "-s"],
    );
  const client = (target: string, index: number, ...flags: string[]) => [
    ...["iperf3", "-J", "-c", target, "-p", `${5201 + index}`, "-t", `${SECONDS}`, ...flags],
  ];
  for (const [way, flags] of [
    ["in", []],
    ["out", ["-R"]],
  ] as const)
    for (const from of ["outside", "loopback"] as const) {
      const rates: number[][] = [[], []];
      for (let round = 0; round <= rounds; round++)
        for (const index of ENGINES.keys()) {
          const words = client(from === "outside" ? HOST_ADDRESS : "127.0.0.1", index, ...flags);
          const text = from === "outside" ? await elsewhere(host.outside, words) : await user!.must(...words);
          // The first round warms up.
          if (round > 0)
            rates[index]!.push((JSON.parse(text) as Iperf).end.sum_received.bits_per_second / 1e9);
        }
      const [theirs, ours] = rates.map(one => median(one)) as [number, number];
      const what = `published port, ${way}, from ${from}`;
      console.log(`${what.padEnd(45)} ${peer} ${theirs.toFixed(2)}, portolan ${ours.toFixed(2)} Gbit/s`);
      printVerdict(`${what}, to ${peer}`, ours / theirs, 1, "at least");
    }
  for (const name of ENGINES) {
    await user!.must(name, "rm", "-f", "-t", "0", "server");
    const seen = await incoming(pair, name, network);
    const kept = seen["TCP from outside by IPv4"] === OUTSIDE_ADDRESS;
    console.log(
      `${name === "podman" ? peer : name}: a server sees ${seen["TCP from outside by IPv4"]} of ${OUTSIDE_ADDRESS}, ${kept ? "kept" : "lost"}`,
    );
  }
}

/** Runs a command in a namespace without waiting in it. */
async function elsewhere(place: TestNetns, words: readonly string[]): Promise<string> {
  const child = place.run(() => Bun.spawn([...words], { stdout: "pipe", stderr: "inherit" }));
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")}: ${text}`);
  return text;
}

/** How long a published port is dead when the data plane is killed. */
async function revival({ host, user }: Pair, rounds: number): Promise<void> {
  const serve = "socat TCP4-LISTEN:80,fork,reuseaddr SYSTEM:'echo $SOCAT_PEERADDR $(sha256sum)'";
  await user!.must("portolan", "run", "-d", "--name", "server", "-p", "8080:80", "probe", "sh", "-c", serve);
  const data = new TextEncoder().encode("are you there?");
  const expected = `${OUTSIDE_ADDRESS} ${sha256(data)} -`;
  const works = async () => (await exchangeTcp(host.outside, HOST_ADDRESS, 8080, data)) === expected;
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    while (!(await works())) await Bun.sleep(10);
    await host.must("pkill", "-KILL", "-u", `${user!.uid}`, "-x", "netd");
    const start = performance.now();
    while (!(await works())) await Bun.sleep(1);
    times.push(performance.now() - start);
  }
  await user!.must("portolan", "rm", "-f", "-t", "0", "server");
  printTimes("portolan", "netd is killed: a new connection works", times);
  printVerdict("netd is killed: back, in seconds", Math.max(...times) / 1000, 1);
}

async function measure(rounds: number): Promise<void> {
  {
    await using pair = await Pair.asUser(["busybox", "probe"]);
    using _ = await Outside.open(pair.host);
    await asUser(pair, import.meta.path, `${2 * rounds}`);
    await memory(pair);
    await revival(pair, rounds);
    await throughput(pair, rounds, "slirp4netns", "rootlessport");
  }
  await using pair = await Pair.asUser(["probe"], debian13());
  using _ = await Outside.open(pair.host);
  await throughput(pair, rounds, "pasta", "pasta");
}

const [first = "5", uid, rounds] = process.argv.slice(2);
if (first === "--inside") {
  becomeUser(Number(uid));
  await commands(Number(rounds));
} else await measure(Number(first));
process.exit();
