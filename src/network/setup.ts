/**
 * What is done to networks on a container's behalf. Root does it directly (`LocalSetup`); a user's command has a helper
 * process do what must happen inside network namespaces (`HelperSetup`). The engine knows only this interface.
 */
import type { TapSettings } from "../netd/control.ts";
import type { UserModePlan } from "./user-mode.ts";

/** The data plane that taps are given to (`NetdClient`); the descriptor stays the caller's to close. */
export interface TapServer {
  addTap(key: string, settings: TapSettings, tap: number): Promise<void>;
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
