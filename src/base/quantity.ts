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

/** A span in nanoseconds as Go prints one: `1h2m3.5s`, `976.613648ms`, `12µs`, `0s`. */
export function goDuration(nanoseconds: number): string {
  const part = (value: number, unit: string) => `${value.toFixed(9).replace(/\.?0+$/, "")}${unit}`;
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 1e3) return `${Math.round(nanoseconds)}ns`;
  if (nanoseconds < 1e6) return part(nanoseconds / 1e3, "µs");
  if (nanoseconds < 1e9) return part(nanoseconds / 1e6, "ms");
  const seconds = nanoseconds / 1e9;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const rest = part(seconds - hours * 3600 - minutes * 60, "s");
  return hours > 0 ? `${hours}h${minutes}m${rest}` : minutes > 0 ? `${minutes}m${rest}` : rest;
}
