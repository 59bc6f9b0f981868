/** Address plugins on CNI_PATH: which of them are ours, and need no process of their own. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { findPlugin } from "../exec.ts";
import type { Plugin } from "../plugins/plugin.ts";
import { loadPlugin } from "../plugins/table.ts";

/** The second line of every launcher that `portolan cni install` writes. */
export const LAUNCHER_MARK = "# A launcher of Portolan's, by `portolan cni install`.";

/** True for our executable under whatever name, and for a launcher of it. */
export function isOurs(file: string): boolean {
  try {
    const [there, here] = [statSync(file), statSync("/proc/self/exe")];
    if (there.dev === here.dev && there.ino === here.ino) return true;
    const head = Buffer.alloc(LAUNCHER_MARK.length + 16);
    const fd = openSync(file, "r");
    try {
      readSync(fd, head, 0, head.length, 0);
    } finally {
      closeSync(fd);
    }
    return head.toString("latin1").split("\n")[1] === LAUNCHER_MARK;
  } catch {
    return false;
  }
}

export interface Found {
  /** The function, where the executable that was found is ours. */
  plugin: Plugin | undefined;
  file: string;
}

/** What `ipam.type` names. Throws a CniError where CNI_PATH has no such executable. */
export async function findAddressPlugin(type: string, path: readonly string[]): Promise<Found> {
  const file = findPlugin(type, path);
  return { file, plugin: isOurs(file) ? await loadPlugin(type) : undefined };
}
