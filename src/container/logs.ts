/** The log that conmon writes (CRI's format): `TIME stdout|stderr F|P text` a line; `P` for a part without its newline. */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { hasEnded } from "./cleanup.ts";
import type { Container } from "./config.ts";
import type { Engine } from "./engine.ts";

export interface LogLine {
  /** RFC 3339 with nanoseconds, as written. */
  time: string;
  stream: "stdout" | "stderr";
  text: string;
  /** The line goes on in the next entry: no newline belongs after it. */
  partial: boolean;
}

export interface LogOptions {
  follow?: boolean;
  /** Only the last so many lines; all when negative or absent. */
  tail?: number;
  /** Milliseconds since 1970. */
  since?: number;
  until?: number;
}

/** One line of the file; undefined for one that is cut off or no log line. */
export function parseLogLine(line: string): LogLine | undefined {
  const match = /^(\S+) (stdout|stderr) ([FP])(?: (.*))?$/s.exec(line);
  if (!match || Number.isNaN(Date.parse(match[1]!))) return undefined;
  return {
    time: match[1]!,
    stream: match[2] as LogLine["stream"],
    partial: match[3] === "P",
    text: match[4] ?? "",
  };
}

const READ = 64 * 1024;
/** How often a followed file is looked at, in milliseconds. */
const LOOK = 50;
/** The same for the journal, where each look is a program. */
const LOOK_IN_JOURNAL = 500;

/** The container's log lines; with `follow`, until it has ended and its last line is given. */
export async function* readLogs(
  engine: Engine,
  container: Container,
  options: LogOptions = {},
): AsyncGenerator<LogLine> {
  const { config } = container;
  if (config.logDriver === "none")
    throw new UserError(
      "this container is using the 'none' log driver, cannot read logs: this container is not logging output",
    );
  if (config.logDriver === "journald") {
    const { JournalReader } = await import("./journal.ts");
    yield* linesOf(engine, container, new JournalReader(config.id), options);
    return;
  }
  if (!existsSync(config.logPath)) return;
  const fd = openSync(config.logPath, "r");
  try {
    yield* linesOf(engine, container, new LineReader(fd), options);
  } finally {
    closeSync(fd);
  }
}

/** Where lines come from; `rest` gives those that have come since it was called last. */
interface Source {
  rest(): Generator<LogLine>;
}

async function* linesOf(
  engine: Engine,
  { config }: Container,
  lines: Source,
  options: LogOptions,
): AsyncGenerator<LogLine> {
  const wanted = (line: LogLine) => {
    const at = Date.parse(line.time);
    return (
      (options.since === undefined || at >= options.since) &&
      (options.until === undefined || at <= options.until)
    );
  };
  if (options.tail !== undefined && options.tail >= 0) yield* lastLines(lines, options.tail, wanted);
  for (;;) {
    // Asked before the file is read to its end: what is written after that is read in another round.
    const over = !options.follow || isOver(engine, config.id);
    for (const line of lines.rest()) if (wanted(line)) yield line;
    if (over || (options.until !== undefined && Date.now() > options.until)) return;
    await Bun.sleep(config.logDriver === "journald" ? LOOK_IN_JOURNAL : LOOK);
  }
}

/** The last `count` lines of what is there; the parts of one line count once. */
function lastLines(lines: Source, count: number, wanted: (line: LogLine) => boolean): LogLine[] {
  let kept: LogLine[][] = [];
  let open = false;
  for (const line of lines.rest()) {
    if (!wanted(line)) continue;
    if (open) kept.at(-1)!.push(line);
    else kept.push([line]);
    open = line.partial;
    if (kept.length > 2 * count + 16) kept = kept.slice(-count - 1);
  }
  return count === 0 ? [] : kept.slice(-count).flat();
}

function isOver(engine: Engine, id: string): boolean {
  const container = engine.containers.byId(id);
  if (!container) return true;
  const { phase } = container;
  return phase === "running" ? hasEnded(engine, container) : phase !== "starting" && phase !== "initialized";
}

/** Complete lines of a file that may still grow. */
class LineReader {
  readonly #fd: number;
  #rest = Buffer.alloc(0);

  constructor(fd: number) {
    this.#fd = fd;
  }

  *rest(): Generator<LogLine> {
    const buffer = Buffer.alloc(READ);
    for (;;) {
      const count = readSync(this.#fd, buffer, 0, READ, null);
      if (count === 0) return;
      const data = Buffer.concat([this.#rest, buffer.subarray(0, count)]);
      let from = 0;
      for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, from)) {
        const line = parseLogLine(data.toString("utf8", from, at));
        from = at + 1;
        if (line) yield line;
      }
      this.#rest = data.subarray(from);
    }
  }
}
