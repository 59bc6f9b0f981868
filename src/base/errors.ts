/**
 * The three kinds of error that Portolan knows.
 *
 * - `SysError`: the kernel (or a file operation) said no. Carries the call, the errno and what it was about.
 * - `UserError`: something a person asked for can't be done. Carries the exit code that Podman would use
 *   (125: the engine failed, 126: the command can't be invoked, 127: the command was not found), the HTTP status an
 *   API would answer with, and a hint on what to do.
 * - `BugError`: an invariant of ours is broken; nobody outside can do anything about it.
 *
 * Teardown goes on after a failure: it gathers what went wrong with `ErrorList` and reports everything at the end.
 */

/** The kernel refused. `errno` is positive (`2`), `code` its name (`"ENOENT"`). */
export class SysError extends Error {
  override readonly name = "SysError";
  constructor(
    readonly syscall: string,
    readonly errno: number,
    readonly code: string,
    /** What the call was about: a path, an interface name; and the kernel's own explanation where it gave one. */
    readonly subject = "",
    message?: string,
  ) {
    super(`${syscall}${subject ? ` ${subject}` : ""}: ${message ?? code}`);
  }
}

export interface UserErrorOptions {
  /** Process exit code; 125 where nothing else is said. */
  exitCode?: number;
  /** HTTP status for programs; 500 where nothing else is said. */
  status?: number;
  /** What the person can do about it, one short clause. */
  hint?: string;
  cause?: unknown;
}

/** Something that was asked for can't be done; `message` is one clear line without the leading `Error: `. */
export class UserError extends Error {
  override readonly name = "UserError";
  readonly exitCode: number;
  readonly status: number;
  readonly hint: string | undefined;
  constructor(message: string, options: UserErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? 125;
    this.status = options.status ?? 500;
    this.hint = options.hint;
  }
}

/** An invariant of ours does not hold. */
export class BugError extends Error {
  override readonly name = "BugError";
}

/** The text of anything that was thrown, without its stack. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Words of others as one line of a message: spaces for line ends, escapes for what a terminal would obey, and an end to
 * what is too long.
 */
export function oneLine(text: string, limit = 500): string {
  const line = text
    .trim()
    .replace(/\s*[\r\n]\s*/g, " ")
    .replace(/[\x00-\x1f\x7f-\x9f]/g, byte => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
  return line.length > limit ? `${line.slice(0, limit)}…` : line;
}

/** True for a SysError or a Node-style file error with one of the given names (`"ENOENT"`). */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" && codes.includes(code);
}

/** Gathers the failures of a teardown that must go on to its end. */
export class ErrorList {
  readonly errors: unknown[] = [];

  /** Runs one step; what it throws is kept, and the next step runs all the same. */
  try(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.errors.push(error);
    }
  }

  /** The same for a step that takes time. */
  async tryAsync(step: () => Promise<unknown>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.errors.push(error);
    }
  }

  /** Throws what was gathered, if anything was, as one error that names every failure. */
  throwIfAny(what: string): void {
    if (this.errors.length === 0) return;
    if (this.errors.length === 1 && this.errors[0] instanceof UserError) throw this.errors[0];
    throw new UserError(`${what}: ${this.errors.map(errorText).join("; ")}`, { cause: this.errors[0] });
  }
}
