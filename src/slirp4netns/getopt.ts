/**
 * Command lines read as getopt_long(3) reads them: short options may be joined (`-cm1500`), long ones shortened to what
 * is unambiguous, options may stand after arguments, and `--` ends them.
 */

export interface OptionSpec {
  /** Without the dashes. */
  long: string;
  /** One character; absent: only the long form. */
  short?: string;
  /** Takes a value. */
  value?: boolean;
}

export interface Parsed {
  /** What was given, in order; `value` is "" for an option that takes none. */
  options: { long: string; value: string }[];
  operands: string[];
}

/** A command line that getopt would refuse; the message has its words. */
export class GetoptError extends Error {
  override readonly name = "GetoptError";
}

/** Splits `argv`; throws `GetoptError` at the first word that fits no option of `specs`. */
export function getopt(argv: readonly string[], specs: readonly OptionSpec[]): Parsed {
  const parsed: Parsed = { options: [], operands: [] };
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === "--") {
      parsed.operands.push(...argv.slice(at + 1));
      break;
    }
    if (word.startsWith("--")) at += longOption(word, argv[at + 1], specs, parsed);
    else if (word.startsWith("-") && word.length > 1) at += shortOptions(word, argv[at + 1], specs, parsed);
    else parsed.operands.push(word);
  }
  return parsed;
}

/** Gives the number of words beyond `word` that it took: 0 or 1. */
function longOption(
  word: string,
  next: string | undefined,
  specs: readonly OptionSpec[],
  into: Parsed,
): number {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
  const exact = specs.filter(spec => spec.long === name);
  const found = exact.length > 0 ? exact : specs.filter(spec => spec.long.startsWith(name));
  const [spec] = found;
  if (!spec) throw new GetoptError(`unrecognized option '${word}'`);
  if (found.length > 1) {
    const names = found.map(one => `'--${one.long}'`).join(" ");
    throw new GetoptError(`option '${word}' is ambiguous; possibilities: ${names}`);
  }
  if (!spec.value) {
    if (equals >= 0) throw new GetoptError(`option '--${spec.long}' doesn't allow an argument`);
    into.options.push({ long: spec.long, value: "" });
    return 0;
  }
  if (equals >= 0) {
    into.options.push({ long: spec.long, value: word.slice(equals + 1) });
    return 0;
  }
  if (next === undefined) throw new GetoptError(`option '--${spec.long}' requires an argument`);
  into.options.push({ long: spec.long, value: next });
  return 1;
}

function shortOptions(
  word: string,
  next: string | undefined,
  specs: readonly OptionSpec[],
  into: Parsed,
): number {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at]!;
    const spec = specs.find(one => one.short === letter);
    if (!spec) throw new GetoptError(`invalid option -- '${letter}'`);
    if (!spec.value) {
      into.options.push({ long: spec.long, value: "" });
      continue;
    }
    const rest = word.slice(at + 1);
    if (rest) {
      into.options.push({ long: spec.long, value: rest });
      return 0;
    }
    if (next === undefined) throw new GetoptError(`option requires an argument -- '${letter}'`);
    into.options.push({ long: spec.long, value: next });
    return 1;
  }
  return 0;
}
