/** The CNI specification's shapes (containernetworking/cni SPEC.md 1.1.0), in the form of version 1.x. */

/** An error with a code of the specification, §5. */
export class CniError extends Error {
  override readonly name = "CniError";
  constructor(
    readonly code: number,
    /** The key `msg` of the error's JSON: the message without the details. */
    readonly msg: string,
    readonly details = "",
    options?: ErrorOptions,
  ) {
    super(details ? `${msg}: ${details}` : msg, options);
  }
}

export const CNI_ERROR = {
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  UNKNOWN_CONTAINER: 3,
  INVALID_ENVIRONMENT: 4,
  IO: 5,
  DECODE: 6,
  INVALID_CONFIG: 7,
  INVALID_NETNS: 8,
  TRY_AGAIN: 11,
  NOT_AVAILABLE: 50,
  INTERNAL: 999,
} as const;

export const SUPPORTED_VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

export interface ResultInterface {
  name: string;
  mac?: string;
  mtu?: number;
  /** Path of the namespace; absent for an interface of the host. */
  sandbox?: string;
  socketPath?: string;
  pciID?: string;
}

export interface ResultIp {
  /** Index into `interfaces`. */
  interface?: number;
  /** `10.88.0.5/16`. */
  address: string;
  gateway?: string;
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

export interface Result {
  cniVersion: string;
  interfaces: ResultInterface[];
  ips: ResultIp[];
  routes: ResultRoute[];
  dns: Dns;
}

/** One plugin's object in a conflist; keys that the runtime does not know belong to the plugin. */
export interface PluginConf {
  type: string;
  capabilities?: Record<string, boolean>;
  ipam?: { type?: string } & Record<string, unknown>;
  [key: string]: unknown;
}

export interface NetConfList {
  name: string;
  cniVersion: string;
  disableCheck?: boolean;
  disableGC?: boolean;
  plugins: PluginConf[];
  /** The file as it was read, for the result cache. */
  source: string;
}

/** What a published port is to `portmap` (CONVENTIONS.md). */
export interface PortMap {
  hostPort: number;
  containerPort: number;
  protocol: string;
  hostIP?: string;
  /** Ports in a row; our own addition, absent means 1. */
  range?: number;
}
