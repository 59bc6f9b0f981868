/** Deciding what is mounted into a new container. */
import { UserError } from "../base/errors.ts";
import type { ImageRuntimeConfig } from "../image/types.ts";
import type { VolumeMount } from "./config.ts";
import type { CreateOptions } from "./create-options.ts";
import type { Engine } from "./engine.ts";
import { randomId } from "./names.ts";
import { parseMounts } from "./parse-volumes.ts";

/** Other containers', what was asked for, and containers.conf's where nothing else is mounted. */
export function askedMounts(engine: Engine, options: CreateOptions): VolumeMount[] {
  const asked = [...inheritedMounts(engine, options.volumesFrom ?? []), ...parseMounts(options)];
  const always = parseMounts({ volumes: engine.conf.containers.volumes });
  return [...asked, ...always.filter(one => !asked.some(other => other.destination === one.destination))];
}

function inheritedMounts(engine: Engine, names: readonly string[]): VolumeMount[] {
  return names.flatMap(text => {
    const [name = "", options] = text.split(":", 2);
    const other = engine.containers.find(name);
    if (!other)
      throw new UserError(
        `looking up container ${JSON.stringify(name)} for volumes-from: no container with name or ID ${JSON.stringify(name)} found: no such container`,
      );
    return other.config.mounts.map(one => ({ ...one, options: options ? options.split(",") : one.options }));
  });
}

/** Anonymous volumes get names; the image's VOLUMEs join where nothing is mounted yet. */
export function completeMounts(
  mounts: readonly VolumeMount[],
  base: ImageRuntimeConfig,
  mode = "anonymous",
): VolumeMount[] {
  if (!["anonymous", "bind", "tmpfs", "ignore"].includes(mode))
    throw new UserError(
      `invalid image volume mode ${JSON.stringify(mode)} required value: bind, tmpfs, ignore`,
    );
  const all = mounts.map(one =>
    one.kind === "volume" && one.source === "" ? { ...one, source: randomId() } : one,
  );
  if (mode === "ignore") return all;
  for (const destination of Object.keys(base.Volumes ?? {})) {
    const place = destination.replace(/(.)\/+$/, "$1");
    if (all.some(one => one.destination === place)) continue;
    all.push(
      mode === "tmpfs"
        ? { kind: "tmpfs", source: "", destination: place, options: ["exec"], fromImage: true }
        : { kind: "volume", source: randomId(), destination: place, options: ["exec"], fromImage: true },
    );
  }
  return all;
}
