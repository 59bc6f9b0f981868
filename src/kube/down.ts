/** Taking down what a file was played into. */
import type { Engine } from "../container/engine.ts";
import { containersOfVolume } from "../container/usage.ts";
import { removePod } from "../pod/remove.ts";
import { stopPod } from "../pod/run.ts";
import { recordEvent } from "../state/events.ts";
import type { KubeFile } from "./file.ts";

export interface TakenDown {
  pods: string[];
  volumes: string[];
}

/**
 * Stops and removes the file's pods; with `volumes` its claims' volumes too, unless others use them. A pod that is not
 * there is refused before anything is stopped, or passed over with `lenient`.
 */
export async function takeDown(
  engine: Engine,
  file: KubeFile,
  { volumes = false, lenient = false } = {},
): Promise<TakenDown> {
  const pods = file.pods.flatMap(({ name }) => {
    const found = engine.pods.find(name);
    // An id is no name.
    if (found?.config.name === name) return [found];
    return lenient ? [] : [engine.pods.get(`${name}`)];
  });
  for (const pod of pods) await stopPod(engine, pod);
  for (const { config } of pods) await removePod(engine, config.id, { force: true });
  const gone: string[] = [];
  if (volumes)
    for (const { name } of file.claims) {
      if (!engine.volumes.find(name) || containersOfVolume(engine, name).length > 0) continue;
      engine.volumes.remove(name);
      recordEvent(engine.db, { type: "volume", status: "remove", id: name, name });
      gone.push(name);
    }
  return { pods: pods.map(one => one.config.id), volumes: gone };
}
