/** What a container is asked to be, straight from a command line or an API. */
import type { ResourceLimits } from "./config.ts";

/** Exactly what was asked for; undefined where nothing was said, so that the image and containers.conf can speak. */
export interface CreateOptions extends ResourceLimits {
  image: string;
  command: string[];
  /** The pod that it is to be in, by name or id. */
  pod?: string;
  name?: string;
  replace?: boolean;
  pull?: "always" | "missing" | "never" | "newer";
  platform?: string;
  quietPull?: boolean;
  authFile?: string;
  tlsVerify?: boolean;

  tty?: boolean;
  interactive?: boolean;
  env?: string[];
  envFiles?: string[];
  /** `--env-host`. */
  envHost?: boolean;
  /** `--unsetenv`: names that the image and the defaults set to no avail. */
  unsetEnv?: readonly string[] | "all";
  /** `--http-proxy`: the proxies of our own environment. */
  httpProxy?: boolean;
  entrypoint?: string;
  workdir?: string;
  user?: string;
  groupAdd?: string[];
  hostname?: string;
  labels?: string[];
  labelFiles?: string[];
  annotations?: string[];
  remove?: boolean;
  restart?: string;
  stopSignal?: string;
  stopTimeout?: number;
  /** Seconds that it may run; 0: for ever. */
  timeout?: number;
  /** `--systemd`: true, false or always. */
  systemd?: string;
  init?: boolean;
  cidFile?: string;
  timezone?: string;
  umask?: string;

  network?: string[];
  publish?: string[];
  publishAll?: boolean;
  expose?: string[];
  ip?: string;
  ip6?: string;
  macAddress?: string;
  networkAlias?: string[];
  addHost?: string[];
  noHosts?: boolean;
  dns?: string[];
  dnsSearch?: string[];
  dnsOption?: string[];

  volumes?: string[];
  mounts?: string[];
  tmpfs?: string[];
  volumesFrom?: string[];
  imageVolume?: "anonymous" | "bind" | "tmpfs" | "ignore";
  readOnly?: boolean;
  readOnlyTmpfs?: boolean;
  devices?: string[];

  capAdd?: string[];
  capDrop?: string[];
  privileged?: boolean;
  securityOpt?: string[];
  sysctl?: string[];
  pidMode?: string;
  ipcMode?: string;
  utsMode?: string;
  cgroupns?: string;
  cgroupParent?: string;
  userns?: string;
  /** `--uidmap`, `--gidmap`: `container:from:amount`. */
  uidMap?: string[];
  gidMap?: string[];
  /** `--subuidname`, `--subgidname`. */
  subuidName?: string;
  subgidName?: string;

  logDriver?: string;
  logOpt?: string[];

  healthCmd?: string;
  healthInterval?: string;
  healthTimeout?: string;
  healthStartPeriod?: string;
  healthRetries?: number;
  noHealthcheck?: boolean;
}
