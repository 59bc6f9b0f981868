/** Throw-away network namespaces for tests; gone when the `using` block ends. */
import * as netns from "../../src/sys/netns.ts";

export class TestNetns implements Disposable {
  readonly path: string;
  constructor(label = "test") {
    this.path = `/run/netns/portolan-${label}-${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
    netns.create(this.path);
  }
  /** One that is somebody else's, and stays his. */
  static at(path: string): TestNetns {
    return Object.assign(Object.create(TestNetns.prototype), { path }) as TestNetns;
  }
  /** Runs a synchronous function inside. */
  run<T>(fn: () => T): T {
    return netns.run(this.path, fn as () => never) as T;
  }
  /** What a command line begins with that runs a program inside. */
  words(): string[] {
    return ["nsenter", `--net=${this.path}`];
  }
  /** Runs a command inside and gives what it printed; throws when it fails. */
  sh(...command: string[]): string {
    const child = this.run(() => Bun.spawnSync(command, { stdout: "pipe", stderr: "pipe" }));
    if (child.exitCode !== 0) throw new Error(`${command.join(" ")}: ${child.stderr.toString()}`);
    return child.stdout.toString();
  }
  json<T>(...command: string[]): T {
    return JSON.parse(this.sh(...command)) as T;
  }
  [Symbol.dispose](): void {
    netns.remove(this.path);
  }
}
