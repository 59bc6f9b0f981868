/** What died with an earlier boot: no namespace outlives one, files do. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";
import type { CniRuntime } from "../cni/runtime.ts";
import type { NetConfList } from "../cni/types.ts";

/**
 * Before the first container of a boot joins a network, frees addresses that died with the boot before. `directory` dies with
 * this one, and has a file for each network that was looked through. What fails is warned of: the container may still do.
 */
export async function reconcileOnce(
  runtime: CniRuntime,
  list: NetConfList,
  directory: string,
): Promise<void> {
  const stamp = join(directory, list.name);
  if (existsSync(stamp)) return;
  try {
    const uptime = Number.parseFloat(readFileSync("/proc/uptime", "utf8"));
    await runtime.reconcile(list, Date.now() - uptime * 1000);
    mkdirSync(directory, { recursive: true });
    writeFileSync(stamp, "");
  } catch (error) {
    log.warn(errorText(error));
  }
}
