/**
 * The command-line grammar that Podman's users know: GNU long options as Go's pflag reads them.
 *
 * `--name value`, `--name=value`, `-n value`, `-nvalue`, `-n=value`, clusters (`-dt`), booleans that take a value only
 * after `=` (`--rm=false`), `--` ends the options. With `interspersed: false` the first argument ends them too (`run`,
 * `exec`: what follows the image belongs to the container). Why no library: docs/adr/0002-command-line.md.
 */
import { UserError } from "../base/errors.ts";

/**
 * How a flag's values add up: `bool`; `string`, `int`, `float`: the last one counts; `array`: one value each time;
 * `slice`: each value may hold several, separated by commas.
 */
export type FlagKind = "bool" | "string" | "int" | "float" | "array" | "slice";

/** What the value of a flag or an argument is, for the shells' completion (`complete-values.ts`). */
export type ValueKind =
  | "capability"
  | "container"
  | "container-path"
  | "file"
  | "image"
  | "mount"
  | "namespace"
  | "network"
  | "network-mode"
  | "place"
  | "pod"
  | "shell"
  | "signal"
  | "userns"
  | "volume";

export interface Flag {
  long: string;
  short?: string;
  kind: FlagKind;
  help: string;
  /** What the value is called in the help text; the kind where nothing is said. */
  metavar?: string;
  /** What it means without a value, which it then takes after `=` alone. */
  bare?: string;
  /** Other spellings (`net` for `network`). */
  aliases?: readonly string[];
  hidden?: boolean;
  /** What its value is, or the words to choose from; without, those that the help names as `("a"|"b")`. */
  complete?: ValueKind | readonly string[];
}

export type FlagValue = boolean | string | number | string[];

/** Values by long name; a flag that was not given has none. */
export class Values {
  readonly #values = new Map<string, FlagValue>();

