/**
 * What a verb is. A verb's file exports one `Command`; `commands.ts` lists them with a loader each, so that starting
 * one verb loads no other.
 */
import { UserError } from "../base/errors.ts";
import { writeOut } from "../base/stdio.ts";
import type { Engine, GlobalOptions } from "../container/engine.ts";
import type { Flag, Values } from "./flags.ts";

export interface Invocation {
  /** As it was called: `portolan container rm`. */
  path: string;
  args: string[];
  flags: Values;
  global: GlobalOptions;
  /** The whole command line, for `inspect`'s CreateCommand. */
  commandLine: string[];
  /** Opens the state and repairs what a killed command left; the same engine each time. */
  engine(): Promise<Engine>;
}

export interface Command {
  /** One sentence for lists of commands. */
  summary: string;
  /** The arguments, after the name: `[options] IMAGE [COMMAND [ARG...]]`. */
  usage: string;
  flags: readonly Flag[];
  /** The states of the containers or pods that it is for, as their `ps` names them; any where nothing is said. */
  states?: readonly string[];
  /** False where the first argument ends the options. */
  interspersed?: boolean;
  /**
   * An ordinary user's command that needs no more than the state: it stays outside of the user namespace, and starts in a
   * third of the time. May depend on the flags.
   */
  outside?: boolean | ((flags: Values) => boolean);
  /** Does the work; the number is the exit code, nothing means 0. */
  run(invocation: Invocation): Promise<number | undefined> | number | undefined;
}

/** A verb, or a noun with verbs of its own. */
export type Entry =
  | { name: string; aliases?: string[]; hidden?: boolean; summary: string; load: () => Promise<Command> }
  | { name: string; aliases?: string[]; hidden?: boolean; summary: string; verbs: Entry[] };

/** The same verb under another name: `images` is `image ls`. */
export const as = (entry: Entry, name: string, ...aliases: string[]): Entry => ({ ...entry, name, aliases });

/** Prints a line on standard output. */
export function print(text: string): void {
  writeOut(`${text}\n`);
}

/** Refuses a wrong number of arguments in Podman's words. */
export function requireArgs(invocation: Invocation, least: number, most = Number.POSITIVE_INFINITY): void {
  const count = invocation.args.length;
  if (count !== least && least === most) throw new UserError(`accepts ${least} arg(s), received ${count}`);
  if (count < least) throw new UserError(`requires at least ${least} arg(s), only received ${count}`);
  if (count > most) throw new UserError(`accepts at most ${most} arg(s), received ${count}`);
}

/**
 * Does `action` to each of several things. A failure is reported at once and the others are still done; the exit code
 * is that of the last failure.
 */
export async function forEach(
  names: readonly string[],
  action: (name: string) => Promise<void>,
): Promise<number> {
  const { report } = await import("./report.ts");
  let code = 0;
  for (const name of names) {
    try {
      await action(name);
    } catch (error) {
      code = report(error);
    }
  }
  return code;
}
