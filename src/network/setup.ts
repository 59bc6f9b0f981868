/**
 * What is done to networks on a container's behalf. Root does it directly (`LocalSetup`); a user's command has a helper
 * process do what must happen inside network namespaces (`HelperSetup`). The engine knows only this interface.
 */
import type { PortSettings, TapSettings } from "../netd/control.ts";
import type { UserModePlan } from "./user-mode.ts";

/** The data plane that taps are given to; descriptors that come with an order belong to it from then on. */
export interface TapServer {
  addTap(key: string, settings: TapSettings, tapFd: number): Promise<void>;
  addPorts(
    key: string,
    tapKey: string,
    settings: PortSettings,
    listenerFds: readonly number[],
  ): Promise<void>;
  /** Takes an order back, and those that hang on it; quiet where there is none. */
  remove(key: string): Promise<void>;
  /** The keys of what is served. */
  list(): Promise<string[]>;
}

export interface NetworkSetup {
  /** Makes a namespace, pins it at `path` and brings its `lo` up. */
  createNetns(path: string): Promise<void>;
  /** Unpins it; quiet where it is gone. */
  removeNetns(path: string): Promise<void>;
  /**
   * Gives the namespace at `path` the plan's tap, configured, and the data plane the tap under `key`. What is there already is
   * taken over, so it also mends a network whose data plane was lost.
   */
  joinUserMode(path: string, plan: UserModePlan, key: string): Promise<void>;
  /** Gives up what this object holds; the networks stay. */
  close(): void;
}
