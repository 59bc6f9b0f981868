/** Waiting for containers to end. */
import { statusOf } from "./config.ts";
import type { Engine } from "./engine.ts";

/** States that can be waited for; nothing is ever `unknown`. */
export const CONDITIONS = [
  "created",
  "initialized",
  "running",
  "paused",
  "stopped",
  "exited",
  "removing",
  "unknown",
] as const;
export type Condition = (typeof CONDITIONS)[number];

/**
 * Waits until the container meets the condition; gives its exit code (-1 for none). One that is removed meanwhile counts
 * as ended: its code comes from the events. `interval` is the pause between two looks, in milliseconds.
 */
export async function waitContainer(
  engine: Engine,
  id: string,
  { conditions = ["stopped"] as readonly Condition[], interval = 20 } = {},
): Promise<number> {
  const ended = conditions.includes("stopped") || conditions.includes("exited");
  for (;;) {
    const container = engine.containers.byId(id);
    if (!container) return lastExitCode(engine, id);
    const { phase, state } = container;
    if (ended && (phase === "exited" || phase === "created")) return phase === "exited" ? state.exitCode : 0;
    if (conditions.some(one => one === statusOf(container))) return -1;
    await Bun.sleep(interval);
  }
}

/** The exit code that the events tell of a container that is gone; -1 where they don't. */
export function lastExitCode(engine: Engine, id: string): number {
  const row = engine.db
    .query(
      "SELECT record ->> 'exitCode' AS code FROM event WHERE record ->> 'id' = ? AND record ->> 'status' = 'died' ORDER BY seq DESC LIMIT 1",
    )
    .get(id) as { code: number | null } | null;
  return row?.code ?? -1;
}
