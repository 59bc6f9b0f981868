/** How a failure is told to a person: one line `Error: …` on standard error, and the exit code. */
import { BugError, errorText, UserError } from "../base/errors.ts";
import { isDebug } from "../base/log.ts";
import { writeErr } from "../base/stdio.ts";

/** Prints the failure; gives the exit code for it. */
export function report(error: unknown): number {
  const text = errorText(error).replace(/\s*\n\s*/g, " ");
  const isLineOfUsage = error instanceof UserError && error.hint?.startsWith("See ");
  const hint =
    error instanceof UserError && error.hint ? (isLineOfUsage ? `\n${error.hint}` : ` (${error.hint})`) : "";
  const bug =
    error instanceof BugError ? " (this is a fault of Portolan's; --log-level debug shows where)" : "";
  writeErr(`Error: ${text}${hint}${bug}\n`);
  if (isDebug() && error instanceof Error) {
    writeErr(`${error.stack}\n`);
    if (error.cause instanceof Error) writeErr(`caused by: ${error.cause.stack}\n`);
  }
  return error instanceof UserError ? error.exitCode : 125;
}
