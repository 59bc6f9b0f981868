/** A call's standard input: one plugin's configuration, in any version of the specification. */
import { errorText } from "../../base/errors.ts";
import { parseCidr } from "../../wire/addr.ts";
import { checkNetworkName } from "../attachment.ts";
import { parseResult } from "../result.ts";
import { CNI_ERROR, CniError, type PluginConf, type Result } from "../types.ts";
import { versionsOf } from "./about.ts";

export interface Configuration {
  conf: PluginConf;
  network: string;
  cniVersion: string;
  runtimeConfig: Record<string, unknown>;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const undecodable = (why: string) => new CniError(CNI_ERROR.DECODE, why);

/** Reads the bytes and checks what every plugin's configuration has. Throws CniError 6 or 7. */
export function readConfiguration(name: string, stdin: Uint8Array): Configuration {
  let data: unknown;
  try {
    data = JSON.parse(new TextDecoder().decode(stdin));
  } catch (error) {
    throw undecodable(`error unmarshall network config: ${errorText(error)}`);
  }
  // Go reads `null` as an object that has nothing.
  data ??= {};
  if (!isObject(data)) throw undecodable("error unmarshall network config: it is no JSON object");
  if (typeof (data.name ?? "") !== "string")
    throw undecodable("error unmarshall network config: name is no text");
  checkNetworkName(data.name);
  if (typeof (data.cniVersion ?? "") !== "string")
    throw undecodable("decoding version from network config: cniVersion is no text");
  for (const key of ["ipam", "args", "runtimeConfig", "prevResult", "dns"])
    if (!isObject(data[key] ?? {})) throw undecodable(`failed to load netconf: ${key} is no object`);
  if (typeof ((data.ipam as PluginConf["ipam"])?.type ?? "") !== "string")
    throw undecodable("failed to load netconf: ipam.type is no text");
  return {
    conf: { ...data, type: name },
    network: data.name,
    cniVersion: (data.cniVersion as string | undefined) || "0.1.0",
    runtimeConfig: (data.runtimeConfig as Record<string, unknown> | undefined) ?? {},
  };
}

/** The version in which each verb came that was not there from the first. */
const SINCE: Record<string, string> = { CHECK: "0.4.0", GC: "1.1.0", STATUS: "1.1.0" };

/** `0.4.0` as a number that can be compared. */
function rank(version: string): number {
  const parts = version.split(".");
  if (parts.length > 3 || parts.some(part => !/^\d{1,5}$/.test(part)))
    throw undecodable(`cniVersion ${JSON.stringify(version)} is no version`);
  return parts.reduce((sum, part, index) => sum + Number(part) * 1e5 ** (2 - index), 0);
}

/** Refuses a version that the plugin does not speak, or that has not the verb. Throws CniError 1. */
export function checkVersion(name: string, verb: string, version: string): void {
  const refuse = (why: string, details?: string) =>
    new CniError(CNI_ERROR.INCOMPATIBLE_VERSION, why, details);
  const speaks = versionsOf(name);
  const since = SINCE[verb];
  if (since && rank(version) < rank(since)) throw refuse(`config version does not allow ${verb}`);
  if (since && rank(version) > rank(speaks.at(-1)!)) throw refuse(`plugin version does not allow ${verb}`);
  if (!speaks.includes(version))
    throw refuse(
      "incompatible CNI versions",
      `config is ${JSON.stringify(version)}, plugin supports [${speaks.map(one => JSON.stringify(one)).join(" ")}]`,
    );
}

/** The result that the runtime passed on, in the form of version 1.x. Throws a CniError where it is none. */
export function readPrevResult({ conf, cniVersion }: Configuration): Result | undefined {
  const given = conf.prevResult;
  if (!isObject(given)) return undefined;
  const version = given.cniVersion ?? cniVersion;
  if (typeof version !== "string" || !versionsOf("").includes(version || cniVersion))
    throw new CniError(
      CNI_ERROR.INTERNAL,
      `could not parse prevResult: no result has version ${JSON.stringify(version)}`,
    );
  let result: Result;
  try {
    result = parseResult(given, cniVersion);
  } catch (error) {
    throw new CniError(CNI_ERROR.INTERNAL, `could not parse prevResult: ${errorText(error)}`);
  }
  for (const { address } of result.ips)
    if (!parseCidr(address))
      throw new CniError(CNI_ERROR.INTERNAL, `could not parse prevResult: invalid CIDR address: ${address}`);
  return result;
}

/** Living attachments, as GC is told of them: the key of version 1.1.0, and that of its drafts. None given means none live. */
export function readAttachments(conf: PluginConf): { containerId: string; ifName: string }[] {
  const given = conf["cni.dev/valid-attachments"] ?? conf["cni.dev/attachments"] ?? [];
  const wrong = new CniError(
    CNI_ERROR.INVALID_CONFIG,
    "cni.dev/valid-attachments must be a list of objects with containerID and ifname",
  );
  if (!Array.isArray(given)) throw wrong;
  return given.map((one: unknown) => {
    if (!isObject(one) || typeof one.containerID !== "string" || typeof one.ifname !== "string") throw wrong;
    return { containerId: one.containerID, ifName: one.ifname };
  });
}
