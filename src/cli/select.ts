/** Which containers a verb is about: those named, all, the latest, those in a file; and the filters of `ps`. */
import { readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import type { Container } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import type { Invocation } from "./command.ts";
import type { Flag } from "./flags.ts";

export const LATEST: Flag = {
  long: "latest",
  short: "l",
  kind: "bool",
  help: "Act on the latest container Portolan is aware of",
};
export const allFlag = (help: string): Flag => ({ long: "all", short: "a", kind: "bool", help });
export const CIDFILE: Flag = {
  long: "cidfile",
  kind: "array",
  help: "Read the container ID from the file",
  complete: "file",
};
export const FILTER: Flag = {
  long: "filter",
  short: "f",
  kind: "array",
  help: "Filter the output (key=value)",
};
export const formatFlag = (short?: string): Flag => ({
  long: "format",
  short,
  kind: "string",
  help: "Format the output with a Go template, or json",
});

export interface Selection {
  /** What to say when nothing is named. */
  missing: string;
  /** Leave names that no container has for the verb to pass over. */
  lenient?: boolean;
  /** Which containers `--all` means; all of them where nothing is said. */
  all?: (container: Container) => boolean;
}

/**
 * The names given, or the ids of the containers that `--all`, `--latest` or `--cidfile` mean. All are looked up before
 * anything is done: one wrong name, and the others stay as they are.
 */
export function selectNames(invocation: Invocation, engine: Engine, selection: Selection): string[] {
  const { flags, args } = invocation;
  const files = flags.list("cidfile");
  if (flags.bool("all")) {
    if (args.length > 0) throw new UserError("no arguments are needed with --all");
    return engine.containers
      .list()
      .filter(selection.all ?? (() => true))
      .map(one => one.config.id);
  }
  if (flags.bool("latest")) {
    if (args.length > 0) throw new UserError("--latest and containers cannot be used together");
    return [latest(engine).config.id];
  }
  const names = [...args, ...files.map(readId)];
  if (names.length === 0) throw new UserError(selection.missing);
  if (!selection.lenient) for (const name of names) engine.containers.get(name);
  return names;
}

/** The one container of `exec`, `attach`, `top`, `port`; what follows it are the other arguments. */
export function selectOne(
  invocation: Invocation,
  engine: Engine,
  missing: string,
): { container: Container; rest: string[] } {
  const { flags, args } = invocation;
  if (flags.bool("latest")) return { container: latest(engine), rest: args };
  if (args.length === 0) throw new UserError(missing);
  return { container: engine.containers.get(args[0]!), rest: args.slice(1) };
}

function latest(engine: Engine): Container {
  const [newest] = engine.containers.list();
  if (!newest) throw new UserError("no such container", { status: 404 });
  return newest;
}

function readId(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    throw new UserError(`reading CIDFile: open ${path}: no such file or directory`);
  }
}

/** `key=value` of every `--filter`, by key; a value may hold `=`. */
export function parseFilters(texts: readonly string[]): Map<string, string[]> {
  const filters = new Map<string, string[]>();
  for (const text of texts) {
    const equals = text.indexOf("=");
    if (equals < 1) throw new UserError(`invalid filter ${JSON.stringify(text)}`, { hint: "use key=value" });
    const key = text.slice(0, equals);
    filters.set(key, [...(filters.get(key) ?? []), text.slice(equals + 1)]);
  }
  return filters;
}

/** True when `labels` has `key` or `key=value`. */
export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf("=");
  if (equals < 0) return Object.hasOwn(labels, wanted);
  return labels[wanted.slice(0, equals)] === wanted.slice(equals + 1);
}
