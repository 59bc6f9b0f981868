/**
 * Guests for slirp4netns, ours and Debian's, on a host of their own with a cable to the outside:
 *
 *     guest 10.0.2.100 ── tap0 ── slirp4netns on host 192.0.2.1, 2001:db8::1 ── cable ── outside 192.0.2.2, 2001:db8::2
 *
 * The host has no way to 198.51.100.0/24 (unreachable) and must not use 203.0.113.0/24 (prohibited).
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, pipe } from "../../src/sys/fd.ts";
import { until } from "../support/await.ts";
import { PORTOLAN } from "../support/host.ts";
import { TestNetns } from "../support/netns.ts";

export const HOST = "192.0.2.1";
export const HOST6 = "2001:db8::1";
export const OUTSIDE = "192.0.2.2";
export const OUTSIDE6 = "2001:db8::2";
export const GUEST = "10.0.2.100";

export type Program = "ours" | "debian";
const DEBIAN = "/usr/bin/slirp4netns";

/** A directory with our executable under slirp4netns' name. */
export class Installed implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "portolan-slirp-"));
  readonly path = join(this.directory, "slirp4netns");
  constructor() {
    if (!existsSync(PORTOLAN)) throw new Error("dist/portolan is missing: run `make build` first");
    symlinkSync(PORTOLAN, this.path);
  }
  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** A slirp4netns that runs. */
export class Running implements AsyncDisposable {
  constructor(
    readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">,
    readonly guest: TestNetns,
    readonly apiSocket: string,
    /** Our end of its exit-fd. */
    private exitFd: number,
    /** What was written to the ready-fd until it was closed. */
    readonly ready: string,
  ) {}

  get pid(): number {
    return this.process.pid;
  }

  /** Pids of the processes that it has started. */
  children(): number[] {
    const text = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, "utf8");
    return text.trim().split(" ").filter(Boolean).map(Number);
  }

  /** Closes the other end of its exit-fd. */
  hangUp(): void {
    if (this.exitFd >= 0) closeFd(this.exitFd);
    this.exitFd = -1;
  }

  /** Its end, however it comes. */
  async outcome(): Promise<Outcome> {
    const { process } = this;
    const [code, stdout, stderr] = await Promise.all([
      process.exited,
      process.stdout.text(),
      process.stderr.text(),
    ]);
    return { code, stdout, stderr };
  }

  /** The answer to a request at the API socket. */
  api(request: object | string): Promise<Record<string, unknown>> {
    return askApi(this.apiSocket, typeof request === "string" ? request : JSON.stringify(request));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hangUp();
    this.process.kill("SIGTERM");
    await this.process.exited;
    this.guest[Symbol.dispose]();
  }
}

/** Sends `text`, closes its side and reads the answer, as Podman does. */
export function askApi(path: string, text: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    let answer = "";
    Bun.connect({
      unix: path,
      allowHalfOpen: true,
      socket: {
        open(socket) {
          socket.write(text);
          socket.shutdown();
        },
        data(_, chunk) {
          answer += chunk.toString();
        },
        end(socket) {
          socket.end();
        },
        close() {
          try {
            resolve(JSON.parse(answer));
          } catch {
            reject(new Error(`the API answered ${JSON.stringify(answer)}`));
          }
        },
        connectError(_, error) {
          reject(error);
        },
      },
    } as Bun.UnixSocketOptions<undefined>).catch(reject);
  });
}

export class World implements AsyncDisposable {
  readonly host = new TestNetns("host");
  readonly outside = new TestNetns("outside");
  readonly installed = new Installed();
  private readonly running: Running[] = [];
  private apiSockets = 0;

  constructor() {
    const { host, outside } = this;
    for (const place of [host, outside]) place.sh("ip", "link", "set", "lo", "up");
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
    host.sh("ip", "route", "add", "unreachable", "198.51.100.0/24");
    host.sh("ip", "route", "add", "prohibit", "203.0.113.0/24");
    host.sh("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647");
  }

  command(program: Program): string {
    return program === "ours" ? this.installed.path : DEBIAN;
  }

  /** Runs a command line to its end, on the host. */
  async run(program: Program, ...argv: string[]): Promise<Outcome> {
    const child = this.host.run(() =>
      Bun.spawn([this.command(program), ...argv], { stdin: "ignore", stdout: "pipe", stderr: "pipe" }),
    );
    const [code, stdout, stderr] = await Promise.all([
      child.exited,
      child.stdout.text(),
      child.stderr.text(),
    ]);
    return { code, stdout, stderr };
  }

  /** Starts a network for a guest, a new one where none is given, and waits until it is ready. */
  async start(
    program: Program,
    options: readonly string[] = ["-c"],
    guest = new TestNetns("guest"),
  ): Promise<Running> {
    const apiSocket = join(this.installed.directory, `api${this.apiSockets++}.sock`);
    const [readyRead, readyWrite] = pipe();
    const [exitRead, exitWrite] = pipe();
    const target = ["--netns-type=path", guest.path, "tap0"];
    const argv = [...options, "-r", "3", "-e", "4", "-a", apiSocket, ...target];
    const child = this.host.run(() =>
      Bun.spawn([this.command(program), ...argv], {
        stdio: ["ignore", "pipe", "pipe", readyWrite, exitRead],
      }),
    ) as Bun.Subprocess<"ignore", "pipe", "pipe">;
    closeFd(readyWrite);
    closeFd(exitRead);
    const ready = await Bun.file(readyRead).text();
    const running = new Running(child, guest, apiSocket, exitWrite, ready);
    if (ready !== "1") {
      const { code, stderr } = await running.outcome();
      await running[Symbol.asyncDispose]();
      throw new Error(`${program} slirp4netns ${argv.join(" ")}: exit ${code}: ${stderr}`);
    }
    this.running.push(running);
    return running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.running) await one[Symbol.asyncDispose]();
    this.host[Symbol.dispose]();
    this.outside[Symbol.dispose]();
    this.installed[Symbol.dispose]();
  }
}

/** Resolves when the process is gone. */
export function gone(pid: number): Promise<void> {
  return until(
    () => !existsSync(`/proc/${pid}`),
    () => `process ${pid} still runs`,
  );
}
