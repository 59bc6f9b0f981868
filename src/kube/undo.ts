/** What a command has made so far, so that a failure takes it back. */
import { ErrorList, errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";

export class Undo {
  readonly #steps: (() => unknown)[] = [];

  push(step: () => unknown): void {
    this.#steps.push(step);
  }

  /** Takes all of it back, last things first. What can't be is told as a warning: the error that led here is the one to be seen. */
  async run(): Promise<void> {
    const errors = new ErrorList();
    for (const step of this.#steps.reverse()) await errors.tryAsync(async () => step());
    for (const error of errors.errors) log.warn(`left behind: ${errorText(error)}`);
  }
}
