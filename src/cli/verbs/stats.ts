import { UserError } from "../../base/errors.ts";
import { goDuration } from "../../base/quantity.ts";
import { writeOut } from "../../base/stdio.ts";
import { cgroupManager } from "../../container/cgroups.ts";
import { type Container, statusOf } from "../../container/config.ts";
import type { Engine } from "../../container/engine.ts";
import { sampleUsage, type UsageSample } from "../../container/usage-sample.ts";
import type { Command, Invocation } from "../command.ts";
import { humanSize } from "../format/human.ts";
import { printListing } from "../format/output.ts";
import { allFlag, formatFlag, LATEST } from "../select.ts";

const COLUMNS = [
  "ID",
  "Name",
  "CPUPerc",
  "MemUsage",
  "MemPerc",
  "NetIO",
  "BlockIO",
  "PIDS",
  "UpTime",
  "AVGCPU",
];
const HEADINGS = {
  ...{
    ID: "ID",
    Name: "NAME",
    CPUPerc: "CPU %",
    MemUsage: "MEM USAGE / LIMIT",
    MemUsageBytes: "MEM USAGE / LIMIT",
  },
  ...{
    MemPerc: "MEM %",
    NetIO: "NET IO",
    BlockIO: "BLOCK IO",
    PIDS: "PIDS",
    UpTime: "CPU TIME",
    AVGCPU: "AVG CPU %",
  },
};

export const stats: Command = {
  summary: "Display a live stream of container resource usage statistics",
  usage: "[options] [CONTAINER...]",
  flags: [
    allFlag("Show all containers. Only running containers are shown by default"),
    formatFlag(),
    { long: "interval", short: "i", kind: "int", help: "Time in seconds between stats reports (default 5)" },
    LATEST,
    { long: "no-reset", kind: "bool", help: "Disable resetting the screen between intervals" },
    { long: "no-stream", kind: "bool", help: "Show the first result only" },
    { long: "no-trunc", kind: "bool", help: "Do not truncate output" },
  ],
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    if (cgroupManager(engine) === "none")
      throw new UserError("stats is not supported in rootless mode without cgroups v2");
    const chosen = [flags.bool("all"), flags.bool("latest"), invocation.args.length > 0].filter(Boolean);
    if (chosen.length > 1) throw new UserError("--all, --latest and containers cannot be used together");
    const interval = flags.number("interval") ?? 5;
    if (interval < 1) throw new UserError("invalid interval, must be a positive number greater zero");
    const before = new Map<string, UsageSample>();
    for (;;) {
      const containers = choose(invocation, engine);
      const rows = containers.map(one => statsRow(one, before, flags.bool("no-trunc")));
      if (!flags.bool("no-stream") && !flags.bool("no-reset") && process.stdout.isTTY)
        // ECMA-48: the cursor goes home, and what follows it is erased.
        writeOut("\x1b[H\x1b[J");
      printListing({
        name: "stats",
        rows,
        headings: HEADINGS,
        columns: COLUMNS,
        format: flags.string("format"),
        json: () => rows.map(json),
        indent: 1,
      });
      if (flags.bool("no-stream")) return 0;
      await Bun.sleep(interval * 1000);
    }
  },
};

/** Those named, which must be there at the first look and are left out when they have gone. */
function choose({ flags, args }: Invocation, engine: Engine): Container[] {
  const all = engine.containers.list();
  if (flags.bool("all")) return all;
  if (flags.bool("latest")) {
    if (all.length === 0) throw new UserError("unable to get list of containers: no such container");
    return all.slice(0, 1);
  }
  if (args.length === 0) return all.filter(one => statusOf(one) === "running");
  return args.map(name => {
    const found = engine.containers.find(name);
    if (!found)
      throw new UserError(
        `unable to get list of containers: unable to look up container ${name}: no container with name or ID ${JSON.stringify(name)} found: no such container`,
        { status: 404 },
      );
    return found;
  });
}

const percent = (part: number, whole: number) => `${(whole > 0 ? (100 * part) / whole : 0).toFixed(2)}%`;
const two = (a: number, b: number) => `${humanSize(a, 4)} / ${humanSize(b, 4)}`;

/** What `stats` shows of one container; `before` has the last look at each, and gets this one. */
export function statsRow({ config, state }: Container, before: Map<string, UsageSample>, full: boolean) {
  const sample = sampleUsage({ config, state, phase: "running" });
  const last = before.get(config.id);
  before.set(config.id, sample);
  const since = (sample.at - state.startedAt) * 1e6;
  const { memory, memoryLimit } = sample;
  return {
    ID: full ? config.id : config.id.slice(0, 12),
    ContainerID: config.id,
    Name: config.name,
    // Of the first look there is no other measure than all the time since its start.
    CPUPerc: last ? percent(sample.cpu - last.cpu, (sample.at - last.at) * 1e6) : percent(sample.cpu, since),
    MemUsage: two(memory, memoryLimit),
    MemUsageBytes: `${binarySize(memory)} / ${binarySize(memoryLimit)}`,
    MemPerc: percent(memory, memoryLimit),
    NetIO: two(sample.received, sample.sent),
    BlockIO: two(sample.read, sample.written),
    PIDS: String(sample.processes),
    UpTime: goDuration(sample.cpu),
    AVGCPU: percent(sample.cpu, since),
  };
}

/** `1.5MiB`: four significant digits, in powers of 1024. */
function binarySize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes > 0 ? Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10)) : 0;
  return `${Number((bytes / 1024 ** step).toPrecision(4))}${units[step]}`;
}

const json = (row: ReturnType<typeof statsRow>) => ({
  id: row.ID,
  name: row.Name,
  cpu_time: row.UpTime,
  cpu_percent: row.CPUPerc,
  avg_cpu: row.AVGCPU,
  mem_usage: row.MemUsage,
  mem_percent: row.MemPerc,
  net_io: row.NetIO,
  block_io: row.BlockIO,
  pids: row.PIDS,
});
