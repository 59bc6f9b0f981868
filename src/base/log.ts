/**
 * Messages about what the engine does, on standard error, in the form that Podman's users know
 * (`time="…" level=warning msg="…"`). Silent below the level that `--log-level` names; `warn` is the default.
 */
import { writeErr } from "./stdio.ts";

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "panic"] as const;
export type LogLevel = (typeof LEVELS)[number];

let threshold = LEVELS.indexOf("warn");

/** Sets the level from the word that `--log-level` takes (`warning` is `warn`); false when there is no such level. */
export function setLogLevel(word: string): boolean {
  const index = LEVELS.indexOf((word === "warning" ? "warn" : word) as LogLevel);
  if (index < 0) return false;
  threshold = index;
  return true;
}

/** True where debug messages, and with them stack traces, are wanted. */
export function isDebug(): boolean {
  return threshold <= LEVELS.indexOf("debug");
}

function write(level: LogLevel, message: string): void {
  if (LEVELS.indexOf(level) < threshold) return;
  const word = level === "warn" ? "warning" : level;
  writeErr(`time="${new Date().toISOString()}" level=${word} msg=${JSON.stringify(message)}\n`);
}

export const log = {
  debug: (message: string) => write("debug", message),
  info: (message: string) => write("info", message),
  warn: (message: string) => write("warn", message),
  error: (message: string) => write("error", message),
};
