/**
 * CNI plugins as executables: bridge, host-local and portmap by our launchers against Go's, called by the same runtime in
 * turns, in a throw-away namespace; and what 1,000 attachments on one bridge do to the next. `bun run
 * bench/cni-executed.ts [rounds [attachments]]`. Goals: 0.4 of the time, 0.3 of the processor's time, VERSION 2.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestNetns } from "../test/support/netns.ts";
import { inTurns, median, printTimes, printVerdict } from "./support/measure.ts";

const GOALS = { wall: 0.4, cpu: 0.3, version: 2, last: 1.5 };
const GO = "/usr/lib/cni";

interface Side {
  name: string;
  path: string;
  subnet: string;
}

/** One side's chain as libcni runs it: each plugin an executable, each result the next one's `prevResult`. */
class Chain {
  /** Milliseconds of processor time, user and system, of the plugins and what they started, since the last look. */
  #cpu = 0;

  constructor(
    readonly side: Side,
    readonly directory: string,
    readonly plugins: readonly ("bridge" | "portmap")[] = ["bridge", "portmap"],
  ) {}

  #conf(type: string, prevResult?: unknown): object {
    const common = { cniVersion: "1.0.0", name: this.side.name, type, prevResult };
    if (type === "portmap") {
      const portMappings = [{ hostPort: 18080, containerPort: 80, protocol: "tcp" }];
      return { ...common, capabilities: { portMappings: true }, runtimeConfig: { portMappings } };
    }
    const ipam = {
      type: "host-local",
      dataDir: join(this.directory, "networks"),
      routes: [{ dst: "0.0.0.0/0" }],
      ranges: [[{ subnet: this.side.subnet }]],
    };
    const bridge = `bench-${this.side.name}`;
    return { ...common, bridge, isGateway: true, ipMasq: this.plugins.length > 1, ipam };
  }

  #call(type: string, verb: string, id: string, netns: string, prevResult?: unknown): unknown {
    const child = Bun.spawnSync([join(this.side.path, type)], {
      stdin: Buffer.from(JSON.stringify(this.#conf(type, prevResult))),
      env: {
        PATH: process.env.PATH!,
        CNI_COMMAND: verb,
        CNI_CONTAINERID: id,
        CNI_NETNS: netns,
        CNI_IFNAME: "eth0",
        CNI_PATH: this.side.path,
      },
    });
    const out = child.stdout.toString();
    if (child.exitCode !== 0) throw new Error(`${this.side.name} ${type} ${verb}: ${out}${child.stderr}`);
    this.#cpu += Number(child.resourceUsage.cpuTime.total) / 1000;
    return out === "" ? undefined : JSON.parse(out);
  }

  add(id: string, netns: string): unknown {
    let result: unknown;
    for (const type of this.plugins) result = this.#call(type, "ADD", id, netns, result);
    return result;
  }

  del(id: string, netns: string, result: unknown): void {
    for (const type of this.plugins.toReversed()) this.#call(type, "DEL", id, netns, result);
  }

  version(): void {
    for (const type of this.plugins) this.#call(type, "VERSION", "", "");
  }

  takeCpu(): number {
    const cpu = this.#cpu;
    this.#cpu = 0;
    return cpu;
  }
}

