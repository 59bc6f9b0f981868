/** A wire with a DHCP server (dnsmasq) at its far end, a host, and a `dhcp` daemon on that. */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { until } from "../support/await.ts";
import { newestGoPlugins, oldGoPlugins } from "../support/go-plugins.ts";
import type { TestNetns } from "../support/netns.ts";
import { type Called, callPlugin, PORTOLAN } from "./door.ts";
import { World } from "./world.ts";

export type Whose = "ours" | "old" | "newest";

export class DhcpWorld implements Disposable {
  readonly world = new World();
  readonly directory = this.world.directory;
  readonly socket = join(this.directory, "run/dhcp.sock");
  private readonly outside = this.world.outside();
  private readonly children: { kill(signal?: number | NodeJS.Signals): void; exited: Promise<number> }[] = [];
  private readonly bin = join(this.directory, "bin");

  constructor() {
    const child = Bun.spawnSync([PORTOLAN, "cni", "install", this.bin]);
    if (child.exitCode !== 0) throw new Error(child.stderr.toString());
  }

  get host(): TestNetns {
    return this.world.host;
  }

  /** dnsmasq with these options besides; gives away addresses from `first` on, and asks nobody first whether one is free. */
  async server(options: string[] = [], first = 100): Promise<{ stop(): Promise<void> }> {
    rmSync(this.leaseFile, { force: true });
    rmSync(this.logFile, { force: true });
    const words = [
      "dnsmasq",
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--port=0",
      "--interface=eth0",
      `--dhcp-range=192.0.2.${first},192.0.2.${first + 50},255.255.255.0,120`,
      `--dhcp-leasefile=${this.leaseFile}`,
      "--log-dhcp",
      `--log-facility=${this.logFile}`,
      "--pid-file=",
      "--user=root",
      "--no-ping",
      ...options,
    ];
    const child = this.outside.run(() => Bun.spawn(words, { stdio: ["ignore", "ignore", "pipe"] }));
    this.children.push(child);
    await until(
      () => this.log.includes("DHCP, IP range"),
      () => `dnsmasq does not start: ${this.log}`,
    );
    return {
      stop: async () => {
        child.kill();
        await child.exited;
      },
    };
  }

  private get leaseFile(): string {
    return join(this.directory, "leases");
  }
  private get logFile(): string {
    return join(this.directory, "dnsmasq.log");
  }
  get log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, "utf8") : "";
  }

  /** Address by client identifier, as the server's file has them. */
  leases(): Record<string, string> {
    const lines = existsSync(this.leaseFile) ? readFileSync(this.leaseFile, "utf8").trim().split("\n") : [];
    const named = lines.filter(Boolean).map(line => {
      const [, , address, , id] = line.split(" ");
      return [Buffer.from(id!.replaceAll(":", ""), "hex").subarray(1).toString(), address!] as const;
    });
    return Object.fromEntries(named);
  }

  /** What the daemon has said. */
  said = "";

  /** A daemon at `socket`; ready when it is returned. */
  async daemon(
    whose: Whose = "ours",
    ...flags: string[]
  ): Promise<{ kill(signal: NodeJS.Signals): Promise<number> }> {
    const file = join(this.pluginsOf(whose), "dhcp");
    const child = this.host.run(() =>
      Bun.spawn([file, "daemon", "-socketpath", this.socket, ...flags], {
        stdio: ["ignore", "ignore", "pipe"],
      }),
    );
    this.children.push(child);
    void this.listen(child.stderr);
    await until(
      () => this.host.run(() => Bun.spawnSync(["ss", "-xlH"]).stdout.toString()).includes(this.socket),
      () => `the daemon does not listen: ${this.said}`,
    );
    return {
      kill: async signal => {
        child.kill(signal);
        return child.exited;
      },
    };
  }

  /** A daemon as systemd starts one at the first connection to its socket. */
  async activate(): Promise<void> {
    mkdirSync(dirname(this.socket));
    const words = ["systemd-socket-activate", "-l", this.socket, join(this.bin, "dhcp"), "daemon"];
    const child = this.host.run(() =>
      Bun.spawn([...words, "-socketpath", this.socket], { stdio: ["ignore", "ignore", "pipe"] }),
    );
    this.children.push(child);
    void this.listen(child.stderr);
    await until(
      () => existsSync(this.socket),
      () => `nobody listens: ${this.said}`,
    );
  }

  private async listen(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const piece of stream) this.said += new TextDecoder().decode(piece);
  }

  pluginsOf(whose: Whose): string {
    return whose === "ours" ? this.bin : whose === "old" ? oldGoPlugins : newestGoPlugins();
  }

  conf(ipam: object = {}, more: object = {}): Record<string, unknown> {
    return {
      cniVersion: "1.0.0",
      name: "lan",
      type: "macvlan",
      master: "wan0",
      ipam: { type: "dhcp", daemonSocketPath: this.socket, ...ipam },
      ...more,
    };
  }

  /** A plugin of theirs as a runtime would call it. */
  call(
    verb: string,
    containerId: string,
    netns: string,
    conf: object = this.conf(),
    whose: Whose = "ours",
  ): Called {
    const path = this.pluginsOf(whose);
    const file = join(path, (conf as { type: string }).type);
    const env = { CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAME=pod-${containerId}` };
    return callPlugin(this.host, path, { file, verb, containerId, netns, conf, env });
  }

  /** The same, without waiting for it. */
  start(verb: string, containerId: string, netns: string, conf: object = this.conf()): Promise<string> {
    const env = {
      PATH: process.env.PATH,
      CNI_COMMAND: verb,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: "eth0",
      CNI_PATH: this.bin,
    };
    const child = this.host.run(() =>
      Bun.spawn([join(this.bin, (conf as { type: string }).type)], {
        env,
        stdin: Buffer.from(JSON.stringify(conf)),
        stdout: "pipe",
      }),
    );
    this.children.push(child);
    return new Response(child.stdout).text();
  }

  /** Ends what was started last. */
  async killLast(): Promise<void> {
    const child = this.children.at(-1)!;
    child.kill("SIGKILL");
    await child.exited;
  }

  [Symbol.dispose](): void {
    for (const child of this.children) child.kill("SIGKILL");
    this.world[Symbol.dispose]();
  }
}
