/**
 * What travels between a CNI runtime and its plugins (CNI specification 1.1.0), in the form of the newest version.
 * Older and newer forms on the wire are the business of `result.ts`.
 */

/** Versions that we speak, oldest first. */
export const CNI_VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export const NEWEST_CNI_VERSION = "1.1.0";

/** One plugin's object in a conflist, unknown keys and all. */
export interface PluginConf {
  type: string;
  /** Capability arguments that this plugin wants (`{"portMappings": true}`). */
  capabilities?: Record<string, boolean>;
  ipam?: { type?: string; [key: string]: unknown };
  dns?: Dns;
  [key: string]: unknown;
}

/** What one plugin gets: its object with what the runtime injects (section 3 of the specification). */
export interface NetConf extends PluginConf {
  name: string;
  cniVersion: string;
  prevResult?: Result;
  runtimeConfig?: RuntimeConfig;
}

/** Capability arguments (CONVENTIONS.md), those that our plugins know. */
export interface RuntimeConfig {
  portMappings?: PortMapping[];
  /** Addresses asked for, `"10.88.0.7"` or `"10.88.0.7/16"`. */
  ips?: string[];
  mac?: string;
  ipRanges?: unknown[][];
  aliases?: Record<string, string[]> | string[];
  [key: string]: unknown;
}

export interface PortMapping {
  hostPort: number;
  containerPort: number;
  /** `tcp`, `udp` or `sctp`; `tcp` where it is missing. */
  protocol?: string;
  /** Absent or `""`: every host address of both families; `0.0.0.0` and `::`: every one of that family. */
  hostIP?: string;
  /** How many ports follow each other, this one included. Ours: libcni clients send one mapping a port. */
  range?: number;
}

export interface NetConfList {
  cniVersion: string;
  name: string;
  disableCheck: boolean;
  disableGC: boolean;
  plugins: PluginConf[];
  /** The text of the file, as the result cache keeps it. */
  source: string;
  /** Where it was read; absent for a list made in memory. */
  path?: string;
}

/** The object that an ADD answers with, in the form of version 1.1.0. */
export interface Result {
  cniVersion?: string;
  interfaces?: ResultInterface[];
  ips?: ResultIp[];
  routes?: ResultRoute[];
  dns?: Dns;
}

export interface ResultInterface {
  name: string;
  mac?: string;
  mtu?: number;
  /** Path of the namespace that holds it; absent for one of the host's. */
  sandbox?: string;
  socketPath?: string;
  pciID?: string;
}

export interface ResultIp {
  /** `10.88.0.5/16` */
  address: string;
  gateway?: string;
  /** Index into `interfaces`. */
  interface?: number;
}

export interface ResultRoute {
  dst: string;
  gw?: string;
  mtu?: number;
  advmss?: number;
  priority?: number;
  table?: number;
  scope?: number;
}

export interface Dns {
  nameservers?: string[];
  domain?: string;
  search?: string[];
  options?: string[];
}

/** One container's place on one network. */
export interface Attachment {
  containerId: string;
  /** Path of the network namespace; `""` on a DEL after it is gone. */
  netns: string;
  ifName: string;
  /** `CNI_ARGS`, in order. */
  cniArgs?: [string, string][];
  capabilityArgs?: RuntimeConfig;
}

/** Codes of section 5 of the specification. */
export const CNI_CODE = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  io: 5,
  decode: 6,
  invalidConfig: 7,
  tryAgain: 11,
  notAvailable: 50,
  internal: 999,
} as const;

/** A plugin's refusal. `message` is what a person reads: the plugin's words and its details. */
export class CniError extends Error {
  override readonly name = "CniError";
  constructor(
    readonly code: number,
    readonly msg: string,
    readonly details = "",
    options: { cause?: unknown } = {},
  ) {
    super(details ? `${msg}; ${details}` : msg, options);
  }
}
