/** What conmon tells on its pipes: lines of JSON. It keeps the pipes open for its life, so nobody may wait for their end. */

export interface ConmonAnswer {
  /** A pid or an exit code; negative for a failure. */
  data: number;
  message?: string;
}

export class ConmonAnswers implements AsyncDisposable {
  readonly #reader: {
    read(): Promise<{ done: boolean; value?: Uint8Array }>;
    cancel(): Promise<void>;
  };
  #text = "";

  /** Reads from the pipe `fd`, which stays the caller's to close, after this is disposed of. */
  constructor(fd: number) {
    this.#reader = Bun.file(fd).stream().getReader();
  }

  /** The next line; undefined when conmon is gone, or says something that is no answer. */
  async next(): Promise<ConmonAnswer | undefined> {
    for (;;) {
      const at = this.#text.indexOf("\n");
      if (at >= 0) {
        const line = this.#text.slice(0, at);
        this.#text = this.#text.slice(at + 1);
        return parseAnswer(line);
      }
      const { value, done } = await this.#reader.read();
      if (done || !value) return undefined;
      this.#text += Buffer.from(value).toString("utf8");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
  }
}

export function parseAnswer(line: string): ConmonAnswer | undefined {
  try {
    const { data, message } = JSON.parse(line) as Record<string, unknown>;
    if (typeof data !== "number") return undefined;
    return typeof message === "string" ? { data, message } : { data };
  } catch {
    return undefined;
  }
}
