/** Waiting for containers to end. */
import type { Engine } from "./engine.ts";

export type Condition = "running" | "stopped" | "exited" | "created";

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
    if (conditions.includes("running") && phase === "running") return -1;
    if (conditions.includes("created") && phase === "created") return -1;
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
