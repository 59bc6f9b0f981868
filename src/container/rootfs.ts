/** A container's root file system put up, and its volumes made ready. */
import { join } from "node:path";
import { mountRootfs } from "../image/mount.ts";
import type { ContainerConfig } from "./config.ts";
import type { Engine } from "./engine.ts";
import { ownerOf } from "./owner.ts";
import { lookupUser } from "./user.ts";

/** Where it is put up while the container runs. */
export const rootfsPath = ({ paths }: Engine, { id }: ContainerConfig) => join(paths.container(id), "merged");

/** Mounts it, or makes it where it is a copy; gives its path. */
export async function putUpRootfs(engine: Engine, config: ContainerConfig): Promise<string> {
  const directory = engine.paths.container(config.id);
  const merged = rootfsPath(engine, config);
  const parts = {
    driver: config.storageDriver ?? "overlay",
    lower: config.layers,
    upper: join(directory, "upper"),
    work: join(directory, "work"),
    merged,
    volatile: config.remove,
  };
  if (config.ids) {
    const { mountMapped } = await import("../image/mapped.ts");
    mountMapped(parts, config.ids, engine.images.layers);
  } else mountRootfs(parts);
  return merged;
}

/** Makes the container's volumes that are missing; what the image has in their places is copied into empty ones. */
export function fillVolumes(engine: Engine, config: ContainerConfig, rootfs: string): void {
  for (const one of config.mounts)
    if (one.kind === "volume") {
      engine.volumes.ensure(one.source);
      engine.volumes.copyUp(one.source, rootfs, one.destination, {
        copy: !one.options.includes("nocopy"),
        user: () => userOf(config, rootfs),
      });
    }
}

/** The container's user, as this engine numbers him. */
export function userOf(config: ContainerConfig, rootfs: string): { uid: number; gid: number } {
  const { uid, gid } = lookupUser(rootfs, config.user);
  return ownerOf(config, uid, gid);
}
