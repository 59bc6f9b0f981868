import { UserError } from "../../base/errors.ts";
import { writeOut } from "../../base/stdio.ts";
import { cgroupManager } from "../../container/cgroups.ts";
import { statusOf } from "../../container/config.ts";
import type { Engine } from "../../container/engine.ts";
import type { Pod } from "../../container/pod-store.ts";
import type { UsageSample } from "../../container/usage-sample.ts";
import { membersOf, podState } from "../../pod/members.ts";
import type { Command, Invocation } from "../command.ts";
import { printListing } from "../format/output.ts";
import { LATEST_POD } from "../pod-select.ts";
import { allFlag, formatFlag } from "../select.ts";
import { statsRow } from "./stats.ts";

const COLUMNS = ["Pod", "CID", "Name", "CPU", "MemUsage", "Mem", "NetIO", "BlockIO", "PIDS"];
/** Seconds between two looks. */
const INTERVAL = 5;

export const podStats: Command = {
  summary: "Display a live stream of resource usage statistics for the containers in one or more pods",
  usage: "[options] [POD...]",
  flags: [
    allFlag("Provide stats for all pods"),
    formatFlag(),
    LATEST_POD,
    { long: "no-reset", kind: "bool", help: "Disable resetting the screen when streaming" },
    { long: "no-stream", kind: "bool", help: "Disable streaming stats and only pull the first result" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    const chosen = [flags.bool("all"), flags.bool("latest"), args.length > 0].filter(Boolean);
    if (chosen.length > 1) throw new UserError("--all, --latest and arguments cannot be used together");
    const engine = await invocation.engine();
    if (cgroupManager(engine) === "none")
      throw new UserError("pod stats is not supported in rootless mode without cgroups v2");
    const before = new Map<string, UsageSample>();
    for (;;) {
      const rows = choose(invocation, engine).flatMap(pod =>
        membersOf(engine, pod)
          .all.filter(one => statusOf(one) === "running")
          .map(one => rowOf(pod, statsRow(one, before, false))),
      );
      if (!flags.bool("no-stream") && !flags.bool("no-reset") && process.stdout.isTTY)
        // ECMA-48: the cursor goes home, and what follows it is erased.
        writeOut("\x1b[H\x1b[J");
      printListing({
        name: "stats",
        rows,
        headings: {
          ...{ Pod: "POD", CID: "CID", CPU: "CPU %", MemUsage: "MEM USAGE/ LIMIT" },
          ...{ MemUsageBytes: "MEM USAGE/ LIMIT", Mem: "MEM %", NetIO: "NET IO", BlockIO: "BLOCK IO" },
        },
        columns: COLUMNS,
        format: flags.string("format"),
        json: () => rows,
        indent: 5,
      });
      if (flags.bool("no-stream")) return 0;
      await Bun.sleep(INTERVAL * 1000);
    }
  },
};

/** The pods named; those that run where none are. */
function choose({ flags, args }: Invocation, engine: Engine): Pod[] {
  const all = engine.pods.list();
  if (flags.bool("latest")) return all.slice(0, 1);
  if (args.length === 0)
    return flags.bool("all") ? all : all.filter(pod => podState(membersOf(engine, pod).all) === "Running");
  return args.map(name => {
    const pod = engine.pods.find(name);
    if (!pod)
      throw new UserError(`unable to get list of pods: no pod with name or ID ${name} found: no such pod`, {
        status: 404,
      });
    return pod;
  });
}

const rowOf = ({ config }: Pod, row: ReturnType<typeof statsRow>) => ({
  CPU: row.CPUPerc,
  MemUsage: row.MemUsage,
  MemUsageBytes: row.MemUsageBytes,
  Mem: row.MemPerc,
  NetIO: row.NetIO,
  BlockIO: row.BlockIO,
  PIDS: row.PIDS,
  Pod: config.id.slice(0, 12),
  CID: row.ID,
  Name: row.Name,
});
