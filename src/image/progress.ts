/** What a pull or a push tells a person, on standard error and in Podman's words. */
import { writeErr } from "../base/stdio.ts";

/** One layer on its way. */
export interface BlobProgress {
  /** `bytes` of the blob have come. */
  update(bytes: number): void;
  done(): void;
}

export interface PullProgress {
  /** One line about what happens. */
  say(line: string): void;
  blob(digest: string, size: number): BlobProgress;
  /** Every layer is here, or the pull has failed: nothing moves any more. */
  end(): void;
}

const QUIET_BLOB: BlobProgress = { update() {}, done() {} };

const quiet: PullProgress = { say() {}, blob: () => QUIET_BLOB, end() {} };

const plain: PullProgress = {
  say: line => writeErr(`${line}\n`),
  blob(digest) {
    writeErr(`Copying blob ${digest}\n`);
    return QUIET_BLOB;
  },
  end() {},
};

interface Bar {
  digest: string;
  size: number;
  bytes: number;
  finished: boolean;
}

const FRAME_MS = 100;
const BAR_WIDTH = 30;

/** One line for each layer, drawn again and again in place. */
class Bars implements PullProgress {
  readonly #bars: Bar[] = [];
  #drawn = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  say(line: string): void {
    this.end();
    writeErr(`${line}\n`);
  }

  blob(digest: string, size: number): BlobProgress {
    const bar: Bar = { digest, size, bytes: 0, finished: false };
    this.#bars.push(bar);
    this.#timer ??= setInterval(() => this.#draw(), FRAME_MS);
    this.#draw();
    return {
      update: bytes => {
        bar.bytes = bytes;
      },
      done: () => {
        bar.finished = true;
        this.#draw();
      },
    };
  }

  end(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#draw();
    this.#bars.length = 0;
    this.#drawn = 0;
  }

  #draw(): void {
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : "";
    writeErr(up + this.#bars.map(bar => `\r\x1b[K${line(bar)}\n`).join(""));
    this.#drawn = this.#bars.length;
  }
}

function line({ digest, size, bytes, finished }: Bar): string {
  const name = `Copying blob ${digest.replace("sha256:", "").slice(0, 12)}`;
  if (finished) return `${name} done`;
  const filled = size > 0 ? Math.min(BAR_WIDTH, Math.floor((bytes / size) * BAR_WIDTH)) : 0;
  const bar = `${"=".repeat(filled)}>`.slice(0, BAR_WIDTH).padEnd(BAR_WIDTH, "-");
  return `${name} [${bar}] ${mebibytes(bytes)} / ${mebibytes(size)}`;
}

const mebibytes = (bytes: number) => `${(bytes / (1 << 20)).toFixed(1)}MiB`;

/** Bars where standard error is a terminal, lines where it is none. */
export async function pullProgress(isQuiet = false): Promise<PullProgress> {
  if (isQuiet) return quiet;
  const { isatty } = await import("node:tty");
  return isatty(2) ? new Bars() : plain;
}
