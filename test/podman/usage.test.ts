/** stats and update: what a container uses, and what it may use. */
import { expect, test } from "bun:test";
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root", "user"], "busybox");
const [root, user] = callers;
const IDLE = "engine create --name one busybox true >/dev/null";

// Of one that does not run: podman doesn't find the groups of those that run on this host.
pairs(
  [root!],
  [
    `${IDLE}; engine stats --no-stream --format json one; engine stats --no-stream --no-trunc one; engine stats --no-stream --format '{{.ID}}|{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.MemUsageBytes}}|{{.MemPerc}}|{{.NetIO}}|{{.BlockIO}}|{{.PIDS}}|{{.UpTime}}|{{.AVGCPU}}' one; engine stats --no-stream --format 'table {{.ID}} {{.Name}}' one; engine stats --no-stream -l; engine stats --no-stream -a; engine container stats --no-stream one`,
    "engine stats nope; engine stats -a -l; engine stats -a x; engine stats -i 0; engine stats --bogus",
    refused(`${IDLE}; engine stats --no-stream --format '{{.Bogus}}' one`, /can't evaluate field Bogus/),
    "engine run -d --name one busybox sleep 1000 >/dev/null; engine update --cpus 0.5 -m 64m -c 512 --cpuset-cpus 0 one; for f in memory/*/memory.limit_in_bytes cpu/*/cpu.shares cpu/*/cpu.cfs_quota_us cpuset/*/cpuset.cpus; do cat /sys/fs/cgroup/$(dirname $(dirname $f))/libpod_parent/libpod-$(engine inspect -f '{{.Id}}' one)/$(basename $f); done; engine update -m x one; engine update one two; engine update nope; engine update; engine update --bogus one",
  ],
);

// Nobody counts for him on this kind of machine.
pairs(
  [user!],
  [
    "engine stats --no-stream; engine stats nope; engine stats -a --no-stream; engine update nope; engine update",
    refused(
      "engine run -d --network none --name one busybox sleep 1000 >/dev/null; engine update --cpus 1 one; engine ps --format '{{.Names}}'",
      /cannot set cpu limit|--cpus: this machine gives you no control groups/,
    ),
  ],
);

test("root: what is used is counted, and limits hold at once and after a restart", async () => {
  const script = `engine run -d --name one busybox sh -c 'head -c 10000000 /dev/zero >/dev/shm/x; cat /sys/fs/cgroup/memory/memory.limit_in_bytes; echo ready; sleep 1000' >/dev/null; ready one
engine stats --no-stream --format json one; engine update -m 64m one >/dev/null; engine stats --no-stream --format '{{.MemUsage}}' one
engine restart -t 0 one >/dev/null; engine inspect -f '{{.HostConfig.Memory}}' one; engine stats --no-stream --format '{{.MemUsageBytes}}' one; portolan stats -i 1 one | grep -m 2 -c one`;
  const { stdout, stderr } = await root!.pair().run("portolan", script);
  expect(stderr).toBe("");
  const [, list, rest] = /^(\[[\s\S]*?\n\])\n([\s\S]*)$/.exec(stdout)!;
  const [sample] = JSON.parse(list!) as [Record<string, string>];
  expect(sample).toMatchObject({ name: "one", pids: expect.stringMatching(/^[1-9]\d*$/) });
  expect(sample.mem_usage).toMatch(/^1\d(\.\d+)?MB \/ \d/);
  expect(sample.cpu_time).toMatch(/^\d+(\.\d+)?(ms|s)$/);
  expect(rest).toMatch(/^1\d(\.\d+)?MB \/ 67\.11MB\n67108864\n[\d.]+[KM]iB \/ 64MiB\n2\n$/);
});
