/** What died with an earlier boot: no namespace outlives one, files do. */
import { readFileSync } from "node:fs";
import { errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";
import type { CniRuntime } from "../cni/runtime.ts";
import type { NetConfList } from "../cni/types.ts";

/**
 * Before the first container of a boot joins a network, frees addresses that died with the boot before. What fails is warned
 * of: the container may still get one.
 */
export async function reconcile(runtime: CniRuntime, list: NetConfList): Promise<void> {
  try {
    const uptime = Number.parseFloat(readFileSync("/proc/uptime", "utf8"));
    await runtime.reconcile(list, Date.now() - uptime * 1000);
  } catch (error) {
    log.warn(errorText(error));
  }
}
