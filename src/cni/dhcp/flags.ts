/** The daemon's command line, as Go's package flag reads it: `-name value`, `-name=value`, one dash or two. */
import { UserError } from "../../base/errors.ts";
import type { Timing } from "./client.ts";
import { SOCKET_PATH } from "./rpc.ts";

export interface DaemonFlags {
  /** Absolute, or "" for none. */
  pidfile: string;
  hostPrefix: string;
  socketPath: string;
  broadcast: boolean;
  timing: Timing;
}

const USAGE =
  "dhcp daemon [-pidfile PATH] [-hostprefix PATH] [-socketpath PATH] [-broadcast] [-timeout 10s] [-resendmax 62s] [-resendtimeout 208s]";
const TEXTS = ["pidfile", "hostprefix", "socketpath", "timeout", "resendmax", "resendtimeout"];
const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export function parseDaemonFlags(argv: readonly string[]): DaemonFlags {
  const given = new Map<string, string>();
  for (let index = 0; index < argv.length; index++) {
    const match = /^--?([a-z]+)(?:=(.*))?$/s.exec(argv[index]!);
    const name = match?.[1] ?? "";
    if (name === "broadcast") given.set(name, match![2] ?? "true");
    else if (TEXTS.includes(name)) {
      const value = match![2] ?? argv[++index];
      if (value === undefined) throw wrong(`flag needs an argument: -${name}`);
      given.set(name, value);
    } else throw wrong(`flag provided but not defined: ${argv[index]}`);
  }
  const broadcast = given.get("broadcast") ?? "false";
  if (broadcast !== "true" && broadcast !== "false")
    throw wrong(`invalid boolean value "${broadcast}" for -broadcast`);
  const time = (name: string, usual: string) => duration(name, given.get(name) ?? usual);
  return {
    pidfile: given.get("pidfile") ?? "",
    hostPrefix: given.get("hostprefix") ?? "",
    socketPath: given.get("socketpath") || SOCKET_PATH,
    broadcast: broadcast === "true",
    timing: {
      timeout: time("timeout", "10s"),
      resendMax: time("resendmax", "62s"),
      resendTimeout: time("resendtimeout", "208s"),
    },
  };
}

/** Milliseconds of `1m2.5s`. */
function duration(name: string, text: string): number {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text))
    throw wrong(`invalid value ${JSON.stringify(text)} for flag -${name}: it is no duration such as 10s`);
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * UNITS[unit!]!,
    0,
  );
}

const wrong = (message: string) => new UserError(message, { hint: `usage: ${USAGE}` });
