/** Numbers and times for people: sizes, durations since, and the sizes and times that people type. */
import { parseDuration, parseSize } from "../../base/quantity.ts";

export { parseDuration, parseSize };

/** `1.98 MB`: three significant digits, in powers of 1000. `space` stands before the unit. */
export function humanSize(bytes: number, digits = 3, space = ""): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(digits))}${space}${units[unit]}`;
}

/** `Less than a second`, `5 seconds`, `About an hour`, `3 weeks`: a span in milliseconds, roughly. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  const days = Math.floor(seconds / 86_400);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.floor(days / 7)} weeks`;
  if (days < 730) return `${Math.floor(days / 30)} months`;
  return `${Math.floor(days / 365)} years`;
}

/**
 * What `--since` and `--until` take: a duration before `now` (`sign` 1: after it), seconds since 1970, or a date (RFC
 * 3339, or its beginning).
 * Milliseconds since 1970; undefined for what is none of these.
 */
export function parseTime(text: string, now: number, sign: -1 | 1 = -1): number | undefined {
  const span = parseDuration(text.replace(/^-/, ""));
  if (span !== undefined && /[a-zµ]$/.test(text)) return now + sign * span;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^\d{4}-\d{2}-\d{2}([T ]\d{2}(:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:\d{2})?)?$/.test(text))
    return undefined;
  const full = text.replace(" ", "T").replace(/T(\d{2})(?=Z|[+-]|$)/, "T$1:00");
  const ms = Date.parse(full);
  return Number.isNaN(ms) ? undefined : ms;
}
