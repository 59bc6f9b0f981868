/**
 * A host with a cable to an outside, and on it a command of root's or of an ordinary user's in a user namespace
 * (`drive.ts`), which gives networks to containers.
 */
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attachment, AttachRequest } from "../../src/network/service.ts";
import type { UserModePlan } from "../../src/network/user-mode.ts";
import { TestNetns } from "../support/netns.ts";

type Ports = AttachRequest["ports"];

export type DriverRequest =
  | { do: "plan"; word: string }
  /** Takes a lock, `locks/command` below the run root, and keeps it. */
  | { do: "lock" }
  | { do: "create"; name: string }
  | { do: "join"; name: string; plan: UserModePlan; ports?: Ports }
  | { do: "attach"; name: string; network: string; ports?: Ports }
  | { do: "detach"; name: string; network: string }
  /** The data plane lets go of the container. */
  | { do: "lose"; name: string }
  | { do: "leave"; name: string }
  /** Keys of what the data plane was told. */
  | { do: "orders" };

export const HOST = "192.0.2.1";
export const HOST6 = "2001:db8::1";
export const OUTSIDE = "192.0.2.2";
export const OUTSIDE6 = "2001:db8::2";

export const UID = 4321;

function conflist(name: string, subnets: readonly string[]): string {
  const routes = subnets.map(subnet => ({ dst: subnet.includes(":") ? "::/0" : "0.0.0.0/0" }));
  const ipam = { type: "host-local", routes, ranges: subnets.map(subnet => [{ subnet }]) };
  const plugins = [
    { type: "bridge", bridge: `br-${name}`, isGateway: true, ipMasq: true, ipam },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "firewall" },
    { type: "tuning" },
  ];
  return JSON.stringify({ cniVersion: "0.4.0", name, plugins });
}

/** `$1` mode of the tun device, then the command: as root, or as an ordinary user in a user namespace of his. */
const AS_ROOT = `set -e
mount -t tmpfs -o mode=755 tmpfs /dev/net
[ "$1" = none ] || mknod -m "$1" /dev/net/tun c 10 200
shift
exec "$@"
`;
const AS_USER = [
  ...["setpriv", `--reuid=${UID}`, `--regid=${UID}`, "--clear-groups"],
  ...["unshare", "--user", "--map-root-user", "--mount"],
];

export class NetworkWorld implements AsyncDisposable {
  readonly host = new TestNetns("host");
  readonly outside = new TestNetns("outside");
  /** The command's run root. */
  readonly scratch = mkdtempSync(join(tmpdir(), "portolan-network-"));
  private driver!: ReturnType<typeof this.spawn>;
  private answers!: AsyncIterator<string>;

  private constructor(readonly kind: "root" | "user") {}

  /** `tun`: mode of the tun device, or none at all. */
  static async create(kind: "root" | "user", tun: "666" | "600" | "none" = "666"): Promise<NetworkWorld> {
    const world = new NetworkWorld(kind);
    try {
      world.layCable();
      mkdirSync(join(world.scratch, "net.d"));
      world.addNetwork("net", "10.89.0.0/24", "fd00:89::/64");
      if (kind === "user") chownSync(world.scratch, UID, UID);
      world.driver = world.spawn(tun);
      world.answers = lines(world.driver.stdout);
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  private layCable(): void {
    const { host, outside } = this;
    host.sh("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "cable");
    host.sh("ip", "link", "set", "cable", "netns", outside.path.split("/").at(-1)!);
    for (const [place, device, four, six] of [
      [host, "eth0", HOST, HOST6],
      [outside, "cable", OUTSIDE, OUTSIDE6],
    ] as const) {
      place.sh("ip", "link", "set", "lo", "up");
      place.sh("ip", "address", "add", `${four}/24`, "dev", device);
      place.sh("ip", "address", "add", `${six}/64`, "dev", device, "nodad");
      place.sh("ip", "link", "set", device, "up");
    }
    host.sh("ip", "route", "add", "default", "via", OUTSIDE);
    host.sh("ip", "-6", "route", "add", "default", "via", OUTSIDE6);
  }

  private spawn(tun: string) {
    const driver = [process.execPath, join(import.meta.dir, "drive.ts"), this.kind, this.scratch];
    const identity = this.kind === "user" ? AS_USER : [];
    return this.host.run(() =>
      Bun.spawn(["unshare", "--mount", "sh", "-c", AS_ROOT, "sh", tun, ...identity, ...driver], {
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
        env: { ...process.env, HOME: this.scratch },
      }),
    );
  }

  /** One request to the command; throws what it throws. */
  async ask<T = null>(request: DriverRequest): Promise<T> {
    this.driver.stdin.write(`${JSON.stringify(request)}\n`);
    this.driver.stdin.flush();
    const { value: line, done } = await this.answers.next();
    if (done) throw new Error("the driver has ended");
    const { value, error, hint } = JSON.parse(line) as { value: T; error?: string; hint?: string };
    if (error !== undefined) throw new Error(hint ? `${error} (${hint})` : error);
    return value;
  }

  /** Defines a network of a bridge. */
  addNetwork(name: string, ...subnets: string[]): void {
    writeFileSync(join(this.scratch, "net.d", `${name}.conflist`), conflist(name, subnets));
  }

  /** A container's namespace as seen from here. */
  pathOf(name: string): string {
    return join("/proc", `${this.driver.pid}`, "root", this.scratch, "netns", name);
  }

  /** A container's namespace. */
  async container(name: string): Promise<Container> {
    await this.ask({ do: "create", name });
    return new Container(this.pathOf(name));
  }

  /** One on a user-mode network of its own, with the network's plan. */
  async userMode(
    name: string,
    word: string,
    ports: Ports = [],
  ): Promise<{ container: Container; plan: UserModePlan }> {
    const plan = await this.ask<UserModePlan>({ do: "plan", word });
    const container = await this.container(name);
    await this.ask({ do: "join", name, plan, ports });
    return { container, plan };
  }

  /** One on the network `net`, a bridge with 10.89.0.0/24 and fd00:89::/64. */
  async bridged(name: string, ports: Ports = []): Promise<{ container: Container; attachment: Attachment }> {
    const container = await this.container(name);
    const attachment = await this.ask<Attachment>({ do: "attach", name, network: "net", ports });
    return { container, attachment };
  }

  /** Kills the command as it is. */
  async kill(): Promise<void> {
    this.driver.kill("SIGKILL");
    await this.driver.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.driver) {
      this.driver.stdin.end();
      await this.driver.exited;
    }
    for (const place of [this.host, this.outside]) place[Symbol.dispose]();
    rmSync(this.scratch, { recursive: true, force: true });
  }
}

export class Container {
  constructor(readonly path: string) {}

  /** What a command line begins with that runs a program inside. */
  words(): string[] {
    return ["nsenter", `--net=${this.path}`];
  }

  async sh(...command: string[]): Promise<string> {
    const child = Bun.spawn([...this.words(), ...command], { stdout: "pipe", stderr: "pipe" });
    const [code, stdout, stderr] = await Promise.all([
      child.exited,
      child.stdout.text(),
      child.stderr.text(),
    ]);
    if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
    return stdout;
  }

  async json<T>(...command: string[]): Promise<T> {
    return JSON.parse(await this.sh(...command)) as T;
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk);
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}
