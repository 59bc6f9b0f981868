/** Deciding a new container's health check. */
import { UserError } from "../base/errors.ts";
import { parseDuration } from "../base/quantity.ts";
import type { ImageRuntimeConfig } from "../image/types.ts";
import type { HealthCheck } from "./config.ts";
import type { CreateOptions } from "./create-options.ts";

/** The words of a JSON list; anything else is one word. */
export function commandWords(text: string): string[] {
  if (text === "") return [];
  try {
    const words: unknown = JSON.parse(text);
    if (Array.isArray(words) && words.every(word => typeof word === "string")) return words;
  } catch {
    // Not a list: the name of a program.
  }
  return [text];
}

/** Go's notation (`1m30s`) in milliseconds. */
function duration(flag: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (flag === "interval" && text === "disable") return 0;
  const value = parseDuration(text);
  if (value === undefined)
    throw new UserError(`invalid healthcheck-${flag}: time: invalid duration ${JSON.stringify(text)}`);
  return value;
}

/** The check that was asked for, else the image's; undefined for none. */
export function health(options: CreateOptions, base: ImageRuntimeConfig): HealthCheck | undefined {
  const own = base.Healthcheck;
  if (options.noHealthcheck) return { test: ["NONE"], interval: 0, timeout: 0, startPeriod: 0, retries: 0 };
  const test = options.healthCmd ? healthWords(options.healthCmd) : own?.Test;
  if (!test?.length) return undefined;
  const ms = (nanoseconds: number | undefined, fallback: number) =>
    nanoseconds ? nanoseconds / 1e6 : fallback;
  const retries = options.healthRetries ?? (own?.Retries || 3);
  if (retries < 1) throw new UserError("healthcheck-retries must be greater than 0");
  const timeout = duration("timeout", options.healthTimeout, ms(own?.Timeout, 30_000));
  if (timeout < 1000) throw new UserError("healthcheck-timeout must be at least 1 second");
  return {
    test,
    interval: duration("interval", options.healthInterval, ms(own?.Interval, 30_000)),
    timeout,
    startPeriod: duration("start-period", options.healthStartPeriod, ms(own?.StartPeriod, 0)),
    retries,
  };
}

function healthWords(text: string): string[] {
  if (text === "none") return ["NONE"];
  const words = commandWords(text);
  if (words.length === 1 && words[0] === text) return ["CMD-SHELL", text];
  return ["CMD", "CMD-SHELL", "NONE"].includes(words[0] ?? "") ? words : ["CMD", ...words];
}
