/** What a container's root must have before its process starts: the working directory, `/etc/mtab`. */
import { chownSync, lstatSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { UserError } from "../base/errors.ts";
import { lchown } from "../sys/file.ts";
import type { ContainerConfig } from "./config.ts";
import { ownerOf } from "./owner.ts";
import { resolveInRoot, type UserIds } from "./user.ts";

/**
 * Sees to it that the working directory is there. The image's is made, for the container's user; one that a person named
 * must exist, unless it lies in something mounted.
 */
export function prepareWorkdir(rootfs: string, config: ContainerConfig, user: UserIds): void {
  const { workdir } = config;
  const inMount = config.mounts.some(
    ({ destination }) => workdir === destination || workdir.startsWith(`${destination}/`),
  );
  if (inMount) return;
  const path = resolveInRoot(rootfs, workdir);
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts?.isDirectory()) return;
  if (facts)
    throw new UserError(
      `workdir ${JSON.stringify(workdir)} exists on container ${config.id}, but is not a directory`,
    );
  if (workdir !== config.imageConfig.WorkingDir)
    throw new UserError(`workdir ${JSON.stringify(workdir)} does not exist on container ${config.id}`);
  const made = mkdirSync(path, { recursive: true });
  const [root, owner] = [ownerOf(config), ownerOf(config, user.uid, user.gid)];
  for (let above = dirname(path); config.ids && made && above.length >= made.length; above = dirname(above))
    chownSync(above, root.uid, root.gid);
  chownSync(path, owner.uid, owner.gid);
}

/** Old programs read `/etc/mtab`; where the image has an `/etc` without it, it is a link to the kernel's own list. */
export function linkMtab(rootfs: string, config: ContainerConfig): void {
  const path = resolveInRoot(rootfs, "/etc");
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const mtab = `${path}/mtab`;
  if (lstatSync(mtab, { throwIfNoEntry: false })) return;
  symlinkSync("/proc/mounts", mtab);
  if (!config.ids) return;
  const { uid, gid } = ownerOf(config);
  lchown(mtab, uid, gid);
}
