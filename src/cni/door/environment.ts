/** A call's environment variables (SPEC.md, section 2), checked as Go's skel does and refused in its words. */
import { checkContainerId, checkInterfaceName } from "../attachment.ts";
import { CNI_ERROR, CniError } from "../types.ts";

export type Environment = Record<string, string | undefined>;

export const VERBS = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"] as const;
export type Verb = (typeof VERBS)[number];

export interface Call {
  /** CNI_COMMAND; one that nobody knows is refused only after the configuration (skel's order). */
  verb: string;
  containerId: string;
  netns: string;
  ifName: string;
  /** CNI_ARGS. */
  args: string;
  path: readonly string[];
  /** CNI_NETNS_OVERRIDE: the namespace may be the one that we are in. */
  mayBeOurNetns: boolean;
}

const ATTACHING = ["ADD", "CHECK", "DEL"];
const NEEDED: [variable: string, verbs: readonly string[], check?: (value: string) => void][] = [
  ["CNI_CONTAINERID", ATTACHING, checkContainerId],
  ["CNI_NETNS", ["ADD", "CHECK"]],
  ["CNI_IFNAME", ATTACHING, checkInterfaceName],
  ["CNI_PATH", [...ATTACHING, "GC", "STATUS"]],
];

/** Throws CniError 4 for what is missing or can't be a name. CNI_COMMAND is there (`about.ts` answers where it is not). */
export function readCall(env: Environment): Call {
  const verb = env.CNI_COMMAND ?? "";
  const missing: string[] = [];
  for (const [variable, verbs, check] of NEEDED) {
    if (!verbs.includes(verb)) continue;
    const value = env[variable];
    if (value) check?.(value);
    else missing.push(variable);
  }
  if (missing.length > 0)
    throw new CniError(
      CNI_ERROR.INVALID_ENVIRONMENT,
      `required env variables [${missing.join(",")}] missing`,
    );
  return {
    verb,
    containerId: env.CNI_CONTAINERID ?? "",
    netns: env.CNI_NETNS ?? "",
    ifName: env.CNI_IFNAME ?? "",
    args: env.CNI_ARGS ?? "",
    path: (env.CNI_PATH ?? "").split(":"),
    mayBeOurNetns: /^(1|true)$/i.test(env.CNI_NETNS_OVERRIDE ?? ""),
  };
}

/** Keys of CNI_ARGS that a plugin of Go's knows; one that is not here reads none and lets everything pass. */
const KNOWN_ARGS: Record<string, readonly string[]> = {
  bridge: ["MAC"],
  "host-local": ["IP"],
  macvlan: ["MAC"],
  static: ["IP", "GATEWAY"],
  tap: ["MAC"],
  tuning: ["MAC"],
};

const refuseArgs = (why: string) => new CniError(CNI_ERROR.INTERNAL, `ARGS: ${why}`);

/**
 * CNI_ARGS, `K=V;K=V`, for the plugins that read it. Throws for a pair that is none, and for a key that one of them does
 * not know unless `IgnoreUnknown` is set; at DEL (`isLenient`) nothing is refused.
 */
export function readArgs(
  text: string,
  plugins: readonly string[],
  isLenient: boolean,
): Record<string, string> {
  if (text === "") return {};
  const readers = plugins.flatMap(name => (KNOWN_ARGS[name] ? [KNOWN_ARGS[name]] : []));
  const pairs: [string, string][] = [];
  for (const pair of text.split(";")) {
    const parts = pair.split("=");
    if (parts.length === 2) pairs.push([parts[0]!, parts[1]!]);
    else if (!isLenient && readers.length > 0) throw refuseArgs(`invalid pair ${JSON.stringify(pair)}`);
  }
  const args = Object.fromEntries(pairs);
  const word = args.IgnoreUnknown ?? "0";
  const ignores = /^(1|true)$/i.test(word);
  if (!ignores && !isLenient && readers.length > 0 && !/^(0|false)$/i.test(word))
    throw refuseArgs(
      `error parsing value of pair ${JSON.stringify(`IgnoreUnknown=${word}`)}: boolean unmarshal error: invalid input ${word}`,
    );
  for (const known of ignores || isLenient ? [] : readers) {
    const unknown = pairs.filter(([key]) => key !== "IgnoreUnknown" && !known.includes(key));
    if (unknown.length > 0)
      throw refuseArgs(`unknown args [${unknown.map(pair => JSON.stringify(pair.join("="))).join(" ")}]`);
  }
  return args;
}
