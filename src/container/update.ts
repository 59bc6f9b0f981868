/** `update`: other limits for a container, at once where it runs. */
import { unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { checkLimits } from "./cgroups.ts";
import { recordContainerEvent } from "./cleanup.ts";
import type { ResourceLimits } from "./config.ts";
import type { CreateOptions } from "./create-options.ts";
import type { Engine } from "./engine.ts";
import { isRunning } from "./leftovers.ts";
import { needProcess } from "./pins.ts";
import { callRuntime } from "./runtime.ts";
import { limitResources } from "./spec.ts";

export type LimitChanges = Pick<
  ResourceLimits,
  | "memory"
  | "memorySwap"
  | "memoryReservation"
  | "cpus"
  | "cpuShares"
  | "cpusetCpus"
  | "cpusetMems"
  | "pidsLimit"
>;

/** Limits that `changes` does not name stay. Written once the runtime has taken them, for later starts too. */
export async function updateContainer(engine: Engine, id: string, changes: LimitChanges): Promise<void> {
  checkLimits(engine, { image: "", command: [], ...changes } satisfies CreateOptions);
  await engine.containers.locked(id, async container => {
    needProcess(container);
    const asked = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
    const limits: ResourceLimits = { ...container.config.limits, ...asked };
    if (changes.memory !== undefined && changes.memorySwap === undefined)
      limits.memorySwap = 2 * changes.memory;
    if (
      limits.memory &&
      limits.memorySwap !== undefined &&
      limits.memorySwap > 0 &&
      limits.memorySwap < limits.memory
    )
      throw new UserError("minimum memoryswap limit should be larger than memory limit, see usage");
    if (isRunning(container)) {
      const path = join(engine.paths.containerRun(id), `resources-${crypto.randomUUID()}.json`);
      writeFileSync(path, JSON.stringify(limitResources(limits)), { mode: 0o600 });
      try {
        await callRuntime(engine, container, "update", "--resources", path);
      } finally {
        unlinkSync(path);
      }
    }
    container.config.limits = limits;
    engine.containers.saveConfig(container);
    recordContainerEvent(engine, container, "update");
  });
}
