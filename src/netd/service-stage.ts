/**
 * How the network service begins: as what a command has started; in a checkout, as that; confined, which it can only become by replacing itself; or
 * as the successor of one that was killed, started by the data plane that has survived it. What one process tells the next
 * is in a variable of the environment.
 */
import { SERVICE_ENGINE } from "./engine-settings.ts";
import type { SpawnedPlane } from "./spawn-plane.ts";

const VARIABLE = "PORTOLAN_NETD";

/** Where each finds its descriptors. */
export const LISTENING = 3;
export const WATCH = 4;
export const CONTROL = 5;

/** `watch`, `directory`: descriptors. */
export type ServiceStage =
  /** Started by a command, with the listening socket. */
  | { name: "started" }
  | { name: "checkout"; watch: number; directory: number }
  | { name: "confined"; watch: number; directory: number; plane: SpawnedPlane }
  /** `plane`: the pid of the data plane, which is confined already if `confined`, and its successor with it. */
  | { name: "successor"; plane: number; confined: boolean };

export function serviceEnvironment(stage: ServiceStage): Record<string, string> {
  return { ...SERVICE_ENGINE, [VARIABLE]: JSON.stringify(stage) };
}

export function currentServiceStage(): ServiceStage {
  const text = process.env[VARIABLE];
  delete process.env[VARIABLE];
  return text === undefined ? { name: "started" } : (JSON.parse(text) as ServiceStage);
}
