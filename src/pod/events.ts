/** What the engine's diary tells of pods. */
import type { Engine } from "../container/engine.ts";
import type { Pod } from "../container/pod-store.ts";
import { recordEvent } from "../state/events.ts";

/** `create start stop kill pause unpause remove`. */
export function recordPodEvent(engine: Engine, { config }: Pod, status: string): void {
  const { id, name, labels } = config;
  recordEvent(engine.db, { type: "pod", status, id, name, attributes: labels });
}
