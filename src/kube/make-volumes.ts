/** Making what a pod's volumes need on this machine, and telling each mount as `--volume` has it. */
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { UserError } from "../base/errors.ts";
import type { Engine } from "../container/engine.ts";
import { randomId } from "../container/names.ts";
import { recordEvent } from "../state/events.ts";
import type { Undo } from "./undo.ts";
import type { HostType, MountPlan, VolumePlan } from "./volumes.ts";

/** On volumes that hold a ConfigMap's or Secret's files, which are written anew each time they are played. */
const FILES_LABEL = "portolan.kube.files";

/** Makes a named volume, unless it is there. True if it was made. */
export function ensureVolume(
  engine: Engine,
  name: string,
  undo: Undo,
  labels: Record<string, string> = {},
): boolean {
  if (engine.volumes.find(name)) return false;
  engine.volumes.create(name, { labels });
  undo.push(() => engine.volumes.remove(name));
  recordEvent(engine.db, { type: "volume", status: "create", id: name, name });
  return true;
}

/** Makes the volumes and gives the function that words a mount of one of them. */
export function makeVolumes(
  engine: Engine,
  volumes: ReadonlyMap<string, VolumePlan>,
  undo: Undo,
): (mount: MountPlan) => string {
  const sources = new Map<string, string>();
  for (const [name, volume] of volumes) sources.set(name, makeVolume(engine, name, volume, undo));
  return ({ volume, destination, subPath, readOnly }) => {
    const { kind } = volumes.get(volume)!;
    const source = sources.get(volume)!;
    // As Kubernetes has it: nobody writes to what a ConfigMap says.
    const options = [
      ...(readOnly || kind === "files" ? ["ro"] : []),
      ...(kind === "empty" ? ["nocopy"] : []),
    ];
    const base = kind === "files" && subPath ? engine.volumes.directory(source) : source;
    const path = subPath ? join(base, subPath) : base;
    return [path, destination, ...(options.length > 0 ? [options.join(",")] : [])].join(":");
  };
}

/** The path on the host, or the name of the volume. */
function makeVolume(engine: Engine, name: string, volume: VolumePlan, undo: Undo): string {
  switch (volume.kind) {
    case "host":
      return hostPath(name, resolve(volume.path), volume.type, undo);
    case "claim":
      ensureVolume(engine, volume.name, undo);
      return volume.name;
    case "empty": {
      // Removed with the last container that mounts it; whoever the containers run as can write to it.
      const id = randomId();
      engine.volumes.create(id, { anonymous: true });
      undo.push(() => engine.volumes.remove(id));
      chmodSync(engine.volumes.directory(id), 0o777);
      return id;
    }
    case "files":
      writeFiles(engine, volume.name, volume.files, undo);
      return volume.name;
  }
}

function writeFiles(engine: Engine, name: string, files: ReadonlyMap<string, Uint8Array>, undo: Undo): void {
  if (
    !ensureVolume(engine, name, undo, { [FILES_LABEL]: "true" }) &&
    !engine.volumes.get(name).labels[FILES_LABEL]
  )
    throw new UserError(
      `failed to create volume ${JSON.stringify(name)}: a volume of that name exists, and was not made of a ConfigMap or Secret`,
      { hint: "rename one of them" },
    );
  const directory = engine.volumes.directory(name);
  for (const old of readdirSync(directory)) rmSync(join(directory, old), { recursive: true });
  for (const [path, content] of files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content, { flag: "wx", mode: 0o644 });
  }
}

/** Makes or checks a path of the host as its type says. */
function hostPath(name: string, path: string, type: HostType | undefined, undo: Undo): string {
  const refuse = (what: string) =>
    new UserError(`failed to create volume ${JSON.stringify(name)}: in parsing HostPath in YAML: ${what}`);
  const facts = statSync(path, { throwIfNoEntry: false });
  if (!facts && type === "DirectoryOrCreate") {
    const first = mkdirSync(path, { recursive: true, mode: 0o755 });
    if (first) undo.push(() => rmSync(first, { recursive: true, force: true }));
    return path;
  }
  if (!facts && type === "FileOrCreate") {
    writeFileSync(path, "", { flag: "wx", mode: 0o644 });
    undo.push(() => rmSync(path, { force: true }));
    return path;
  }
  if (!facts) throw refuse(`stat ${path}: no such file or directory`);
  const fits: Record<HostType, () => boolean> = {
    DirectoryOrCreate: () => facts.isDirectory(),
    Directory: () => facts.isDirectory(),
    FileOrCreate: () => facts.isFile(),
    File: () => facts.isFile(),
    Socket: () => facts.isSocket(),
    CharDevice: () => facts.isCharacterDevice(),
    BlockDevice: () => facts.isBlockDevice(),
  };
  if (type && !fits[type]()) throw refuse(`${path} is no ${type.replace("OrCreate", "")}`);
  return path;
}
