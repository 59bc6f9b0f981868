/**
 * What the shells ask at a tab: `portolan __complete WORD...`, the words after the program's name up to the cursor, the last
 * one unfinished. Prints a candidate per line, with its description after a tab, and a last line for the shell:
 * `:` and any of `files` (names of files are candidates as well), `open` (no space follows a candidate).
 *
 * Only the commands' tables and the state are looked at: nothing is repaired, made or started, and what can't be read
 * has no candidates.
 */
import { existsSync } from "node:fs";
import { writeOut } from "../base/stdio.ts";
import type { Engine } from "../container/engine.ts";
import type { Command, Entry } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { type Candidates, choices, flagKinds, offer, positionKinds } from "./complete-values.ts";
import { type Flag, parseFlags } from "./flags.ts";
import { GLOBAL_FLAGS, globalOptions, HELP } from "./program.ts";

interface Scanned {
  args: string[];
  /** How many words are options or their values, before the first argument. */
  options: number;
  /** The flag whose value is due next. */
  pending?: Flag;
  /** No option may follow. */
  ended: boolean;
}

/** As `parseFlags` reads a line, but whatever is wrong is passed over: a line that is still being typed. */
function scan(flags: readonly Flag[], words: readonly string[], interspersed = true): Scanned {
  const found: Scanned = { args: [], options: 0, ended: false };
  for (const [index, word] of words.entries()) {
    if (found.ended) found.args.push(word);
    else if (found.pending) found.pending = undefined;
    else if (word === "--") found.ended = true;
    else if (word.startsWith("-") && word.length > 1) found.pending = awaiting(flags, word);
    else {
      found.args.push(word);
      found.ended = !interspersed;
    }
    if (found.args.length === 0) found.options = index + 1;
  }
  return found;
}

/** The flag of `word` that takes the next word as its value. */
function awaiting(flags: readonly Flag[], word: string): Flag | undefined {
  if (word.includes("=")) return undefined;
  if (word.startsWith("--")) {
    const flag = named(flags, word.slice(2));
    return flag?.kind === "bool" ? undefined : flag;
  }
  for (const [at, letter] of [...word.slice(1)].entries()) {
    const flag = flags.find(one => one.short === letter);
    if (flag?.kind !== "bool") return at === word.length - 2 ? flag : undefined;
  }
  return undefined;
}

const named = (flags: readonly Flag[], name: string) =>
  flags.find(flag => flag.long === name || flag.aliases?.includes(name));

/** Flags that begin with `typed`; other spellings only where no first one does. */
function flagNames(flags: readonly Flag[], typed: string): Candidates {
  const shown = flags.filter(flag => !flag.hidden);
  const spelled = (names: (flag: Flag) => readonly string[]) =>
    shown.flatMap(flag => names(flag).map(name => ({ value: `--${name}`, about: flag.help })));
  const first = spelled(flag => [flag.long]).filter(one => one.value.startsWith(typed));
  return { values: first.length > 0 ? first : spelled(flag => flag.aliases ?? []) };
}

const entryNames = (entries: readonly Entry[]): Candidates => ({
  values: entries
    .filter(entry => !entry.hidden)
    .map(({ name, summary }) => ({ value: name, about: summary.split("\n")[0]! })),
});

/** Candidates for the last of `words`. */
export async function complete(words: readonly string[]): Promise<Candidates> {
  const typed = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const globals = scan(GLOBAL_FLAGS, before, false);
  const engine = () => openedEngine(before.slice(0, globals.options));
  if (globals.args.length === 0) {
    const flag = await ofFlag(GLOBAL_FLAGS, globals, typed, engine);
    return flag ?? keep(entryNames(COMMANDS), typed);
  }
  let rest = globals.args[0] === "help" ? globals.args.slice(1) : globals.args;
  let entries: readonly Entry[] = COMMANDS;
  while (rest.length > 0) {
    const entry = entries.find(one => one.name === rest[0] || one.aliases?.includes(rest[0]!));
    if (!entry) return { values: [] };
    rest = rest.slice(1);
    if ("load" in entry) {
      if (globals.args[0] === "help") return { values: [] };
      return ofVerb(await entry.load(), rest, typed, engine);
    }
    entries = entry.verbs;
  }
  return keep(entryNames(entries), typed);
}

async function ofVerb(
  command: Command,
  before: readonly string[],
  typed: string,
  engine: () => Promise<Engine | undefined>,
): Promise<Candidates> {
  const flags = [...command.flags, HELP];
  const scanned = scan(flags, before, command.interspersed);
  const flag = await ofFlag(flags, scanned, typed, engine);
  if (flag) return flag;
  const kinds = positionKinds(command, scanned.args.length);
  const found = keep(await offer(kinds, typed, engine), typed);
  return { ...found, values: found.values.filter(one => !scanned.args.includes(one.value)) };
}

/** Candidates where an option or its value is due; undefined where an argument is. */
async function ofFlag(
  flags: readonly Flag[],
  { pending, ended }: Scanned,
  typed: string,
  engine: () => Promise<Engine | undefined>,
): Promise<Candidates | undefined> {
  const valuesOf = async (flag: Flag, text: string) => {
    const fixed = choices(flag);
    return keep(fixed ? { values: fixed } : await offer(flagKinds(flag), text, engine), text);
  };
  if (pending) return valuesOf(pending, typed);
  if (ended || !typed.startsWith("-")) return undefined;
  const [, name, text] = /^--([^=]+)=(.*)$/s.exec(typed) ?? [];
  if (name === undefined) return keep(flagNames(flags, typed), typed);
  const flag = named(flags, name);
  if (!flag) return { values: [] };
  const found = await valuesOf(flag, text!);
  return { ...found, values: found.values.map(one => ({ ...one, value: `--${name}=${one.value}` })) };
}

const keep = (found: Candidates, typed: string): Candidates => ({
  ...found,
  values: found.values.filter(one => one.value.startsWith(typed)),
});

/** The engine of the global options on the line; none where there is no state yet. */
async function openedEngine(options: readonly string[]): Promise<Engine | undefined> {
  const { Engine } = await import("../container/engine.ts");
  const parsed = parseFlags(GLOBAL_FLAGS, options, { path: "portolan", interspersed: false });
  const global = globalOptions(parsed.values);
  return existsSync(Engine.paths(global).database) ? Engine.open(global) : undefined;
}

/** `__complete`, and `__complete-plain` without descriptions. The exit code is always 0. */
export async function completeMain(words: readonly string[], described: boolean): Promise<number> {
  const found = await complete(words).catch((): Candidates => ({ values: [] }));
  const lines = found.values
    .filter(one => !/[\n\t]/.test(one.value))
    .map(({ value, about }) => (described && about ? `${value}\t${about.replaceAll(/\s+/g, " ")}` : value));
  const directive = `:${[found.files && "files", found.open && "open"].filter(Boolean).join(" ")}`;
  writeOut([...lines, directive, ""].join("\n"));
  return 0;
}
