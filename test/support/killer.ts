/** Commands that are killed at any instant of what they do. */

/** Whoever runs commands: root of a host, or a user there. */
interface Caller {
  run(command: string[]): Promise<{ code: number }>;
}

/**
 * Kills (SIGKILL) one command after another, and nothing else, each after a random part of what the last one took that was
 * left alone: how busy the machine is changes.
 */
export class Killer {
  /** Commands that still ran when they were killed. */
  kills = 0;

  /** `whole`: milliseconds that such a command takes. */
  private constructor(
    private readonly caller: Caller,
    private whole: number,
  ) {}

  /** `first` is one of those commands, and is left alone. */
  static async from(caller: Caller, ...first: string[]): Promise<Killer> {
    const begin = performance.now();
    const { code } = await caller.run(first);
    if (code !== 0) throw new Error(`${first.join(" ")}: exit ${code}`);
    return new Killer(caller, performance.now() - begin);
  }

  async run(...command: string[]): Promise<void> {
    const seconds = `${(Math.random() * this.whole) / 1000}`;
    const begin = performance.now();
    const { code } = await this.caller.run(["timeout", "--foreground", "-s", "KILL", seconds, ...command]);
    if (code === 137) this.kills++;
    else this.whole = performance.now() - begin;
  }
}
