/**
 * A user namespace and a mount namespace of it, as an ordinary user's commands are in: its root is the machine's user
 * 100000, or whom the test says. For tests that need no user with a name; the others take an ordinary user on a host.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lchown, mknod, S_IFCHR } from "../../src/sys/file.ts";
import { idMap } from "../../src/sys/user-namespace.ts";
import { until } from "./await.ts";

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export class UserNamespace implements AsyncDisposable {
  /** A directory of its root's own, for temporary files. */
  readonly directory: string;

  private constructor(
    private readonly holder: Bun.Subprocess,
    /** The machine's user that is root inside. */
    readonly first: number,
  ) {
    this.directory = mkdtempSync(join(tmpdir(), "portolan-userns-"));
    lchown(this.directory, first, first);
  }

  /** `size` ids from `first` on. */
  static async create({ first = 100_000, size = 65_536 } = {}): Promise<UserNamespace> {
    const holder = Bun.spawn(["unshare", "--user", "--mount", "cat"], { stdin: "pipe", stdout: "ignore" });
    await until(
      () => idMap("uid", holder.pid).length === 0,
      () => "unshare makes no user namespace",
    );
    for (const kind of ["uid", "gid"]) writeFileSync(`/proc/${holder.pid}/${kind}_map`, `0 ${first} ${size}`);
    const namespace = new UserNamespace(holder, first);
    await namespace.openFuse();
    return namespace;
  }

  /** Distributions give /dev/fuse to everybody; this machine may not. */
  private async openFuse(): Promise<void> {
    const node = join(this.directory, "fuse");
    mknod(node, S_IFCHR | 0o666, 10, 229);
    chmodSync(node, 0o666);
    const { code, stderr } = await this.run(["mount", "--bind", node, "/dev/fuse"]);
    if (code !== 0) throw new Error(`/dev/fuse: ${stderr}`);
  }

  /** The command line that runs `command` as its root. */
  words(command: readonly string[]): string[] {
    return ["nsenter", `--target=${this.holder.pid}`, "--user", "--mount", "--wd", ...command];
  }

  async run(command: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
    const child = Bun.spawn(this.words(command), {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env.PATH!, HOME: this.directory, TMPDIR: this.directory, ...env },
    });
    const [code, stdout, stderr] = await Promise.all([
      child.exited,
      child.stdout.text(),
      child.stderr.text(),
    ]);
    return { code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.holder.kill();
    await this.holder.exited;
    rmSync(this.directory, { recursive: true, force: true });
  }
}
