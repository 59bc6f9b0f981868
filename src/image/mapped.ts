/**
 * A root file system for a container that has a user namespace of its own: its image's files belong there to whom they
 * belong in the image. Layers are mounted once more with the container's map where the kernel can (as root, on most file
 * systems), and else copied, once for all containers of the same map.
 */
import { mkdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { errorText, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { closeFd, O, openFd } from "../sys/fd.ts";
import { mountIdmapped } from "../sys/idmapped.ts";
import { MNT_DETACH, mountInfo, umount } from "../sys/mount.ts";
import { type IdMapping, type IdMaps, inInitialUserNamespace } from "../sys/user-namespace.ts";
import { copyLayer, copyLayers } from "./copies.ts";
import type { LayerStore } from "./layers.ts";
import { makeRootfs, mountRootfs, type Rootfs } from "./mount.ts";

/** Puts a root file system up with the owners that it has to the namespace of `ids`. */
export function mountMapped(rootfs: Rootfs, ids: IdMaps, layers: LayerStore): void {
  if (rootfs.driver === "vfs") makeRootfs(rootfs, half => copyLayers(rootfs.lower, half, ids));
  else if (rootfs.driver !== "overlay" || !inInitialUserNamespace() || !mountOnIdmapped(rootfs, ids))
    mountRootfs({ ...rootfs, lower: rootfs.lower.map(layer => mappedLayer(layer, ids, layers)) });
}

/** What copies of layers for these maps are called after them. */
export const mapName = ({ uids, gids }: IdMaps) =>
  new Bun.CryptoHasher("sha256")
    .update(JSON.stringify([uids, gids]))
    .digest("hex")
    .slice(0, 8);

/** The copy of a layer for the maps, made if it is not there. */
const mappedLayer = (layer: string, ids: IdMaps, layers: LayerStore): string =>
  layers.ensureMapped(layer, mapName(ids), staging => copyLayer(layer, staging, ids));

/** Where the layers are mounted for a moment, beside the root file system. */
const placeBeside = (merged: string) => join(dirname(merged), "lower");

/** Takes down what a killed command has left of that. */
export function unmountLayers(merged: string): void {
  const at = placeBeside(merged);
  for (const { target } of mountInfo()) if (target.startsWith(`${at}/`)) umount(target, MNT_DETACH);
  rmSync(at, { recursive: true, force: true });
}

/** False where it can't be done. */
function mountOnIdmapped(rootfs: Rootfs, ids: IdMaps): boolean {
  const targets = rootfs.lower.map(path => join(placeBeside(rootfs.merged), basename(path)));
  unmountLayers(rootfs.merged);
  try {
    const namespace = openUserNamespace(ids);
    try {
      for (const [index, target] of targets.entries()) {
        mkdirSync(target, { recursive: true, mode: 0o700 });
        mountIdmapped(rootfs.lower[index]!, target, namespace);
      }
    } finally {
      closeFd(namespace);
    }
    // The overlay keeps mounts of its own of them.
    mountRootfs({ ...rootfs, lower: targets });
    return true;
  } catch (error) {
    if (error instanceof UserError) throw error;
    log.debug(`layers can't be mounted with other owners, so they are copied: ${errorText(error)}`);
    return false;
  } finally {
    unmountLayers(rootfs.merged);
  }
}

/** A user namespace of these maps, as an open descriptor. It needs a process for a moment. */
function openUserNamespace({ uids, gids }: IdMaps): number {
  const child = Bun.spawn(["unshare", "--user", "cat"], { stdio: ["pipe", "ignore", "ignore"] });
  const path = `/proc/${child.pid}/ns/user`;
  try {
    const own = readlinkSync("/proc/self/ns/user");
    while (readlinkSync(path) === own) Bun.sleepSync(0.1);
    const text = (map: readonly IdMapping[]) =>
      map.map(({ inside, outside, count }) => `${inside} ${outside} ${count}\n`).join("");
    writeFileSync(`/proc/${child.pid}/uid_map`, text(uids));
    writeFileSync(`/proc/${child.pid}/gid_map`, text(gids));
    return openFd(path, O.RDONLY);
  } finally {
    child.kill("SIGKILL");
    child.unref();
  }
}
