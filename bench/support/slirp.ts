/**
 * Two user-mode networks side by side: Debian's slirp4netns and Portolan called by that name, each with guests of its own,
 * both on one throw-away host.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestNetns } from "../../test/support/netns.ts";

export const GATEWAY = "10.0.2.2";
export const GUEST_PORT = 5400;

/** In MiB: what is resident, and what of it no other process shares (no file, no page of a parent's). */
export interface Memory {
  resident: number;
  own: number;
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const row = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0) / 1024;
  return { resident: row("Rss"), own: row("Private_Dirty") };
}

/** One guest with one helper. */
export class Guest {
  constructor(
    readonly place: TestNetns,
    readonly helper: Bun.Subprocess,
    private readonly api: string,
  ) {}

  /** Publishes `port` of the host's loopback as GUEST_PORT of the guest, for TCP. */
  publish(port: number): Promise<void> {
    const request = {
      execute: "add_hostfwd",
      arguments: { proto: "tcp", host_addr: "127.0.0.1", host_port: port, guest_port: GUEST_PORT },
    };
    return new Promise((resolve, reject) => {
      let answer = "";
      const socket = connect(this.api, () => socket.end(JSON.stringify(request)));
      socket.on("data", data => {
        answer += data;
      });
      socket.on("end", () => (answer.includes('"return"') ? resolve() : reject(new Error(answer))));
      socket.on("error", reject);
    });
  }

  /** Seconds of processor time that the helper and its children have used. */
  cpu(): number {
    const ticks = (pid: number): number => {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
      return Number(fields[11]) + Number(fields[12]);
    };
    return this.tree().reduce((sum, pid) => sum + ticks(pid), 0) / 100;
  }

  /** Memory of the helper and its children. */
  memory(): Memory {
    return this.tree()
      .map(memoryOf)
      .reduce((sum, one) => ({
        resident: sum.resident + one.resident,
        own: sum.own + one.own,
      }));
  }

  private tree(): number[] {
    const parents = new Map<number, number>();
    for (const name of readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        parents.set(Number(name), Number(stat.split(") ").at(-1)!.split(" ")[1]));
      } catch {
        // It has ended meanwhile.
      }
    }
    const pids = [this.helper.pid];
    for (let index = 0; index < pids.length; index++)
      for (const [pid, parent] of parents) if (parent === pids[index]) pids.push(pid);
    return pids;
  }
}

export class SlirpWorld implements AsyncDisposable {
  readonly host = new TestNetns("bench-host");
  readonly scratch = mkdtempSync(join(tmpdir(), "portolan-slirp-"));
  private readonly guests: Guest[] = [];
  private readonly ours = join(this.scratch, "slirp4netns");

  constructor() {
    const portolan = join(import.meta.dir, "../../dist/portolan");
    if (!existsSync(portolan)) throw new Error("dist/portolan is missing: run `make build` first");
    symlinkSync(portolan, this.ours);
    this.host.sh("ip", "link", "set", "lo", "up");
    this.host.sh("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647");
  }

  /** A guest on a network of `contender`, configured by it, with its helper ready. */
  async guest(contender: "slirp4netns" | "portolan", mtu: number): Promise<Guest> {
    const place = new TestNetns("bench-guest");
    const api = join(this.scratch, `${this.guests.length}.sock`);
    const helper = this.host.run(() =>
      Bun.spawn(
        [
          contender === "portolan" ? this.ours : "slirp4netns",
          ...["-c", `--mtu=${mtu}`, "-r", "3", `--api-socket=${api}`],
          ...["--netns-type=path", place.path, "tap0"],
        ],
        { stdio: ["ignore", "ignore", "ignore", "pipe"] },
      ),
    );
    const ready = Bun.file(helper.stdio[3] as unknown as number)
      .stream()
      .getReader();
    if ((await ready.read()).done) throw new Error(`${contender} does not become ready`);
    const guest = new Guest(place, helper, api);
    this.guests.push(guest);
    return guest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { helper, place } of this.guests) {
      helper.kill();
      await helper.exited;
      place[Symbol.dispose]();
    }
    this.host[Symbol.dispose]();
    rmSync(this.scratch, { recursive: true, force: true });
  }
}
