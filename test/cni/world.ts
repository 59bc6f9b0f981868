/** A host and its containers, each a throw-away namespace, with directories of their own for CNI's state. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attachment, RuntimeOptions } from "../../src/cni/runtime.ts";
import type { PortMap, Result } from "../../src/cni/types.ts";
import { TestNetns } from "../support/netns.ts";
import type { Outcome, Step } from "./drive.ts";

export class World implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "portolan-cni-"));
  readonly host = new TestNetns("host");
  readonly #containers: TestNetns[] = [];
  readonly options: RuntimeOptions = { cacheDirectory: join(this.directory, "results") };

  constructor() {
    this.host.sh("ip", "link", "set", "lo", "up");
  }

  container(): TestNetns {
    const one = new TestNetns("container");
    this.#containers.push(one);
    one.sh("ip", "link", "set", "lo", "up");
    return one;
  }

  /** A host somewhere else, on a wire to ours: 192.0.2.1 and fd00:2::1 here, .2 and ::2 there. */
  outside(): TestNetns {
    const one = this.container();
    this.host.sh("ip", "link", "add", "wan0", "type", "veth", "peer", "name", "eth0", "netns", one.path);
    for (const [place, name, last] of [
      [this.host, "wan0", 1],
      [one, "eth0", 2],
    ] as const) {
      place.sh("ip", "address", "add", `192.0.2.${last}/24`, "dev", name);
      place.sh("ip", "address", "add", `fd00:2::${last}/64`, "dev", name, "nodad");
      place.sh("sh", "-c", `echo 0 > /proc/sys/net/ipv6/conf/${name}/accept_dad`);
      place.sh("ip", "link", "set", name, "up");
    }
    return one;
  }

  /** A conflist of bridge, host-local, portmap and firewall; `parts` go into the plugins. */
  list(
    name = "net",
    parts: { bridge?: object; ipam?: object; firewall?: object; plugins?: object[] } = {},
  ): string {
    const plugins = parts.plugins ?? [
      {
        type: "bridge",
        bridge: `br-${name}`,
        isGateway: true,
        ipMasq: true,
        ipam: {
          type: "host-local",
          dataDir: join(this.directory, "networks"),
          routes: [{ dst: "0.0.0.0/0" }],
          ranges: [[{ subnet: "10.77.0.0/24" }]],
          ...parts.ipam,
        },
        ...parts.bridge,
      },
      { type: "portmap", capabilities: { portMappings: true } },
      { type: "firewall", ...parts.firewall },
    ];
    return JSON.stringify({ cniVersion: "1.0.0", name, plugins });
  }

  attachment(containerId: string, netns: string, portMappings?: PortMap[]): Attachment {
    return { containerId, netns, ifName: "eth0", capabilityArgs: portMappings && { portMappings } };
  }

  /** A process on the host that takes these steps and prints their outcomes. */
  spawn(...steps: Step[]) {
    const input = JSON.stringify(steps.map(step => ({ options: this.options, ...step })));
    return this.host.run(() =>
      Bun.spawn([process.execPath, join(import.meta.dir, "drive.ts")], {
        stdin: Buffer.from(input),
        stdout: "pipe",
        stderr: "pipe",
      }),
    );
  }

  steps(...steps: Step[]): Outcome[] {
    const input = JSON.stringify(steps.map(step => ({ options: this.options, ...step })));
    const child = this.host.run(() =>
      Bun.spawnSync([process.execPath, join(import.meta.dir, "drive.ts")], {
        stdin: Buffer.from(input),
        env: process.env,
      }),
    );
    if (child.exitCode !== 0) throw new Error(child.stderr.toString());
    return JSON.parse(child.stdout.toString()) as Outcome[];
  }

  /** One step that must succeed. */
  step(step: Step): Result | undefined {
    const [outcome] = this.steps(step);
    if (outcome?.error !== undefined) throw new Error(outcome.error);
    return outcome?.result;
  }

  /** Every element of our firewall table, as nft writes them. */
  elements(): string {
    const text = this.host.sh("nft", "list", "ruleset");
    return [...text.matchAll(/elements = \{[^}]*\}/g)].map(([one]) => one).join("\n");
  }

  /** Loses what the runtime remembers of an attachment, as a crash does. */
  forget({ containerId, ifName }: Attachment): void {
    for (const name of this.files("results"))
      if (name.endsWith(`-${containerId}-${ifName}`)) rmSync(join(this.directory, "results", name));
  }

  files(directory: "results" | `networks/${string}`): string[] {
    try {
      return readdirSync(join(this.directory, directory)).sort();
    } catch {
      return [];
    }
  }

  [Symbol.dispose](): void {
    for (const one of [...this.#containers, this.host]) one[Symbol.dispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
