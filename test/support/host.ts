/**
 * A machine of a test's own, for the executable as a person runs it.
 *
 * It is this machine's file system under an overlay that forgets, in mount, pid, network, ipc and uts namespaces of its
 * own, with fresh `/run`, `/var/lib/portolan`, `/var/lib/cni`, `/etc/cni/net.d` and `/etc/containers`, and control
 * groups under a directory of its own. One cable, `eth0`, leads to the outside (`host.outside`, a network namespace), where
 * a registry may stand. All of it ends with the host's first process.
 */
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { isAlive } from "../../src/sys/process.ts";
import { until } from "./await.ts";
import { TestNetns } from "./netns.ts";
import type { TestRegistry } from "./registry.ts";
import { forwardTcp } from "./sockets.ts";

const PROJECT = resolve(import.meta.dir, "../..");
export const PORTOLAN = join(PROJECT, "dist/portolan");
const PATH = `${PROJECT}/dist:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;

/** The host's address on its cable, and that of the outside's end. */
export const HOST_ADDRESS = "192.168.77.2";
export const OUTSIDE_ADDRESS = "192.168.77.1";

/**
 * Run as the host's first process: `$1` scratch directory, `$2` project, `$3` name of the control groups, `$4` a tar of
 * another root file system than this machine's, or nothing. It ends, and the host with it, when the test's end of its standard input is closed, even by a crash.
 */
const SETUP = `set -e
scratch=$1 project=$2 groups=$3 archive=$4 lower=/
read -r pid _ </proc/self/stat
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$scratch"
cd "$scratch"
mkdir upper work root
if [ -n "$archive" ]; then
  lower=$scratch/lower
  mkdir "$lower"
  tar -C "$lower" --numeric-owner -xf "$archive"
fi
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$scratch/upper,workdir=$scratch/work" root
cd root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount --bind "/sys/fs/cgroup/$groups" sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  for group in /sys/fs/cgroup/*/"$groups"; do
    name=\${group%/*} name=\${name##*/}
    mkdir "sys/fs/cgroup/$name"
    mount --bind "$group" "sys/fs/cgroup/$name"
  done
fi
for fresh in run tmp var/lib/portolan var/lib/cni etc/cni/net.d etc/containers; do
  mkdir -p "$fresh"
  mount -t tmpfs -o mode=755 tmpfs "$fresh"
