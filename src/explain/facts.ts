/** What is known when a path is explained: what the engine means to have, and what the kernel has. Plain data. */
import type { PortSettings, TapSettings } from "../netd/control.ts";
import type { NamespaceView } from "../network/namespace-view.ts";

/**
 * A network namespace: `host`, `home` (a user's, that his bridges are in), a container's by its id, or `ns:PATH`.
 * Root's bridges are in `host`.
 */
export type Place = string;

export interface PortFacts {
  /** "" for every address of the host. */
  hostIp: string;
  hostPort: number;
  containerPort: number;
  protocol: "tcp" | "udp" | "sctp";
  range: number;
}

/** What one network gave to a container. */
export interface AttachmentFacts {
  network: string;
  ifName: string;
  /** "" where there is none. */
  ipv4: string;
  ipv6: string;
  bridge: string;
}

/** Taps and their networks, as the network service has them. */
export interface UserModeFacts {
  settings: TapSettings;
  ifName: string;
  /** The container's own addresses; "" where it has none. */
  guest: { ipv4: string; ipv6: string };
  /** How it calls the host; "" where it can't reach it. */
  hostAddress: string;
}

export interface ContainerFacts {
  id: string;
  name: string;
  /** `running`, `exited`, …: as `ps` says. */
  status: string;
  /** It has a network: it runs, or waits for its start with all made. */
  up: boolean;
  mode: "bridge" | "slirp4netns" | "pasta" | "none" | "host" | "container" | "ns";
  /** The infra container of a pod, which goes by the pod's name here. */
  isPod?: boolean;
  /** `container`: whose network it uses. */
  sharedWith?: string;
  place: Place;
  /** Joined, or to be joined at the start. */
  networks: string[];
  attachments: AttachmentFacts[];
  userMode?: UserModeFacts;
  ports: PortFacts[];
}

export interface NetworkFacts {
  name: string;
  driver: string;
  bridge: string;
  internal: boolean;
  isolated: boolean;
  dns: boolean;
}

/** The orders of the network service; empty where it does not run. */
export interface ServiceFacts {
  taps: string[];
  ports: { key: string; tap: string; settings: PortSettings }[];
  names: { network: string; container: string; names: string[] }[];
}

/** A process that has a socket. */
export interface Owner {
  pid: number;
  program: string;
}

export interface Facts {
  rootless: boolean;
  containers: ContainerFacts[];
  networks: NetworkFacts[];
  service: ServiceFacts;
  /** The way out of a user's bridges. */
  home?: UserModeFacts;
  /** What has been looked at; `null`: it is not there. */
  views: ReadonlyMap<Place, NamespaceView | null>;
  /** By inode, of the sockets that have been asked about; `null`: not to be seen from here. */
  owners: ReadonlyMap<number, Owner | null>;
}

/** One of the two ends of a path. */
export type Party =
  | { kind: "host" }
  | { kind: "internet" }
  | { kind: "container"; id: string }
  /** `addresses`: what the name stands for; none where nobody knows it. */
  | { kind: "address"; text: string; addresses: string[] };

export interface Query {
  from: Party;
  to: Party;
  port?: number;
  protocol: "tcp" | "udp";
}

/** A step of the way. */
export interface Hop {
  /** Where: the container's name, `host`, `home`, `network service`, `outside`. */
  place: string;
  text: string;
}

/** Why it ends where it ends. Names are stable: programs read them. */
export type Code =
  | "listens"
  | "arrives"
  | "leaves"
  | "no-listener"
  | "narrow-listener"
  | "other-protocol"
  | "not-running"
  | "paused"
  | "no-network"
  | "no-route"
  | "no-way-back"
  | "link-down"
  | "not-attached"
  | "nobody-there"
  | "not-forwarded"
  | "isolated"
  | "firewall"
  | "not-masqueraded"
  | "not-published"
  | "not-served"
  | "host-closed"
  | "refused"
  | "unknown-name"
  | "loop"
  | "not-seen";

export interface Verdict {
  code: Code;
  /** A plain sentence without its full stop. */
  text: string;
  /** What to do about it, each a sentence. */
  advice: string[];
}

export interface Explanation {
  from: string;
  to: string;
  reached: boolean;
  /** What was tried: `10.88.0.2:5432`; "" where there was nothing to try. */
  address: string;
  hops: Hop[];
  verdict: Verdict;
  /** What else helps to know. */
  notes: string[];
}

/** Something has to be looked at before the question can be answered. */
export class Unseen {
  constructor(readonly what: { place: Place } | { inode: number }) {}
}
