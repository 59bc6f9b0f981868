/**
 * A network service with a run directory of its own, on a host that is a namespace, and guests with a tap each:
 *
 *     guest 10.0.2.100 ── tap0 ── data plane on host 127.0.0.1, ::1, 192.0.2.1
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { NetdClient } from "../../src/netd/client.ts";
import type { PortSettings, TapSettings } from "../../src/netd/control.ts";
import { bindPorts } from "../../src/netd/port-sockets.ts";
import { closeFd } from "../../src/sys/fd.ts";
import { isAlive, startTime } from "../../src/sys/process.ts";
import { openTap } from "../../src/sys/tun.ts";
import { parseIP } from "../../src/wire/addr.ts";
import { until } from "../support/await.ts";
import { PORTOLAN } from "../support/host.ts";
import { TestNetns } from "../support/netns.ts";

export const GUEST = "10.0.2.100";

export const TAP: TapSettings = {
  ipv4: { subnet: "10.0.2.0/24", gateway: "10.0.2.2", dns: "10.0.2.3", guest: GUEST },
  mtu: 65520,
  hostLoopback: false,
  dns: true,
  outbound: {},
};

/** The program as it is installed, and as it lies here. */
export const EXECUTABLE = [PORTOLAN];
export const CHECKOUT = [process.execPath, join(import.meta.dir, "../../src/main.ts")];

/** A process that a service is made of. */
export interface Found {
  pid: number;
  name: string;
}

function hasEnded(pid: number): boolean {
  try {
    return startTime(pid) === undefined && readdirSync(`/proc/${pid}/task`).length === 1;
  } catch {
    return true;
  }
}

export class ServiceWorld implements AsyncDisposable {
  readonly runRoot: string;
  readonly socket: string;
  readonly host = new TestNetns("host");
  private readonly guests: TestNetns[] = [];
  /** Pids of the service's processes, living and dead. */
  private readonly seen = new Set<number>();

  /** `command`: what starts the program; `place`: where the run directory is. */
  constructor(
    private readonly command: readonly string[],
    place = tmpdir(),
  ) {
    this.runRoot = mkdtempSync(join(place, "portolan-netd-"));
    this.socket = join(this.runRoot, "netd.sock");
    this.host.sh("ip", "link", "set", "lo", "up");
    this.host.sh("ip", "address", "add", "192.0.2.1/24", "dev", "lo");
    this.host.sh("ip", "address", "add", "2001:db8::1/64", "dev", "lo", "nodad");
  }

  /** A client; the service is started on the host where it is not there. */
  async open(): Promise<NetdClient> {
    const { opening } = this.host.run(() => ({
      opening: NetdClient.open(this.runRoot, { start: true, command: this.command }),
    }));
    return (await opening)!;
  }

  /** A guest with a configured tap, whose descriptor the caller closes. */
  addGuest(): { guest: TestNetns; tap: number } {
    const guest = new TestNetns("guest");
    this.guests.push(guest);
    const tap = guest.run(() => openTap("tap0").fd);
    const ip = (...words: string[]) => guest.sh("ip", ...words);
    ip("link", "set", "lo", "up");
    ip("address", "add", `${GUEST}/24`, "dev", "tap0");
    ip("link", "set", "tap0", "up");
    ip("route", "add", "default", "via", "10.0.2.2");
    return { guest, tap };
  }

  /** A guest that is served as order `key`. */
  async served(client: NetdClient, key: string): Promise<TestNetns> {
    const { guest, tap } = this.addGuest();
    await client.addTap(key, TAP, tap);
    closeFd(tap);
    return guest;
  }

  /** Publishes a port of the host as order `key`. */
  async publish(
    client: NetdClient,
    key: string,
    tap: string,
    settings: Partial<PortSettings> = {},
  ): Promise<void> {
    const all: PortSettings = {
      proto: "tcp",
      hostAddr: "127.0.0.1",
      hostPort: 8080,
      guestAddr: GUEST,
      guestPort: 80,
      count: 1,
      ...settings,
    };
    const { proto, hostAddr, hostPort, count } = all;
    const wanted = { protocol: proto, hostAddress: parseIP(hostAddr)!, hostPort, count };
    const listeners = this.host.run(() => bindPorts(wanted));
    try {
      await client.addPorts(key, tap, all, listeners);
    } finally {
      for (const fd of listeners) closeFd(fd);
    }
  }

  /** Processes of the service of this run directory, `netd-service` and `netd`. */
  processes(): Found[] {
    const { stdout } = Bun.spawnSync(["ps", "-e", "-o", "pid=,comm=,args="]);
    const lines = stdout.toString().split("\n");
    const services = lines.filter(line => line.includes(` __netd`) && line.includes(basename(this.runRoot)));
    const found = services.map(line => {
      const [pid, name] = line.trim().split(/ +/);
      return { pid: Number(pid), name: name! };
    });
    for (const { pid } of found) this.seen.add(pid);
    return found;
  }

  /** Those that have ended and whose parent does not want to know. */
  unburied(): number[] {
    const children = this.processes().flatMap(({ pid }) =>
      readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number),
    );
    return children.filter(pid => startTime(pid) === undefined);
  }

  pidOf(name: string): number {
    return this.processes().find(one => one.name === name)?.pid ?? 0;
  }

  get log(): string {
    return readFileSync(join(this.runRoot, "netd.log"), "utf8");
  }

  /** The end of all of its processes, and of what they held. */
  ended(): Promise<void> {
    return until(
      // One that is about to end has no command line any more, but its threads, and they its sockets.
      () => this.processes().length === 0 && [...this.seen].every(hasEnded),
      () => `the service does not end: ${JSON.stringify(this.processes())}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { pid } of this.processes().filter(one => one.name === "netd-service"))
      if (isAlive(pid)) process.kill(pid, "SIGTERM");
    await this.ended();
    for (const guest of this.guests) guest[Symbol.dispose]();
    this.host[Symbol.dispose]();
    rmSync(this.runRoot, { recursive: true, force: true });
  }
}
