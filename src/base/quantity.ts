/** Sizes and durations as people type them, on command lines and in configuration files. */

const UNITS = ["", "k", "m", "g", "t", "p"];

/** `512m`, `1.5G`, `64MiB`, `100b`: bytes, in powers of 1024; undefined for what is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])(?:i?b)?|b)?$/i.exec(text);
  if (!match) return undefined;
  const bytes = Math.floor(Number(match[1]) * 1024 ** UNITS.indexOf((match[2] ?? "").toLowerCase()));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const DURATION = /(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/gy;
const FACTORS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3,
  ns: 1e-6,
};

/** A Go duration (`1h30m`, `250ms`) in milliseconds; undefined for what is none. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  let total = 0;
  DURATION.lastIndex = 0;
  let at = 0;
  while (at < text.length) {
    const match = DURATION.exec(text);
    if (!match) return undefined;
    total += Number(match[1]) * FACTORS[match[2]!]!;
    at = DURATION.lastIndex;
  }
  return text === "" ? undefined : total;
}
