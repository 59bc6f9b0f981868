/**
 * Three kinds of namespace for the data plane: guests with a tap each, a host that the plane runs on, and an outside that
 * the host has a cable to.
 *
 *     guest 10.0.2.100, fd00::100 ── tap0 ── (plane) host 192.0.2.1, 2001:db8::1 ── cable ── outside 192.0.2.2, 2001:db8::2
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestNetns } from "../support/netns.ts";

export interface PlaneSetup {
  /** Paths of namespaces. */
  guests: string[];
  mtu: number;
  offload: boolean;
  hostLoopback: boolean;
  resolvConf: string;
  outbound4?: string;
  outbound6?: string;
  outboundDevice?: string;
  /** Frames of this many bytes meet a mistake in the stack. */
  fatalLength?: number;
  /** How many descriptors the plane may open. */
  descriptors?: number;
  /** Connections that each guest may have at once. */
  tcpFlows?: number;
  /** Probability with which a frame is lost, each way. */
  loss?: number;
}

export type PlaneRequest = { guest?: number } & (
  | {
      do: "publish";
      protocol: "tcp" | "udp";
      host: string;
      hostPort: number;
      count?: number;
      guestPort: number;
      guestAddress?: string;
    }
  | { do: "unpublish"; id: number }
  | { do: "memory" }
);

export interface PlaneAnswer {
  ready?: boolean;
  id?: number;
  removed?: boolean;
  error?: string;
  rss?: number;
  gone?: boolean;
}

export const HOST = "192.0.2.1";
export const HOST6 = "2001:db8::1";
export const OUTSIDE = "192.0.2.2";
export const OUTSIDE6 = "2001:db8::2";
export const GUEST = "10.0.2.100";
export const GUEST6 = "fd00::100";

export class World implements AsyncDisposable {
  private readonly scratch = mkdtempSync(join(tmpdir(), "portolan-netd-"));
  readonly resolvConf = join(this.scratch, "resolv.conf");
  readonly host = new TestNetns("host");
  readonly outside = new TestNetns("outside");
  readonly guests: TestNetns[];
  readonly mtu: number;
  private plane!: ReturnType<typeof this.spawn>;
  private answers!: AsyncIterator<PlaneAnswer>;

  private constructor(setup: Partial<PlaneSetup>, guests: number) {
    this.mtu = setup.mtu ?? 1500;
    this.guests = Array.from({ length: guests }, (_, index) => new TestNetns(`guest${index}`));
    writeFileSync(this.resolvConf, "nameserver 127.0.0.1\n");
  }

  get guest(): TestNetns {
    return this.guests[0]!;
  }

  get pid(): number {
    return this.plane.pid;
  }

  static async create(setup: Partial<PlaneSetup> = {}, guests = 1): Promise<World> {
    const world = new World(setup, guests);
    try {
      world.layCable();
      await world.start(setup);
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  private layCable(): void {
    const { host, outside } = this;
    outside.sh("ip", "link", "set", "lo", "up");
    host.sh("ip", "link", "set", "lo", "up");
    host.sh("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "cable");
    host.sh("ip", "link", "set", "cable", "netns", outside.path.split("/").at(-1)!);
    for (const [place, device, four, six] of [
      [host, "eth0", HOST, HOST6],
      [outside, "cable", OUTSIDE, OUTSIDE6],
    ] as const) {
      place.sh("ip", "address", "add", `${four}/24`, "dev", device);
      place.sh("ip", "address", "add", `${six}/64`, "dev", device, "nodad");
      place.sh("ip", "link", "set", device, "up");
    }
    host.sh("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647");
  }

  private spawn(setup: PlaneSetup) {
    return this.host.run(() =>
      Bun.spawn(
        [
          "sh",
          "-c",
          'ulimit -n "$1"; shift; exec "$@"',
          "sh",
          `${setup.descriptors ?? 20_000}`,
          process.execPath,
          join(import.meta.dir, "plane-child.ts"),
          JSON.stringify(setup),
        ],
        {
          stdin: "pipe",
          stdout: "pipe",
          stderr: "inherit",
        },
      ),
    );
  }

  private async start(setup: Partial<PlaneSetup>): Promise<void> {
    this.plane = this.spawn({
      offload: true,
      hostLoopback: true,
      ...setup,
      guests: this.guests.map(one => one.path),
      mtu: this.mtu,
      resolvConf: this.resolvConf,
    });
    this.answers = lines(this.plane.stdout);
    if (!(await this.answer()).ready) throw new Error("the plane does not start");
    for (const guest of this.guests) {
      const ip = (...words: string[]) => guest.sh("ip", ...words);
      ip("link", "set", "lo", "up");
      ip("address", "add", `${GUEST}/24`, "dev", "tap0");
      ip("address", "add", `${GUEST6}/64`, "dev", "tap0", "nodad");
      ip("link", "set", "tap0", "mtu", `${this.mtu}`, "up");
      ip("route", "add", "default", "via", "10.0.2.2");
      ip("-6", "route", "replace", "default", "via", "fd00::2");
    }
  }

  private async answer(): Promise<PlaneAnswer> {
    return (await this.answers.next()).value ?? { error: "the plane has ended" };
  }

  /** One request to the plane, and its answer. */
  async ask(request: PlaneRequest): Promise<PlaneAnswer> {
    this.plane.stdin.write(`${JSON.stringify(request)}\n`);
    this.plane.stdin.flush();
    return this.answer();
  }

  /** Publishes a port that must be free. */
  async publish(request: Omit<Extract<PlaneRequest, { do: "publish" }>, "do">): Promise<number> {
    const { id, error } = await this.ask({ do: "publish", ...request });
    if (id === undefined) throw new Error(error);
    return id;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.plane) {
      this.plane.stdin.end();
      await this.plane.exited;
    }
    for (const place of [...this.guests, this.host, this.outside]) place[Symbol.dispose]();
    rmSync(this.scratch, { recursive: true, force: true });
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<PlaneAnswer> {
  let text = "";
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk);
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
    }
  }
}