done
chmod 1777 tmp
mkdir -p ".$project" .old
mount --bind "$project" ".$project"
pivot_root . .old
umount -l .old
rmdir .old
hostname host
ip link set lo up
echo "$pid"
exec env --ignore-signal=CHLD cat
`;

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  stdin?: string;
  env?: Record<string, string>;
}

/** A command on a pseudo-terminal of 80 × 24. */
export interface TerminalSession {
  type(text: string): void;
  /** The terminal's programs are told of its new size (SIGWINCH). */
  resize(columns: number, rows: number): void;
  /** Resolves once what was printed matches; throws with all of it after thirty seconds. */
  until(pattern: RegExp): Promise<void>;
  exited: Promise<number>;
}

export class TestHost implements AsyncDisposable {
  private constructor(
    private readonly init: Bun.Subprocess,
    /** The host's first process, as this machine numbers it. */
    readonly pid: number,
    readonly outside: TestNetns,
    private readonly groups: string,
    private readonly scratch: string,
  ) {}

  private readonly forwards: Disposable[] = [];
  /** Closed with the host: one that is closed earlier may make Bun deaf to the next, which gets its descriptor's number. */
  private readonly terminals: Bun.Terminal[] = [];

  /** Builds the host, with the root file system in the tar `root` if given; throws when the executable has not been built. */
  static async create({ root = "" }: { root?: string } = {}): Promise<TestHost> {
    if (!existsSync(PORTOLAN)) throw new Error("dist/portolan is missing: run `make build` first");
    const scratch = mkdtempSync(join(tmpdir(), "portolan-host-"));
    const groups = basename(scratch);
    const outside = new TestNetns("outside");
    try {
      for (const controller of controllers()) makeGroup(controller, groups);
      const init = Bun.spawn(
        [
          ...["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"],
          ...["sh", "-c", SETUP, "host", scratch, PROJECT, groups, root],
        ],
        { stdin: "pipe", stdout: "pipe", stderr: "pipe" },
      );
      const pid = Number(await firstLine(init.stdout));
      if (!pid) throw new Error(`the host does not start: ${await init.stderr.text()}`);
      const host = new TestHost(init, pid, outside, groups, scratch);
      host.layCable();
      // The kernel takes its time to notice; until then the host has no address by Bun's count.
      await until(
        async () => (await host.must("cat", "/sys/class/net/eth0/operstate")) === "up",
        () => "the host's cable does not come up",
      );
      return host;
    } catch (error) {
      outside[Symbol.dispose]();
      removeGroups(groups);
      rmSync(scratch, { recursive: true, force: true });
      throw error;
    }
  }

  private layCable(): void {
    const { outside } = this;
    outside.sh("ip", "link", "set", "lo", "up");
    outside.sh("ip", "link", "add", "cable", "type", "veth", "peer", "name", "eth0", "netns", `${this.pid}`);
    outside.sh("ip", "address", "add", `${OUTSIDE_ADDRESS}/24`, "dev", "cable");
    outside.sh("ip", "link", "set", "cable", "up");
    this.mustRun(["ip", "address", "add", `${HOST_ADDRESS}/24`, "dev", "eth0"]);
    this.mustRun(["ip", "link", "set", "eth0", "up"]);
    this.mustRun(["ip", "route", "add", "default", "via", OUTSIDE_ADDRESS]);
  }

  /** The command line that runs `command` on the host, for whoever starts it himself. */
  words(command: readonly string[], env: Record<string, string> = {}): string[] {
    const variables = { PATH, HOME: "/root", LANG: "C.UTF-8", TERM: "xterm", ...env };
    return [
      ...["nsenter", `--target=${this.pid}`, "--mount", "--pid", "--net", "--ipc", "--uts", "--wd"],
      ...["env", "-i", ...Object.entries(variables).map(([key, value]) => `${key}=${value}`)],
      ...command,
    ];
  }

  /** Starts a command; who starts it also ends it. */
  spawn(command: readonly string[], options: RunOptions = {}) {
    return Bun.spawn(this.words(command, options.env), {
      stdin: new Blob([options.stdin ?? ""]),
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  /** Runs a command to its end. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const child = this.spawn(command, options);
    const [code, stdout, stderr] = await Promise.all([
      child.exited,
      child.stdout.text(),
      child.stderr.text(),
    ]);
    return { code, stdout, stderr };
  }

  /** Runs a command that must succeed; what it printed, without the last line's end. */
  async must(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(command);
    if (code !== 0) throw new Error(`${command.join(" ")}: exit ${code}: ${stderr || stdout}`);
    return stdout.trimEnd();
  }

  private mustRun(command: string[]): void {
    const child = Bun.spawnSync(this.words(command), { stderr: "pipe" });
    if (child.exitCode !== 0) throw new Error(`${command.join(" ")}: ${child.stderr.toString()}`);
  }

  /** Runs a command on a pseudo-terminal. */
  terminal(...command: string[]): TerminalSession {
    let printed = "";
    const terminal = new Bun.Terminal({
      cols: 80,
      rows: 24,
      data(_, data) {
        printed += Buffer.from(data).toString();
      },
    });
    // As the leader of a session of its own, or the kernel would signal nobody.
    this.terminals.push(terminal);
    const child = Bun.spawn(["setsid", "--ctty", "--wait", ...this.words(command)], { terminal });
    return {
      type: text => terminal.write(text),
      resize: (columns, rows) => terminal.resize(columns, rows),
      until: pattern =>
        until(
          () => pattern.test(printed),
          () => `${pattern} was not printed; this was: ${JSON.stringify(printed)}`,
        ),
      exited: child.exited,
    };
  }

  /** Writes a file on the host, with the directories above it. */
  async write(path: string, text: string): Promise<void> {
    const { code, stderr } = await this.run(
      ["sh", "-c", 'mkdir -p "$(dirname "$1")"; cat >"$1"', "sh", path],
      {
        stdin: text,
      },
    );
    if (code !== 0) throw new Error(`${path}: ${stderr}`);
  }

  /**
   * Lets the host reach `registry` on the outside, as a mirror of each of `registries` in its registries.conf: `nginx`
   * means docker.io's, as anywhere.
   */
  async useRegistry(registry: Pick<TestRegistry, "address">, registries: readonly string[]): Promise<void> {
    const port = Number(registry.address.split(":")[1]);
    this.forwards.push(forwardTcp(this.outside, OUTSIDE_ADDRESS, 5000, port));
    const mirrors = registries.map(
      name =>
        `[[registry]]\nprefix = "${name}"\nlocation = "${name}"\n` +
        `[[registry.mirror]]\nlocation = "${OUTSIDE_ADDRESS}:5000"\ninsecure = true\n`,
    );
    const shortNames = 'unqualified-search-registries = ["docker.io"]\n';
    await this.write("/etc/containers/registries.conf", shortNames + mirrors.join(""));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const forward of this.forwards) forward[Symbol.dispose]();
    for (const terminal of this.terminals) terminal.close();
    if (isAlive(this.pid)) process.kill(this.pid, "SIGKILL");
    await this.init.exited;
    this.outside[Symbol.dispose]();
    await until(
      () => removeGroups(this.groups),
      () => `control groups called ${this.groups} can't be removed`,
    );
    rmSync(this.scratch, { recursive: true, force: true });
  }
}

/** The control group hierarchies: one directory each in version 1, one for all in version 2. */
function controllers(): string[] {
  const root = "/sys/fs/cgroup";
  if (existsSync(join(root, "cgroup.controllers"))) return [root];
  return globSync(`${root}/*/cgroup.procs`).map(path => resolve(path, ".."));
}

function makeGroup(controller: string, name: string): void {
  mkdirSync(join(controller, name));
  // In version 1 a new cpuset has neither processors nor memory, and takes no process.
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const setting = join(controller, file);
    if (existsSync(setting)) writeFileSync(join(controller, name, file), readFileSync(setting, "utf8"));
  }
}

/** Removes the groups of that name with all below them; false while one still holds a process. */
function removeGroups(name: string): boolean {
  let done = true;
  for (const controller of controllers()) {
    const groups = globSync(`${join(controller, name)}{,/**/}`)
      .filter(path => existsSync(join(path, "cgroup.procs")))
      .sort((a, b) => b.length - a.length);
    for (const group of groups) {
      try {
        rmdirSync(group);
      } catch {
        done = !existsSync(group) && done;
      }
    }
  }
  return done;
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += Buffer.from(chunk).toString();
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0] ?? "";
}