  set(name: string, value: FlagValue): void {
    this.#values.set(name, value);
  }
  has(name: string): boolean {
    return this.#values.has(name);
  }
  /** False unless the flag was given (and not as `=false`). */
  bool(name: string): boolean {
    return this.#values.get(name) === true;
  }
  /** As `bool`, but undefined where nothing was said. */
  optionalBool(name: string): boolean | undefined {
    return this.#values.get(name) as boolean | undefined;
  }
  string(name: string): string | undefined {
    return this.#values.get(name) as string | undefined;
  }
  number(name: string): number | undefined {
    return this.#values.get(name) as number | undefined;
  }
  /** Every value given, in order; empty where none was. */
  list(name: string): string[] {
    return (this.#values.get(name) as string[] | undefined) ?? [];
  }
}

export interface ParsedLine {
  values: Values;
  args: string[];
}

export interface GrammarOptions {
  /** The command as it is called, for messages: `podman run`. */
  path: string;
  /** Options may follow arguments; true unless said otherwise. */
  interspersed?: boolean;
}

/** Flags of Podman's that are not there yet, by verb: who gives one of these has not mistyped. */
const PODMANS_OF_CREATE =
  /^(blkio-weight(-device)?|cgroup-conf|cgroups|chrootdirs|cpu-(period|quota|rt-period|rt-runtime)|decryption-key|device-cgroup-rule|device-(read|write)-(bps|iops)|env-merge|health-(on-failure|startup-.*)|hostuser|init-(ctr|path)|memory-swappiness|oom-kill-disable|passwd(-entry)?|personality|preserve-fds|requires|rmi|rootfs|sdnotify|seccomp-policy|secret|variant)$/;
const PODMANS: Record<string, RegExp> = {
  create: PODMANS_OF_CREATE,
  run: PODMANS_OF_CREATE,
  ps: /^(external|sync|watch)$/,
  exec: /^preserve-fds$/,
};

/** Reads `argv` by `flags`. Throws a UserError with exit code 125 in pflag's words. */
export function parseFlags(
  flags: readonly Flag[],
  argv: readonly string[],
  options: GrammarOptions,
): ParsedLine {
  const refuse = (message: string): never => {
    throw new UserError(message, { status: 400, hint: `See '${options.path} --help'` });
  };
  const byLong = new Map<string, Flag>();
  const byShort = new Map<string, Flag>();
  for (const flag of flags) {
    byLong.set(flag.long, flag);
    for (const alias of flag.aliases ?? []) byLong.set(alias, flag);
    if (flag.short) byShort.set(flag.short, flag);
  }

  const values = new Values();
  const args: string[] = [];
  const assign = (flag: Flag, text: string) => {
    const named = flag.short ? `-${flag.short}, --${flag.long}` : `--${flag.long}`;
    const bad = (reason: string) =>
      refuse(`invalid argument ${JSON.stringify(text)} for "${named}" flag: ${reason}`);
    if (flag.kind === "bool") {
      if (/^(1|t|T|true|TRUE|True)$/.test(text)) values.set(flag.long, true);
      else if (/^(0|f|F|false|FALSE|False)$/.test(text)) values.set(flag.long, false);
      else bad(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
    } else if (flag.kind === "int") {
      if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(Number(text)))
        bad(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
      values.set(flag.long, Number(text));
    } else if (flag.kind === "float") {
      if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text))
        bad(`strconv.ParseFloat: parsing ${JSON.stringify(text)}: invalid syntax`);
      values.set(flag.long, Number(text));
    } else if (flag.kind === "string") values.set(flag.long, text);
    else
      values.set(flag.long, [
        ...values.list(flag.long),
        ...(flag.kind === "slice" ? text.split(",") : [text]),
      ]);
  };

  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]!;
    const next = (named: string) => {
      if (index + 1 >= argv.length) refuse(`flag needs an argument: ${named}`);
      return argv[++index]!;
    };
    if (word === "--") {
      args.push(...argv.slice(index + 1));
      break;
    }
    if (word.startsWith("--")) {
      const equals = word.indexOf("=");
      const name = word.slice(2, equals < 0 ? undefined : equals);
      const isPodmans = PODMANS[options.path.replace(/^\S+ (container )?/, "")]?.test(name);
      const flag =
        byLong.get(name) ??
        refuse(isPodmans ? `the flag --${name} is Podman's and not there yet` : `unknown flag: --${name}`);
      if (equals >= 0) assign(flag, word.slice(equals + 1));
      else assign(flag, flag.kind === "bool" ? "true" : (flag.bare ?? next(`--${name}`)));
    } else if (word.startsWith("-") && word.length > 1) {
      for (let at = 1; at < word.length; at++) {
        const letter = word[at]!;
        const flag =
          byShort.get(letter) ??
          refuse(`unknown shorthand flag: '${letter}' in ${word.slice(0, 1) + word.slice(at)}`);
        const rest = word.slice(at + 1);
        if (rest.startsWith("=")) assign(flag, rest.slice(1));
        else if (flag.kind === "bool") {
          assign(flag, "true");
          continue;
        } else assign(flag, rest || next(`'${letter}' in ${word.slice(0, 1) + word.slice(at)}`));
        break;
      }
    } else if (options.interspersed === false) {
      args.push(...argv.slice(index));
      break;
    } else args.push(word);
  }
  return { values, args };
}

/** The `Options:` block of a help page. */
export function describeFlags(flags: readonly Flag[]): string {
  const rows = flags
    .filter(flag => !flag.hidden)
    .toSorted((a, b) => (a.long < b.long ? -1 : 1))
    .map(flag => {
      const value =
        flag.kind === "bool"
          ? ""
          : ` ${flag.metavar ?? { string: "string", int: "int", float: "float", array: "stringArray", slice: "strings" }[flag.kind]}`;
      return [`  ${flag.short ? `-${flag.short},` : "   "} --${flag.long}${value}`, flag.help] as const;
    });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, help]) => `${left.padEnd(width)}   ${help}`).join("\n");
}
