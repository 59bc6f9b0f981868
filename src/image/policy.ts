/**
 * Which images may come in: containers-policy.json(5), as far as it needs no signatures.
 *
 * The file is `~/.config/containers/policy.json`, else `/etc/containers/policy.json`; where there is none, any image may. What
 * it says for the most specific scope counts. Images that would have to be signed are refused, as signatures are not
 * verified.
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { errorText, hasCode, oneLine, UserError } from "../base/errors.ts";
import { isObject } from "./parse-config.ts";
import { repositoryName } from "./reference.ts";
import { formatPlace, type Place } from "./transports.ts";

const SYSTEM_FILE = "/etc/containers/policy.json";
const KNOWN = ["insecureAcceptAnything", "reject", "signedBy", "signedBaseLayer", "sigstoreSigned"];

/** Types of requirements, all of which must hold. */
type Requirements = string[];

export interface Policy {
  default: Requirements;
  /** By transport, then by scope. */
  transports: Record<string, Record<string, Requirements>>;
}

/** Throws UserError where the policy lets no image come from `place`. */
export function checkPolicy(place: Place, env: Record<string, string | undefined> = process.env): void {
  const own = env.HOME && join(env.HOME, ".config/containers/policy.json");
  for (const file of own ? [own, SYSTEM_FILE] : [SYSTEM_FILE]) {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      if (hasCode(error, "ENOENT", "ENOTDIR")) continue;
      throw new UserError(`reading the policy ${file}: ${errorText(error)}`);
    }
    const refusal = refusalOf(parsePolicy(text, file), place);
    if (refusal) throw new UserError(`Source image rejected: ${refusal} (${file})`);
    return;
  }
}

/** Why a policy refuses a place; undefined where it does not. */
export function refusalOf(policy: Policy, place: Place): string | undefined {
  const scopes = Object.hasOwn(policy.transports, place.transport) ? policy.transports[place.transport]! : {};
  const scope = [...scopesOf(place), ""].find(one => Object.hasOwn(scopes, one));
  const requirements = scope === undefined ? policy.default : scopes[scope]!;
  const image = `Running image ${formatPlace(place)} is rejected by policy.`;
  if (requirements.includes("reject")) return image;
  const signed = requirements.find(one => one !== "insecureAcceptAnything");
  return signed && `${image.slice(0, -1)}: it wants ${signed}, and signatures are not verified`;
}

/** From the most specific on. */
function scopesOf(place: Place): string[] {
  if (place.transport === "docker-archive") return [];
  if (place.transport !== "docker") {
    const path = resolve(place.path);
    const scopes = place.name ? [`${path}:${place.name}`] : [];
    for (let at = path; at !== "/"; at = dirname(at)) scopes.push(at);
    return scopes;
  }
  const { reference } = place;
  const parts = repositoryName(reference).split("/");
  const scopes = parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
  const labels = reference.registry.split(".");
  const wildcards = labels.slice(1).map((_, index) => `*.${labels.slice(index + 1).join(".")}`);
  const end = reference.digest ? `@${reference.digest}` : `:${reference.tag}`;
  return [`${scopes[0]}${end}`, ...scopes, ...wildcards];
}

/** Reads a policy as strictly as it is to be read: what is not understood might have forbidden something. Throws UserError. */
export function parsePolicy(text: string, file: string): Policy {
  const wrong = (what: string) => new UserError(`invalid policy in ${JSON.stringify(file)}: ${what}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw wrong(oneLine(errorText(error)));
  }
  if (!isObject(parsed)) throw wrong("it is no object");
  const requirements = (value: unknown, of: string): Requirements => {
    if (!Array.isArray(value) || value.length === 0) throw wrong(`${of} has no list of requirements`);
    return value.map((one: unknown) => {
      const type = isObject(one) ? one.type : undefined;
      if (typeof type === "string" && KNOWN.includes(type)) return type;
      throw wrong(
        `${of} has an unknown requirement ${oneLine(JSON.stringify(type) ?? "without a type", 100)}`,
      );
    });
  };
  for (const key of Object.keys(parsed))
    if (key !== "default" && key !== "transports")
      throw wrong(`unknown key ${oneLine(JSON.stringify(key), 100)}`);
  const { transports = {} } = parsed;
  if (!isObject(transports)) throw wrong("transports is no table");
  const policy: Policy = {
    default: requirements(parsed.default, "default"),
    transports: Object.create(null),
  };
  for (const [transport, scopes] of Object.entries(transports)) {
    if (!isObject(scopes)) throw wrong(`the transport ${oneLine(transport, 100)} is no table`);
    const table: Record<string, Requirements> = Object.create(null);
    for (const [scope, value] of Object.entries(scopes))
      table[scope] = requirements(value, `${oneLine(transport, 100)}:${oneLine(scope, 100)}`);
    policy.transports[transport] = table;
  }
  return policy;
}
