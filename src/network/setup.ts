/**
 * What is done to networks on a container's behalf. Root does it directly (`LocalSetup`); a user's command has a helper
 * process do what must happen inside network namespaces (`HelperSetup`). The engine knows only this interface.
 */
import type { NetdClient } from "../netd/client.ts";
import type { NamespaceView } from "./namespace-view.ts";
import type { Listeners } from "./published.ts";
import type { Attachment, AttachRequest, RefreshRequest } from "./service.ts";
import type { UserModePlan } from "./user-mode.ts";

/** The data plane; undefined where it is not there and is not to be started. */
export type OpenNetd = (options: { start: boolean }) => Promise<NetdClient | undefined>;

/** Paths of files, in directories that are there. */
export interface Pins {
  ipc?: string;
  uts?: { path: string; hostname: string };
}

export interface NetworkSetup {
  /** Makes a namespace, pins it at `path` and brings its `lo` up. */
  createNetns(path: string): Promise<void>;
  /** Makes the namespaces that a pod shares besides its network, each pinned at its path. */
  createPins(pins: Pins): Promise<void>;
  /**
   * Gives the namespace at `path` the plan's tap, configured, and the data plane the tap under `key`. What is there already is
   * taken over, so it also mends a network whose data plane was lost.
   */
  joinUserMode(path: string, plan: UserModePlan, key: string): Promise<void>;
  /** Sockets by which callers reach the container at `path` directly (`transparent.ts`), given to the data plane for its tap `key`. */
  letCallersIn(path: string, plan: UserModePlan, key: string): Promise<void>;
  /** `listeners`: the host's end of published ports where the kernel does not publish them; the caller closes them. */
  attach(request: AttachRequest, listeners: readonly Listeners[]): Promise<Attachment>;
  refresh(request: RefreshRequest): Promise<void>;
  /** Quiet where nothing is left. `netns`: "" for a namespace that is gone. `keepsListeners`: not those of its ports. */
  detach(
    containerId: string,
    begun: readonly { network: string; ifName: string }[],
    netns: string,
    keepsListeners?: boolean,
  ): Promise<void>;
  /** Removes a bridge that no container is on any more; quiet where there is none of that name. */
  removeBridge(name: string): Promise<void>;
  /**
   * The sockets of a resolver (netd's `bindResolver`) at addresses of bridges, in the namespace that these are in; the caller
   * closes them.
   */
  bindResolver(addresses: readonly string[]): Promise<number[]>;
  /**
   * Serves the bridges' way out again, whose data plane was lost, and the ports of one container; `carrier` is the attachment that
   * they lead to.
   */
  serveUplink(
    containerId: string,
    carrier: Attachment | undefined,
    listeners: readonly Listeners[],
  ): Promise<void>;
  /** How containers on bridges reach the world, where that is not the host's own network. */
  bridgeUplink(): UserModePlan | undefined;
  /** What the kernel has in the namespace at `path`; undefined where there is none. */
  view(path: string): Promise<NamespaceView | undefined>;
  /** The same for the namespace that bridges are in, with the firewall; undefined where there is none yet. */
  viewBridges(): Promise<NamespaceView | undefined>;
  /** Gives up what this object holds; the networks stay. */
  close(): void;
}