/** Runs inside the throw-away host. */
async function measure(container: string, directory: string, rounds: number): Promise<void> {
  const sides = [
    { name: "go", path: GO, subnet: "10.201.0.0/16" },
    { name: "ours", path: join(directory, "bin"), subnet: "10.202.0.0/16" },
  ];
  const chains = sides.map(side => new Chain(side, directory));
  const cpu: number[][] = sides.map(() => []);
  const contenders = chains.map((chain, index) => ({
    name: chain.side.name,
    act(round: number) {
      const result = chain.add(`bench${round}`, container);
      chain.del(`bench${round}`, container, result);
    },
    restore(round: number) {
      const took = chain.takeCpu();
      if (round > 0) cpu[index]!.push(took);
    },
  }));
  const wall = await inTurns(contenders, rounds);
  for (const [index, { name }] of sides.entries()) {
    printTimes(name, "executed ADD+DEL", wall[index]!);
    printTimes(name, "its processor time", cpu[index]!);
  }
  const versions = await inTurns(
    chains.map(chain => ({ name: chain.side.name, act: () => chain.version() })),
    rounds,
  );
  for (const [index, { name }] of sides.entries()) printTimes(name, "VERSION, twice", versions[index]!);
  const ratio = ([go, ours]: number[][]) => median(ours!) / median(go!);
  printVerdict("executed CNI ADD+DEL", ratio(wall), GOALS.wall);
  printVerdict("executed CNI ADD+DEL, processor time", ratio(cpu), GOALS.cpu);
  printVerdict("CNI VERSION", ratio(versions), GOALS.version);
}

/**
 * How long an ADD takes when the bridge has many ports already: the last few beside the first, and in turns with ADDs in a
 * fresh host. The first were a minute ago, and what else the machine does changes more in that time than an ADD does.
 */
function many(directory: string, count: number): void {
  const side = { name: "many", path: join(directory, "bin"), subnet: "10.203.0.0/16" };
  const chain = new Chain(side, directory, ["bridge"]);
  const other = new Chain({ ...side, name: "few", subnet: "10.204.0.0/16" }, directory, ["bridge"]);
  const times: number[] = [];
  const beside: number[] = [];
  const made: TestNetns[] = [];
  const add = (where: Chain, index: number, host?: TestNetns): number => {
    const container = new TestNetns("bench-many");
    made.push(container);
    const act = () => where.add(`many${index}`, container.path);
    const start = performance.now();
    if (host) host.run(act);
    else act();
    return performance.now() - start;
  };
  // One ADD says little: the first and the last few of so many.
  const few = Math.max(1, Math.min(25, Math.floor(count / 4)));
  try {
    const fresh = new TestNetns("bench-few");
    made.push(fresh);
    fresh.sh("ip", "link", "set", "lo", "up");
    // The bridge is made by the first.
    add(other, 0, fresh);
    for (let index = 0; index < count; index++) {
      if (index >= count - few) beside.push(add(other, index, fresh));
      times.push(add(chain, index));
    }
  } finally {
    for (const one of made) one[Symbol.dispose]();
  }
  const last = times.slice(-few);
  printTimes("ours", `ADD, the first ${few} on a bridge`, times.slice(0, few));
  printTimes("ours", `ADD, the last ${few} of ${count}`, last);
  printTimes("ours", "ADD on a fresh bridge, in turns with these", beside);
  printVerdict(
    `CNI ADD, the last of ${count} to the first`,
    median(last) / median(times.slice(0, few)),
    GOALS.last,
  );
  printVerdict(`CNI ADD, the last of ${count} to a fresh bridge`, median(last) / median(beside), GOALS.last);
}

const [first, ...rest] = process.argv.slice(2);
if (first === "--inside") {
  await measure(rest[0]!, rest[1]!, Number(rest[2]));
  many(rest[1]!, Number(rest[3]));
} else {
  const directory = mkdtempSync(join(tmpdir(), "portolan-bench-"));
  try {
    const portolan = join(import.meta.dir, "../dist/portolan");
    Bun.spawnSync([portolan, "cni", "install", join(directory, "bin")]);
    using host = new TestNetns("bench-host");
    using container = new TestNetns("bench-container");
    host.sh("ip", "link", "set", "lo", "up");
    const words = ["--inside", container.path, directory, first ?? "25", rest[0] ?? "1000"];
    const child = host.run(() =>
      Bun.spawnSync([process.execPath, import.meta.path, ...words], { stdout: "inherit", stderr: "inherit" }),
    );
    process.exitCode = child.exitCode;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
