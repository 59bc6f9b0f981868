/**
 * Our own streams joined to those of a process in a container: output to ours, our input to its, terminals raw, window
 * sizes passed on, detach keys heeded, signals handed over. Used by run, start, attach and exec.
 */
import { closeSync, constants, createReadStream, fstatSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { errorText, hasCode, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { writeAll } from "../base/stdio.ts";
import { SIGNALS } from "../sys/process.ts";
import { makeRaw } from "../sys/terminal.ts";
import { AttachSocket } from "./attach-socket.ts";
import { type Container, statusOf } from "./config.ts";
import { DEFAULT_DETACH_KEYS, DetachFilter, parseDetachKeys } from "./detach-keys.ts";
import type { Engine } from "./engine.ts";
import { needProcess } from "./pins.ts";

export interface AttachOptions {
  tty: boolean;
  /** Send our standard input. */
  stdin: boolean;
  stdout?: boolean;
  stderr?: boolean;
  detachKeys?: string;
  /** Takes the output in place of our own streams. */
  output?: (data: Uint8Array, isError: boolean) => void;
}

export type AttachEnd = "ended" | "detached";

/** What an attachment is: `done` tells when the last byte of output is written, or the person has detached. */
export interface Attachment {
  done: Promise<AttachEnd>;
}

/** Attaches to the container's first process; call it in `created` of a start to lose nothing. */
export function attachContainer(engine: Engine, container: Container, options: AttachOptions): Attachment {
  const directory = engine.paths.container(container.config.id);
  return attachStreams(directory, {
    ...options,
    detachKeys: options.detachKeys ?? engine.conf.engine.detach_keys,
  });
}

/** The same, to a container that runs already: refuses in Podman's words where there is nothing to attach to. */
export function attachRunning(engine: Engine, container: Container, options: AttachOptions): Attachment {
  if (statusOf(container) !== "running") throw new UserError("you can only attach to running containers");
  needProcess(container);
  return attachContainer(engine, container, options);
}

/** Attaches to the conmon whose `attach` socket and `ctl` fifo are in `directory`. */
export function attachStreams(directory: string, options: AttachOptions): Attachment {
  const keys = parseDetachKeys(options.detachKeys ?? DEFAULT_DETACH_KEYS);
  const socket = AttachSocket.connect(join(directory, "attach"));
  return { done: runAttachment(socket, directory, keys, options) };
}

async function runAttachment(
  socket: AttachSocket,
  directory: string,
  keys: Uint8Array,
  options: AttachOptions,
): Promise<AttachEnd> {
  let end: AttachEnd = "ended";
  const resize = () => {
    const size = windowSize();
    if (size) sendWindowSize(directory, size);
  };
  const raw = options.tty && options.stdin && process.stdin.isTTY;
  if (options.tty) {
    resize();
    process.on("SIGWINCH", resize);
  }
  const restore = raw ? makeRaw(0) : undefined;
  const stopInput = options.stdin
    ? forwardInput(socket, options.tty ? new DetachFilter(keys) : undefined, () => {
        end = "detached";
        socket.leave();
      })
    : () => {};
  try {
    await socket.pump(async (data, isError) => {
      if (options.output) return options.output(data, isError);
      if (isError ? (options.stderr ?? true) : (options.stdout ?? true)) pass(isError ? 2 : 1, data);
    });
    return end;
  } finally {
    stopInput();
    restore?.();
    process.off("SIGWINCH", resize);
  }
}

/**
 * Our standard input, piece by piece, as it is asked for. Bun reads a file from its beginning, wherever others have read
 * to; it must go on from there. And its `process.stdin`, paused and resumed, at times forgets the end of a pipe.
 */
const standardInput = (): AsyncIterator<Uint8Array> =>
  (fstatSync(0).isFile() ? createReadStream("", { fd: 0, autoClose: false }) : Bun.stdin.stream())[
    Symbol.asyncIterator
  ]();

/** Sends what comes on our standard input; the end of it too. Gives a function that stops it. */
function forwardInput(
  socket: AttachSocket,
  filter: DetachFilter | undefined,
  detach: () => void,
): () => void {
  const input = standardInput();
  let stopped = false;
  const forward = async () => {
    // One piece at a time: a container that does not read must not fill our memory.
    for (;;) {
      const { value, done } = await input.next();
      if (stopped) return;
      if (done) break;
      const { pass, detached } = filter ? filter.feed(value) : { pass: value, detached: false };
      await socket.write(pass);
      if (detached) return detach();
    }
    socket.endInput();
  };
  forward().catch(error => {
    log.debug(`standard input: ${errorText(error)}`);
    socket.endInput();
  });
  return () => {
    stopped = true;
    input.return?.()?.catch(() => {});
  };
}

/** Streams whose reader has gone: what is for them is dropped, and the container lives on. */
const closed = new Set<number>();

function pass(fd: 1 | 2, data: Uint8Array): void {
  if (closed.has(fd)) return;
  try {
    writeAll(fd, data);
  } catch (error) {
    if (!hasCode(error, "EPIPE", "EIO")) throw error;
    closed.add(fd);
  }
}

export interface WindowSize {
  rows: number;
  columns: number;
}

/** The size of the terminal on our standard output; undefined where there is none. */
export function windowSize(): WindowSize | undefined {
  if (!process.stdout.isTTY) return undefined;
  const [columns, rows] = process.stdout.getWindowSize();
  return rows > 0 && columns > 0 ? { rows, columns } : undefined;
}

/** Tells conmon, by its control fifo, how large the terminal is. Quiet when conmon is gone. */
export function sendWindowSize(directory: string, { rows, columns }: WindowSize): void {
  try {
    const fd = openSync(join(directory, "ctl"), constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(fd, `1 ${rows} ${columns}\n`);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (!hasCode(error, "ENOENT", "ENXIO", "EPIPE", "EAGAIN")) throw error;
  }
}

/** Signals that speak of this process only, or that no process can catch. */
const OWN_SIGNALS = new Set([
  "KILL",
  "STOP",
  "CHLD",
  "PIPE",
  "URG",
  "WINCH",
  "SEGV",
  "BUS",
  "FPE",
  "ILL",
  "TRAP",
]);

/** `--sig-proxy`: what is signalled to us is signalled to the container's process. Gives a function that ends it. */
export function proxySignals(pid: number): () => void {
  const handlers = Object.entries(SIGNALS)
    .filter(
      ([name]) =>
        !OWN_SIGNALS.has(name) &&
        !name.startsWith("RT") &&
        !["STKFLT", "PROF", "VTALRM", "SYS", "ABRT"].includes(name),
    )
    .map(([name, number]) => {
      const handler = () => {
        try {
          process.kill(pid, number);
        } catch (error) {
          if (!hasCode(error, "ESRCH")) throw error;
        }
      };
      return [`SIG${name}` as NodeJS.Signals, handler] as const;
    });
  for (const [name, handler] of handlers) process.on(name, handler);
  return () => {
    for (const [name, handler] of handlers) process.off(name, handler);
  };
}
