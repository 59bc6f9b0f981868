/** The pull commands of Portolan and of podman, each with a store of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const MAIN = resolve(import.meta.dir, "../../src/main.ts");

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export class Commands implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "portolan-pull-"));
  #count = 0;

  /** Writes a file and gives its path. */
  async file(text: string): Promise<string> {
    const path = join(this.directory, `file-${++this.#count}`);
    await Bun.write(path, text);
    return path;
  }

  portolan(
    args: readonly string[],
    env: Record<string, string> = {},
    stdin: Uint8Array<ArrayBuffer> = new Uint8Array(),
  ): Promise<Outcome> {
    const store = ["--root", join(this.directory, "root"), "--runroot", join(this.directory, "run")];
    return this.#run([process.execPath, MAIN, ...store, ...args], env, stdin);
  }

  /** Starts it; who starts it also ends it. */
  start(args: readonly string[]) {
    const store = ["--root", join(this.directory, "root"), "--runroot", join(this.directory, "run")];
    return Bun.spawn([process.execPath, MAIN, ...store, ...args], {
      stdio: ["ignore", "ignore", "ignore"],
      env: { PATH: process.env.PATH!, HOME: this.directory },
    });
  }

  podman(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
    const store = ["--root", join(this.directory, "podman"), "--runroot", join(this.directory, "podman-run")];
    return this.#run(["podman", ...store, "--storage-driver=vfs", ...args], env);
  }

  /** The same to both. */
  both(
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<[ours: Outcome, podmans: Outcome]> {
    return Promise.all([this.portolan(args, env), this.podman(args, env)]);
  }

  /** On a pseudo-terminal: all that was printed. */
  async onTerminal(args: readonly string[]): Promise<string> {
    let printed = "";
    const terminal = new Bun.Terminal({
      cols: 100,
      rows: 24,
      data(_, data) {
        printed += Buffer.from(data).toString();
      },
    });
    const store = ["--root", join(this.directory, "root"), "--runroot", join(this.directory, "run")];
    const child = Bun.spawn([process.execPath, MAIN, ...store, ...args], { terminal });
    await child.exited;
    terminal.close();
    return printed;
  }

  async #run(
    command: string[],
    env: Record<string, string>,
    stdin: Uint8Array<ArrayBuffer> = new Uint8Array(),
  ): Promise<Outcome> {
    const child = Bun.spawn(command, {
      stdin: new Blob([stdin]),
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env.PATH!, HOME: this.directory, ...env },
    });
    const [code, stdout, stderr] = await Promise.all([
      child.exited,
      child.stdout.text(),
      child.stderr.text(),
    ]);
    return { code, stdout, stderr };
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
