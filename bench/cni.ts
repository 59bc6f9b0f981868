/**
 * CNI ADD + DEL of bridge, host-local and portmap: in this process, against Go's plugins executed by the same runtime,
 * in turns, in a throw-away namespace. `bun run bench/cni.ts [rounds]`. Goal: a tenth of the time.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfList } from "../src/cni/conflist.ts";
import { type Attachment, CniRuntime } from "../src/cni/runtime.ts";
import { TestNetns } from "../test/support/netns.ts";
import { median, printVerdict } from "./support/measure.ts";

const GOAL = 0.1;

function conflist(name: string, directory: string, subnet: string) {
  const ipam = {
    type: "host-local",
    dataDir: join(directory, "networks"),
    routes: [{ dst: "0.0.0.0/0" }],
    ranges: [[{ subnet }]],
  };
  const bridge = { type: "bridge", bridge: `bench-${name}`, isGateway: true, ipMasq: true, ipam };
  const plugins = [bridge, { type: "portmap", capabilities: { portMappings: true } }];
  return parseConfList(JSON.stringify({ cniVersion: "1.0.0", name, plugins }));
}

interface Times {
  add: number[];
  del: number[];
}

/** Runs inside the throw-away host. */
async function measure(container: string, directory: string, rounds: number): Promise<void> {
  const cacheDirectory = join(directory, "results");
  const contenders = [
    {
      name: "Go's plugins, executed",
      runtime: new CniRuntime({
        cacheDirectory,
        pluginPath: ["/usr/lib/cni"],
        foreign: ["bridge", "host-local", "portmap"],
      }),
      list: conflist("go", directory, "10.201.0.0/16"),
      times: { add: [], del: [] } as Times,
    },
    {
      name: "in the process",
      runtime: new CniRuntime({ cacheDirectory }),
      list: conflist("ours", directory, "10.202.0.0/16"),
      times: { add: [], del: [] } as Times,
    },
  ];
  for (let round = -1; round < rounds; round++)
    for (const { runtime, list, times } of contenders) {
      const portMappings = [{ hostPort: 18080, containerPort: 80, protocol: "tcp" }];
      const attachment: Attachment = {
        containerId: `bench${round + 1}`,
        netns: container,
        ifName: "eth0",
        capabilityArgs: { portMappings },
      };
      const start = performance.now();
      await runtime.add(list, attachment);
      const added = performance.now();
      await runtime.del(list, list.name, attachment);
      const deleted = performance.now();
      // The first round loads code and makes the bridge.
      if (round < 0) continue;
      times.add.push(added - start);
      times.del.push(deleted - added);
    }
  const [go, ours] = contenders.map(({ name, times }) => {
    const both = times.add.map((add, index) => add + times.del[index]!);
    const line = (what: string, values: number[]) =>
      `${what} median ${median(values).toFixed(1).padStart(6)} ms, min ${Math.min(...values)
        .toFixed(1)
        .padStart(6)} ms`;
    console.log(
      `${name.padEnd(23)} ${line("ADD+DEL", both)} | ${line("ADD", times.add)} | ${line("DEL", times.del)}`,
    );
    return median(both);
  });
  printVerdict("CNI ADD+DEL", ours! / go!, GOAL);
}

const [first, ...rest] = process.argv.slice(2);
if (first === "--inside") await measure(rest[0]!, rest[1]!, Number(rest[2]));
else {
  const directory = mkdtempSync(join(tmpdir(), "portolan-bench-"));
  try {
    using host = new TestNetns("bench-host");
    using container = new TestNetns("bench-container");
    host.sh("ip", "link", "set", "lo", "up");
    const child = host.run(() =>
      Bun.spawnSync(
        [process.execPath, import.meta.path, "--inside", container.path, directory, first ?? "25"],
        {
          stdout: "inherit",
          stderr: "inherit",
        },
      ),
    );
    process.exitCode = child.exitCode;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
