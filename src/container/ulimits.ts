/** Resource limits of a container's processes (setrlimit(2)): what was asked for, what is given, how it is written. */
import { readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import type { ResourceLimits } from "./config.ts";

type Ulimit = NonNullable<ResourceLimits["ulimits"]>[number];

/** Names with the kernel's own in /proc/PID/limits. */
const ROWS: Record<string, string> = {
  core: "Max core file size",
  cpu: "Max cpu time",
  data: "Max data size",
  fsize: "Max file size",
  locks: "Max file locks",
  memlock: "Max locked memory",
  msgqueue: "Max msgqueue size",
  nice: "Max nice priority",
  nofile: "Max open files",
  nproc: "Max processes",
  rss: "Max resident set",
  rtprio: "Max realtime priority",
  rttime: "Max realtime timeout",
  sigpending: "Max pending signals",
  stack: "Max stack size",
};

const CAP_SYS_RESOURCE = 24n;
/** Podman's own, for those that nobody named. */
const DEFAULTS: readonly Ulimit[] = [
  { name: "nofile", soft: 1_048_576, hard: 1_048_576 },
  { name: "nproc", soft: 4_194_304, hard: 4_194_304 },
];

const UNLIMITED = new Set(["unlimited", "-1", "18446744073709551615"]);

/** `nofile=1024:2048`, `nproc=-1`: -1 stands for no limit. */
export function parseUlimit(text: string): Ulimit {
  const fail = (why: string): never => {
    throw new UserError(
      `ulimit option ${JSON.stringify(text)} requires name=SOFT:HARD, failed to be parsed: ${why}`,
    );
  };
  const match = /^([^=]*)=(?:(-1|unlimited|\d{1,20})(?::(-1|unlimited|\d{1,20}))?)$/.exec(text);
  const name = text.split("=", 1)[0]!.toLowerCase();
  if (text.includes("=") && !Object.hasOwn(ROWS, name)) fail(`invalid ulimit type: ${name}`);
  if (!match) {
    const word = text
      .slice(text.indexOf("=") + 1)
      .split(":")
      .find(one => !/^(-?\d+|unlimited)$/.test(one));
    return text.includes("=") && word !== undefined
      ? fail(`strconv.ParseInt: parsing ${JSON.stringify(word)}: invalid syntax`)
      : fail(`invalid ulimit argument: ${text}`);
  }
  const value = (word: string) => {
    const number = UNLIMITED.has(word) ? -1 : Number(word);
    return Number.isSafeInteger(number) ? number : fail(`invalid ulimit value: ${word}`);
  };
  const soft = value(match[2]!);
  const hard = match[3] === undefined ? soft : value(match[3]);
  if (hard !== -1 && (soft === -1 || soft > hard))
    fail(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { name, soft, hard };
}

/** All of `--ulimit`; `host` means those that we have ourselves, so none are set. */
export function parseUlimits(texts: readonly string[]): Ulimit[] {
  return texts.includes("host") ? [] : texts.map(parseUlimit);
}

/** The largest hard limit that this process may give; Infinity for any. */
export function ownHardLimit(
  name: string,
  read: (path: string) => string = path => readFileSync(path, "utf8"),
): number {
  const capabilities = /^CapEff:\s*([0-9a-f]+)/m.exec(read("/proc/self/status"))?.[1] ?? "0";
  // setrlimit(2) asks for the capability in the initial user namespace, which maps every id to itself.
  const initial = /^\s*0\s+0\s+4294967295\s*$/.test(read("/proc/self/uid_map"));
  if (initial && (BigInt(`0x${capabilities}`) >> CAP_SYS_RESOURCE) & 1n)
    return name === "nofile" ? Number(read("/proc/sys/fs/nr_open")) : Number.POSITIVE_INFINITY;
  const row = read("/proc/self/limits")
    .split("\n")
    .find(line => line.startsWith(ROWS[name]!));
  const hard = row?.slice(26).trim().split(/\s+/)[1] ?? "unlimited";
  return hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
}

const amount = (limit: number) => (limit === -1 ? Number.POSITIVE_INFINITY : limit);

/**
 * The limits that a container gets: those asked for, as they are; those of containers.conf and the built-in ones as far
 * as this process may give them. Throws when one that was asked for can't be given.
 */
export function decideUlimits(
  asked: readonly Ulimit[] | undefined,
  conf: readonly string[] | undefined,
  most: (name: string) => number = ownHardLimit,
): Ulimit[] {
  for (const { name, hard } of asked ?? [])
    if (amount(hard) > most(name))
      throw new UserError(
        `ulimit ${name}: a hard limit of ${hard === -1 ? "unlimited" : hard} is above ${most(name)}, the most that this process may give: operation not permitted`,
        { exitCode: 126 },
      );
  // An empty list is an answer too: nothing is to be set.
  if (asked?.length === 0 || (!asked && conf?.length === 0)) return [];
  const clamp = ({ name, soft, hard }: Ulimit): Ulimit => {
    const limit = most(name);
    const lower = (value: number) => (amount(value) > limit ? limit : value);
    return { name, soft: lower(soft), hard: lower(hard) };
  };
  const given = asked ?? (conf ?? []).map(parseUlimit).map(clamp);
  const rest = DEFAULTS.filter(one => !given.some(other => other.name === one.name)).map(clamp);
  return [...given, ...rest];
}

/** As the runtime specification has them. "No limit" is 2^64-1, which no JavaScript number is. */
export function specUlimits(limits: ResourceLimits): object[] {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): object };
  const value = (limit: number) => (limit === -1 ? rawJSON("18446744073709551615") : limit);
  return (limits.ulimits ?? []).map(({ name, soft, hard }) => ({
    type: `RLIMIT_${name.toUpperCase()}`,
    hard: value(hard),
    soft: value(soft),
  }));
}
