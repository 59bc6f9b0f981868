/** What takes up space, and who uses what: sizes of containers and volumes, containers of an image or a volume. */
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "../base/errors.ts";
import type { Container } from "./config.ts";
import type { Engine } from "./engine.ts";

/** Bytes of the plain files and links below a directory; 0 where there is none. What vanishes meanwhile is left out. */
export function directorySize(directory: string): number {
  let size = 0;
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      size += entry.isDirectory() ? directorySize(path) : fileSize(path);
    }
  } catch (error) {
    if (!hasCode(error, "ENOENT", "ENOTDIR")) throw error;
  }
  return size;
}

function fileSize(path: string): number {
  try {
    const facts = lstatSync(path);
    return facts.isFile() || facts.isSymbolicLink() ? facts.size : 0;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return 0;
    throw error;
  }
}

/** Bytes that a container wrote itself, and those together with its image's. */
export function containerSize(engine: Engine, { config }: Container): { own: number; whole: number } {
  const directory = engine.paths.container(config.id);
  const image = engine.images.byId(config.imageId)?.size ?? 0;
  if (config.storageDriver === "vfs") {
    const whole = directorySize(join(directory, "merged"));
    return { own: Math.max(0, whole - image), whole };
  }
  const own = directorySize(join(directory, "upper"));
  return { own, whole: own + image };
}

export function containersOfImage(engine: Engine, imageId: string): Container[] {
  return engine.containers.list().filter(one => one.config.imageId === imageId);
}

export function containersOfVolume(engine: Engine, name: string): Container[] {
  return engine.containers
    .list()
    .filter(one => one.config.mounts.some(mount => mount.kind === "volume" && mount.source === name));
}
