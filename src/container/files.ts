/** A container's files, seen from outside: a helper process (`files-child.ts`) stands in the container's root. */

import { hasCode, oneLine, UserError } from "../base/errors.ts";
import { selfCommand } from "../base/self.ts";
import { closeFd, pipe, readFd, writeFd } from "../sys/fd.ts";
import type { Lock } from "../sys/flock.ts";
import type { Container } from "./config.ts";
import type { Engine } from "./engine.ts";
import { isRunning } from "./leftovers.ts";
import { needProcess } from "./pins.ts";

/** `mounts`: what the container sees; `root`: its root file system alone. */
export type View = "mounts" | "root";

export interface FileFacts {
  /** With all links followed; where the last part is missing, where it would be. */
  path: string;
  /** Undefined where there is nothing. */
  kind?: "directory" | "file" | "other";
  /** The directory that it lies in, or would, is there. */
  inDirectory: boolean;
}

export type FilesRequest =
  | { op: "stat"; path: string }
  /** The tree at `path`, called `name` in the archive; without a name what is in it. */
  | { op: "get"; path: string; name?: string; devices: boolean }
  /** `chown`: everything shall belong to the container's user. */
  | { op: "put"; directory: string; chown: boolean; overwrite: boolean };

export class ContainerFiles implements AsyncDisposable {
  readonly #child: Bun.Subprocess<number, number, "pipe">;
  readonly #said: Promise<string>;
  readonly #open = new Set<number>();
  /** Of the helper's standard input and output, our ends. */
  readonly #input: number;
  readonly #output: number;
  readonly #requests: number;
  readonly #answers: number;
  readonly #lock: Lock | undefined;

  private constructor(engine: Engine, id: string, view: View, lock: Lock | undefined) {
    const [inRead, inWrite] = pipe();
    const [outRead, outWrite] = pipe();
    const [requestRead, requestWrite] = pipe();
    const [answerRead, answerWrite] = pipe();
    this.#lock = lock;
    this.#input = inWrite;
    this.#output = outRead;
    this.#requests = requestWrite;
    this.#answers = answerRead;
    for (const fd of [inWrite, outRead, requestWrite, answerRead]) this.#open.add(fd);
    const words = [...selfCommand(), "__files", JSON.stringify(engine.global), id, view];
    try {
      // The lock goes along: were we killed, nobody would start the container before the helper has ended.
      this.#child = Bun.spawn(words, {
        cwd: "/",
        stdio: [inRead, outWrite, "pipe", requestRead, answerWrite, ...(lock ? [lock.fd] : [])],
      });
    } finally {
      for (const fd of [inRead, outWrite, requestRead, answerWrite]) closeFd(fd);
    }
    this.#said = this.#child.stderr.text();
  }

  /** A container that does not run keeps still, under its lock, until this is disposed of. */
  static open(engine: Engine, asked: Container, view: View = "mounts"): ContainerFiles {
    needProcess(asked);
    const { id } = asked.config;
    const running = (one: Container | undefined) => one !== undefined && isRunning(one);
    if (running(engine.containers.byId(id))) return new ContainerFiles(engine, id, view, undefined);
    const lock = engine.containers.lock(id);
    try {
      const container = engine.containers.get(id);
      if (!running(container)) return new ContainerFiles(engine, id, view, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
    // It was started while we waited.
    lock.release();
    return new ContainerFiles(engine, id, view, undefined);
  }

  #ask(request: FilesRequest): void {
    writeFd(this.#requests, Buffer.from(`${JSON.stringify(request)}\n`));
  }

  /** What is at `path`. */
  async stat(path: string): Promise<FileFacts> {
    try {
      this.#ask({ op: "stat", path });
    } catch (error) {
      if (!hasCode(error, "EPIPE")) throw error;
    }
    const buffer = new Uint8Array(65536);
    let text = "";
    while (!text.endsWith("\n")) {
      const count = readFd(this.#answers, buffer);
      if (count === 0) throw (await this.#failure()) ?? new UserError(`can't look at ${path}`);
      text += Buffer.from(buffer.subarray(0, count)).toString("utf8");
    }
    return JSON.parse(text) as FileFacts;
  }

  /** Begins to read a tar of what is at `path` (`FilesRequest`); gives the descriptor that it comes from. */
  get(path: string, name: string | undefined, devices = false): number {
    this.#ask({ op: "get", path, name, devices });
    return this.#output;
  }

  /** Begins to write into a directory; gives the descriptor that takes the tar. `end` tells whether it went well. */
  put(directory: string, options: { chown: boolean; overwrite: boolean }): number {
    this.#ask({ op: "put", directory, ...options });
    return this.#input;
  }

  /** After the last byte: awaits the helper's end. Throws what it complains of; `failure` is why there is no more. */
  async end(failure?: unknown): Promise<void> {
    this.#close(this.#input);
    const own = await this.#failure();
    if (failure !== undefined && !hasCode(failure, "EPIPE")) throw failure;
    if (own) throw own;
    if (failure !== undefined) throw failure;
  }

  async #failure(): Promise<UserError | undefined> {
    this.#close(this.#input);
    this.#close(this.#requests);
    const [code, said] = await Promise.all([this.#child.exited, this.#said]);
    if (said.trim()) return new UserError(oneLine(said));
    return code === 0 ? undefined : new UserError(`the files' helper ended with code ${code}`);
  }

  #close(fd: number): void {
    if (this.#open.delete(fd)) closeFd(fd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const fd of [...this.#open]) this.#close(fd);
    await this.#child.exited;
    this.#lock?.release();
  }
}
