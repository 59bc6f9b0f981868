/** `--tz`: the container's /etc/localtime (localtime(5)) from the host's zone files. */
import { copyFileSync, existsSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";

const ZONES = "/usr/share/zoneinfo";

/** The file of a zone such as `Europe/Berlin`; `local` is the host's own. Throws in Podman's words for no zone. */
export function zoneFile(zone: string): string {
  const path = zone === "local" ? "/etc/localtime" : join(ZONES, zone);
  if (zone.split("/").includes("..") || !existsSync(path))
    throw new UserError(`running container create option: stat ${path}: no such file or directory`);
  return realpathSync(path);
}

/** Copies it, so that it stays as it is while the container runs. */
export function copyZone(zone: string, target: string): void {
  copyFileSync(zoneFile(zone), target);
}
