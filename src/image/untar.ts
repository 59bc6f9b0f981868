/** The unpacker's process, seen from outside: a tar goes in, and what the layer leaves to those below it comes out. */
import { hasCode, oneLine, UserError } from "../base/errors.ts";
import { selfCommand } from "../base/self.ts";
import type { Lock } from "../sys/flock.ts";
import type { UnpackOptions } from "./unpack.ts";

export class Untar {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #looseEnds: Promise<string>;
  readonly #said: Promise<string>;

  /** `target` is the empty directory to fill. `held` guards it: the child keeps it too, should we be killed before it. */
  constructor(target: string, held: Lock, { marks, squash }: UnpackOptions) {
    const words = ["__untar", target, marks, ...(squash ? ["squash"] : [])];
    this.#child = Bun.spawn([...selfCommand(), ...words], {
      stdio: ["pipe", "pipe", "pipe", held.fd],
    });
    this.#looseEnds = this.#child.stdout.text();
    this.#said = this.#child.stderr.text();
  }

  /** Resolves when there is room for more. Rejects with EPIPE once the child has refused: `end` tells why. */
  async write(chunk: Uint8Array): Promise<void> {
    // Both may give a promise, and one that nobody awaits would end the whole program when the child is gone.
    await this.#child.stdin.write(chunk);
    await this.#child.stdin.flush();
  }

  /** Gives the loose ends as JSON, "" when there are none. `failure` is why the tar ends before its time. */
  async end(failure?: unknown): Promise<string> {
    const isOurs = failure !== undefined && !hasCode(failure, "EPIPE");
    if (isOurs) this.#child.kill("SIGKILL");
    await (async () => this.#child.stdin.end())().catch(() => {});
    const [code, said] = [await this.#child.exited, await this.#said];
    const looseEnds = await this.#looseEnds;
    if (isOurs) throw failure;
    if (/\b(ENOSPC|EDQUOT)\b/.test(said)) throw Object.assign(new Error(oneLine(said)), { code: "ENOSPC" });
    if (said.trim()) throw new UserError(`unpacking a layer: ${oneLine(said)}`);
    if (code !== 0) throw new UserError(`unpacking a layer: the unpacker ended with code ${code}`);
    return looseEnds;
  }
}
