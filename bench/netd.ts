/**
 * The user-mode network against Debian's slirp4netns, in turns on one throw-away host: iperf3 and small callers between a
 * guest and the host's loopback. `bun run bench/netd.ts [rounds]`; medians of five. Goals: the issue's.
 */
import { join } from "node:path";
import { World } from "../test/netd/world.ts";
import { median, printVerdict } from "./support/measure.ts";
import { GATEWAY, GUEST_PORT, type Guest, type Memory, memoryOf, SlirpWorld } from "./support/slirp.ts";

const SECONDS = 2;
const CONTENDERS = ["slirp4netns", "portolan"] as const;
const MTUS = [65_520, 1500] as const;
const CALLERS = join(import.meta.dir, "support/callers.ts");
const rounds = Number(process.argv[2] ?? 5);

await using world = new SlirpWorld();
const guests = new Map<string, Guest>();
for (const contender of CONTENDERS)
  for (const mtu of MTUS) guests.set(`${contender} ${mtu}`, await world.guest(contender, mtu));
const guestOf = (contender: string, mtu: number) => guests.get(`${contender} ${mtu}`)!;

type Place = { run<T>(fn: () => T): T };

async function output(place: Place, ...command: string[]): Promise<string> {
  const child = place.run(() => Bun.spawn(command, { stdout: "pipe", stderr: "inherit" }));
  const text = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}: ${text}`);
  return text;
}

interface Sum {
  bits_per_second: number;
  bytes: number;
  packets: number;
  lost_packets: number;
  seconds: number;
}

/** One run of iperf3; what the receiver saw. */
async function iperf(server: Place, client: Place, ...flags: string[]): Promise<Sum> {
  const port = GUEST_PORT;
  const listener = server.run(() =>
    Bun.spawn(["iperf3", "-s", "-1", "-p", `${port}`, "--forceflush"], { stdout: "pipe", stderr: "ignore" }),
  );
  const reader = listener.stdout.getReader();
  await reader.read();
  const text = await output(client, "iperf3", "-J", "-t", `${SECONDS}`, ...flags);
  listener.kill();
  await listener.exited;
  const { end } = JSON.parse(text) as { end: { sum_received?: Sum; sum?: Sum } };
  return (end.sum ?? end.sum_received)!;
}

/** What one round measures of one guest, by name; higher or lower as the goal says. */
type Measure = (guest: Guest, contender: string) => Promise<Record<string, number>>;

const throughput =
  (name: string, ...flags: string[]): Measure =>
  async guest => {
    const before = guest.cpu();
    const sum = await iperf(world.host, guest.place, "-c", GATEWAY, "-p", `${GUEST_PORT}`, ...flags);
    const used = guest.cpu() - before;
    return {
      [`TCP ${name}, Gbit/s`]: sum.bits_per_second / 1e9,
      [`TCP ${name}, CPU s/GB`]: used / (sum.bytes / 1e9),
    };
  };

const published: Measure = async (guest, contender) => {
  const port = contender === "portolan" ? "6001" : "6002";
  const sum = await iperf(guest.place, world.host, "-c", "127.0.0.1", "-p", port);
  return { "TCP in by a published port, Gbit/s": sum.bits_per_second / 1e9 };
};

const datagrams =
  (name: string, ...flags: string[]): Measure =>
  async guest => {
    const sum = await iperf(
      world.host,
      guest.place,
      ...["-c", GATEWAY, "-p", `${GUEST_PORT}`, "-u", "-l", "1400", "-b", "0", ...flags],
    );
    return { [`UDP ${name}, 1400 bytes, packets/s`]: (sum.packets - sum.lost_packets) / sum.seconds };
  };

async function called(guest: Guest, server: string, role: string): Promise<number> {
  const answering = world.host.run(() =>
    Bun.spawn([process.execPath, CALLERS, server, "127.0.0.1", "5500"], { stdout: "pipe" }),
  );
  await answering.stdout.getReader().read();
  try {
    return Number(await output(guest.place, process.execPath, CALLERS, role, GATEWAY, "5500", "1"));
  } finally {
    answering.kill();
    await answering.exited;
  }
}

const connections: Measure = async guest => ({
  "connect, ask, close, per second": await called(guest, "once", "calls"),
});
const answers: Measure = async guest => ({
  "TCP request to answer, µs": await called(guest, "serve", "asks"),
});

const pings: Measure = async guest => {
  const text = await output(guest.place, "ping", "-c", "200", "-i", "0.003", GATEWAY);
  const times = [...text.matchAll(/time=([\d.]+) ms/g)].map(match => Number(match[1]) * 1000);
  return { "ping of the gateway, µs": median(times) };
};

const MEASURES: readonly { mtu: number; measure: Measure }[] = [
  { mtu: 65_520, measure: throughput("out, MTU 65520") },
  { mtu: 65_520, measure: throughput("in, MTU 65520", "-R") },
  { mtu: 1500, measure: throughput("out, MTU 1500") },
  { mtu: 1500, measure: throughput("in, MTU 1500", "-R") },
  { mtu: 65_520, measure: published },
  { mtu: 1500, measure: datagrams("out") },
  { mtu: 1500, measure: datagrams("in", "-R") },
  { mtu: 1500, measure: answers },
  { mtu: 1500, measure: pings },
  { mtu: 1500, measure: connections },
];

for (const [contender, port] of [
  ["portolan", 6001],
  ["slirp4netns", 6002],
] as const)
  await guestOf(contender, 65_520).publish(port);

const results = new Map<string, Map<string, number[]>>();
/** From process to process over the host's loopback device, with no stack in between: no guest can be faster. */
const ceiling: number[] = [];
for (let round = 0; round <= rounds; round++) {
  const { bits_per_second } = await iperf(world.host, world.host, "-c", "127.0.0.1", "-p", `${GUEST_PORT}`);
  if (round > 0) ceiling.push(bits_per_second / 1e9);
  for (const { mtu, measure } of MEASURES)
    for (const contender of CONTENDERS) {
      const figures = await measure(guestOf(contender, mtu), contender);
      // The first round warms up.
      if (round === 0) continue;
      for (const [name, value] of Object.entries(figures)) {
        const byContender = results.get(name) ?? new Map<string, number[]>();
        results.set(name, byContender);
        byContender.set(contender, [...(byContender.get(contender) ?? []), value]);
      }
    }
}

const GOALS: Record<string, { atLeast?: number; atMost?: number }> = {
  "TCP out, MTU 65520, Gbit/s": { atLeast: 2.3 },
  "TCP in, MTU 65520, Gbit/s": { atLeast: 4 },
  "TCP out, MTU 1500, Gbit/s": { atLeast: 4 },
  "TCP in, MTU 1500, Gbit/s": { atLeast: 4 },
  "TCP in by a published port, Gbit/s": { atLeast: 2.5 },
  "UDP out, 1400 bytes, packets/s": { atLeast: 1.5 },
  "UDP in, 1400 bytes, packets/s": { atLeast: 1.5 },
  "connect, ask, close, per second": { atLeast: 1 },
  "TCP request to answer, µs": { atMost: 1.1 },
  "ping of the gateway, µs": { atMost: 1.1 },
};

const shown = (value: number) => (value >= 1000 ? value.toFixed(0) : value.toPrecision(3)).padStart(8);
for (const [name, byContender] of results) {
  const [theirs, ours] = CONTENDERS.map(contender => byContender.get(contender)!) as [number[], number[]];
  console.log(
    `${name.padEnd(40)} slirp4netns ${shown(median(theirs))}, portolan ${shown(median(ours))} (${Math.min(...ours).toPrecision(3)} to ${Math.max(...ours).toPrecision(3)})`,
  );
  const { atLeast, atMost = 0.5 } = GOALS[name] ?? {};
  const ratio = median(ours) / median(theirs);
  if (atLeast === undefined) printVerdict(name, ratio, atMost);
  else printVerdict(name, ratio, atLeast, "at least");
  if (name.endsWith("Gbit/s"))
    console.log(
      `${" ".repeat(45)} ratio ${(median(ceiling) / median(theirs)).toFixed(3)} for the kernel's loopback, ${shown(median(ceiling)).trim()} Gbit/s`,
    );
}

function printMemory(what: string, { resident, own }: Memory): void {
  console.log(`${what.padEnd(45)} ${resident.toFixed(1)} MiB resident, ${own.toFixed(1)} of it its own`);
}
for (const contender of CONTENDERS)
  printMemory(`memory of ${contender}, one tap`, guestOf(contender, 1500).memory());
for (const taps of [1, 50]) {
  await using many = await World.create({}, taps);
  printMemory(`memory of a data plane with ${taps} idle taps`, memoryOf(many.pid));
}
