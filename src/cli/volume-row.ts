/** A volume as `volume inspect` and `volume ls` show it. */
import type { Engine } from "../container/engine.ts";
import { containersOfVolume } from "../container/usage.ts";
import type { Volume } from "../container/volume.ts";

export const volumeJson = (engine: Engine, volume: Volume) => ({
  Name: volume.name,
  Driver: "local",
  Mountpoint: engine.volumes.directory(volume.name),
  CreatedAt: new Date(volume.created).toISOString(),
  Labels: volume.labels,
  Scope: "local",
  Options: volume.options,
  ...(volume.anonymous ? { Anonymous: true } : {}),
  MountCount: containersOfVolume(engine, volume.name).filter(one => one.phase === "running").length,
  NeedsCopyUp: volume.needsCopyUp || undefined,
  NeedsChown: volume.needsCopyUp || undefined,
});
