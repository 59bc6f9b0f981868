/**
 * netavark's setup and teardown of a container on one network with two published ports, against Debian's netavark, executed in
 * turns in throw-away namespaces, each with a host of its own. `bun run bench/netavark.ts [rounds]`. Goal: 0.3 of the time.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { TestNetns } from "../test/support/netns.ts";
import { inTurns, median, printTimes, printVerdict } from "./support/measure.ts";

const GOAL = 0.3;
const DEBIANS = "/usr/lib/podman/netavark";
const rounds = Number(process.argv[2] ?? "20");

const REQUEST = JSON.stringify({
  container_id: "2d0fe608dc86d7ba65dcec724a335b618328f08daa62afd2ee7fa9d41f74e5a9",
  container_name: "bench",
  port_mappings: [{ container_port: 8000, host_ip: "", host_port: 9000, protocol: "tcp", range: 2 }],
  networks: { podman: { static_ips: ["10.88.0.2"], interface_name: "eth0" } },
  network_info: {
    podman: {
      name: "podman",
      id: "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9",
      driver: "bridge",
      network_interface: "podman0",
      created: "2026-01-01T00:00:00Z",
      subnets: [{ subnet: "10.88.0.0/16", gateway: "10.88.0.1" }],
      ipv6_enabled: false,
      internal: false,
      dns_enabled: false,
      ipam_options: { driver: "host-local" },
    },
  },
});

/** A program in a host's namespace with a container's. */
class Contender implements Disposable {
  private readonly host = new TestNetns("bench-host");
  private readonly container = new TestNetns("bench-container");
  private readonly config = mkdtempSync(join(tmpdir(), "portolan-bench-"));

  /** Milliseconds of processor time since the last turn. */
  private cpu = 0;
  readonly cpuTimes: number[] = [];

  constructor(
    readonly name: string,
    private readonly program: string,
  ) {
    this.host.sh("ip", "link", "set", "lo", "up");
  }

  private run(verb: string): void {
    const words = [this.program, "--config", this.config, "--rootless=false", verb, this.container.path];
    const child = this.host.run(() =>
      Bun.spawnSync(words, { stdin: Buffer.from(REQUEST), stdout: "pipe", stderr: "pipe" }),
    );
    const { user, system } = child.resourceUsage!.cpuTime;
    this.cpu += Number(user + system) / 1000;
    if (child.exitCode !== 0) throw new Error(`${this.name}: ${verb}: ${child.stdout}${child.stderr}`);
  }

  both(round: number): void {
    this.cpu = 0;
    this.run("setup");
    this.run("teardown");
    // The first round warms up.
    if (round > 0) this.cpuTimes.push(this.cpu);
  }

  /** Until the kernel is through with what was removed: the other's turn shall not wait for that. */
  settle(): void {
    this.host.sh("ip", "link", "set", "lo", "up");
  }

  [Symbol.dispose](): void {
    for (const one of [this.host, this.container]) one[Symbol.dispose]();
    rmSync(this.config, { recursive: true, force: true });
  }
}

if (!existsSync("dist/portolan")) throw new Error("dist/portolan is missing: run `make build` first");
const directory = mkdtempSync(join(tmpdir(), "portolan-bench-"));
try {
  // As podman has it: by the launcher that `portolan cni install` writes.
  Bun.spawnSync([resolve("dist/portolan"), "cni", "install", directory]);
  using debians = new Contender("Debian's", DEBIANS);
  using ours = new Contender("ours", join(directory, "netavark"));
  const contenders = [debians, ours];
  const times = await inTurns(
    contenders.map(one => ({ name: one.name, act: round => one.both(round), restore: () => one.settle() })),
    rounds,
  );
  for (const [index, one] of contenders.entries()) printTimes(one.name, "setup + teardown", times[index]!);
  for (const one of contenders) printTimes(one.name, "processor time of both", one.cpuTimes);
  printVerdict("netavark setup + teardown", median(times[1]!) / median(times[0]!), GOAL);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
