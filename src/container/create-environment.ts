/** What a new container's environment, labels and annotations are made of. */
import { readFileSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import type { ContainersConf } from "./conf.ts";
import type { CreateOptions } from "./create-options.ts";

/** Where containers.conf says nothing else. */
const DEFAULTS = ["TERM=xterm", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
/** A container reaches the world as we do, unless told otherwise. */
const PROXIES = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy"].flatMap(name => [
  name,
  name.toUpperCase(),
]);

/** What was asked for. Later ones win: proxies, the host's, files, then what stands on the command line. */
export function environment(options: CreateOptions, conf: ContainersConf["containers"]): Map<string, string> {
  const env = new Map<string, string>();
  const add = (text: string) => {
    const equals = text.indexOf("=");
    if (equals === 0 || text === "")
      throw new UserError(`invalid environment variable: ${JSON.stringify(text)}`);
    if (equals > 0) env.set(text.slice(0, equals), text.slice(equals + 1));
    else if (text.endsWith("*"))
      for (const [key, value] of Object.entries(process.env)) {
        if (key.startsWith(text.slice(0, -1))) env.set(key, value ?? "");
      }
    // A bare name takes the value from here, if there is one.
    else if (process.env[text] !== undefined) env.set(text, process.env[text]!);
  };
  if (options.httpProxy ?? conf.http_proxy ?? true)
    for (const name of PROXIES) if (process.env[name]) env.set(name, process.env[name]!);
  if (options.envHost ?? conf.env_host)
    for (const [key, value] of Object.entries(process.env)) env.set(key, value ?? "");
  for (const path of options.envFiles ?? [])
    for (const line of lines(path, `parsing env file ${JSON.stringify(path)}: `)) add(line);
  for (const text of options.env ?? []) add(text);
  return env;
}

function lines(path: string, what: string): string[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .map(line => line.trimStart())
      .filter(line => line !== "" && !line.startsWith("#"));
  } catch {
    throw new UserError(`${what}open ${path}: no such file or directory`);
  }
}

export function labels(options: CreateOptions): Record<string, string> {
  const result: Record<string, string> = {};
  const add = (text: string) => {
    const equals = text.indexOf("=");
    if (equals === 0)
      throw new UserError(`unable to process labels: invalid label format: ${JSON.stringify(text)}`);
    result[equals < 0 ? text : text.slice(0, equals)] = equals < 0 ? "" : text.slice(equals + 1);
  };
  // As in a file of variables, a bare name stands for the variable of that name here.
  for (const line of (options.labelFiles ?? []).flatMap(path => lines(path, "unable to process labels: ")))
    if (line.includes("=")) add(line);
    else if (process.env[line] !== undefined) add(`${line}=${process.env[line]}`);
  for (const text of options.labels ?? []) add(text);
  return result;
}

/** `K=V` texts as a record. */
export function pairs(texts: readonly string[], complaint: (text: string) => string): Record<string, string> {
  return Object.fromEntries(
    texts.map(text => {
      const equals = text.indexOf("=");
      if (equals < 1) throw new UserError(complaint(text));
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

/** The environment as the container gets it: defaults, the image's, what was asked for. */
export function mergeEnvironment(
  base: readonly string[],
  own: ReadonlyMap<string, string>,
  defaults: readonly string[] = DEFAULTS,
  unset: CreateOptions["unsetEnv"] = [],
): string[] {
  const merged = new Map<string, string>();
  const add = (text: string) => merged.set(text.split("=", 1)[0]!, text.slice(text.indexOf("=") + 1));
  for (const text of defaults) add(text);
  add("container=podman");
  for (const text of base) add(text);
  if (unset === "all") merged.clear();
  else for (const name of unset) merged.delete(name);
  for (const [key, value] of own) merged.set(key, value);
  return [...merged].map(([key, value]) => `${key}=${value}`);
}
