/** The volumes of a pod: what a file says of each, and what containers mount of them. */
import { posix } from "node:path";
import type { Field } from "./fields.ts";
import type { KubeFile, Values } from "./file.ts";

const HOST_TYPES = [
  "DirectoryOrCreate",
  "Directory",
  "FileOrCreate",
  "File",
  "Socket",
  "CharDevice",
  "BlockDevice",
] as const;
export type HostType = (typeof HOST_TYPES)[number];

export type VolumePlan =
  | { kind: "host"; path: string; type?: HostType }
  /** A named volume, made where it is missing. */
  | { kind: "claim"; name: string }
  /** Goes with its pod. */
  | { kind: "empty" }
  /** A named volume that is filled with these files. */
  | { kind: "files"; name: string; files: ReadonlyMap<string, Uint8Array> };

export interface MountPlan {
  /** In the pod's volumes. */
  volume: string;
  destination: string;
  subPath?: string;
  readOnly: boolean;
}

type Sources = Pick<KubeFile, "configMaps" | "secrets">;

/** The volumes of a pod's spec, by name. An optional ConfigMap or Secret that is not there makes an empty one. */
export function planVolumes(spec: Field, sources: Sources): Map<string, VolumePlan> {
  const volumes = new Map<string, VolumePlan>();
  for (const field of spec.at("volumes").list()) {
    const name = field.at("name").needed();
    if (volumes.has(name)) throw field.at("name").refuse(`there are two volumes ${JSON.stringify(name)}`);
    volumes.set(name, planVolume(name, field, sources));
  }
  return volumes;
}

function planVolume(name: string, field: Field, { configMaps, secrets }: Sources): VolumePlan {
  const refuse = (what: string) => field.refuse(`failed to create volume ${JSON.stringify(name)}: ${what}`);
  const host = field.at("hostPath");
  if (host.given) {
    const path = host.at("path").needed();
    if (path.includes(":")) throw host.at("path").refuse(`there can't be a ":" in ${JSON.stringify(path)}`);
    const type = host.at("type").word(HOST_TYPES);
    // As Podman: without a slash it is the name of a volume.
    return path.includes("/") ? { kind: "host", path, type } : { kind: "claim", name: path };
  }
  const claim = field.at("persistentVolumeClaim");
  if (claim.given) return { kind: "claim", name: claim.at("claimName").needed() };
  if (field.at("emptyDir").given) return { kind: "empty" };
  const source = (of: Field, key: string, what: string, all: ReadonlyMap<string, Values>): VolumePlan => {
    const wanted = of.at(key).needed();
    const values = all.get(wanted);
    if (!values && !of.at("optional").bool()) throw refuse(`no such ${what} ${JSON.stringify(wanted)}`);
    return { kind: "files", name: wanted, files: chosen(of, values ?? new Map()) };
  };
  const config = field.at("configMap");
  if (config.given) return source(config, "name", "ConfigMap", configMaps);
  const secret = field.at("secret");
  if (secret.given) return source(secret, "secretName", "Secret", secrets);
  throw refuse(
    "HostPath, ConfigMap, Secret, EmptyDir, and PersistentVolumeClaim are currently the only supported VolumeSource",
  );
}

/** All keys as files, or those of `items` by their own paths. */
function chosen(of: Field, values: Values): ReadonlyMap<string, Uint8Array> {
  const items = of.at("items").list();
  if (items.length === 0) return values;
  return new Map(
    items.map(item => {
      const key = item.at("key").needed();
      const value = values.get(key);
      if (!value) throw item.at("key").refuse(`there is no key ${JSON.stringify(key)}`);
      return [inside(item.at("path")), value];
    }),
  );
}

/** A relative path that stays where it is. */
function inside(field: Field): string {
  const path = posix.normalize(field.needed());
  if (path.startsWith("/") || path.split("/").includes(".."))
    throw field.refuse(`${JSON.stringify(path)} leads out of the volume`);
  return path;
}

/** A container's `volumeMounts`. */
export function planMounts(container: Field, volumes: ReadonlyMap<string, VolumePlan>): MountPlan[] {
  return container
    .at("volumeMounts")
    .list()
    .map(field => {
      const volume = field.at("name").needed();
      if (!volumes.has(volume))
        throw field.refuse(`volume mount ${volume} specified for container but not configured in volumes`);
      const destination = field.at("mountPath").needed();
      if (!destination.startsWith("/") || destination.includes(":"))
        throw field.at("mountPath").refuse(`${JSON.stringify(destination)} is no absolute path without ":"`);
      const readOnly = field.at("readOnly").bool() ?? false;
      const subPath = field.at("subPath");
      // A container could put a link to anywhere in the place of what is bound from a volume that it can write to.
      if (subPath.text() && !["host", "files"].includes(volumes.get(volume)!.kind))
        throw subPath.refuse("is supported for hostPath, configMap and secret volumes only");
      return { volume, destination, readOnly, ...(subPath.text() ? { subPath: inside(subPath) } : {}) };
    });
}
