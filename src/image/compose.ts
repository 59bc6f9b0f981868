/** Images that are made here: from layers that are in the store, or from one tar. */
import { errorText, UserError } from "../base/errors.ts";
import { changedConfig } from "./config-changes.ts";
import { DOCKER_MANIFEST, OCI_MANIFEST, type Platform } from "./manifest.ts";
import { formatReference, parseReference } from "./reference.ts";
import { type ImageStore, sha256 } from "./store.ts";
import type { ImageConfig, ImageRecord, ImageRuntimeConfig } from "./types.ts";

export type ImageFormat = "oci" | "docker";

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** `oci` or `docker`; throws UserError for anything else. */
export function imageFormat(text: string | undefined): ImageFormat {
  if (text === undefined || text === "oci" || text === "docker") return text ?? "oci";
  throw new UserError(`unrecognized image format ${JSON.stringify(text)}`);
}

/** Full reference of a name that is given to an image made here. */
export function localName(text: string): string {
  try {
    return formatReference(parseReference(text, "localhost"));
  } catch {
    throw new UserError("invalid reference format", { status: 400 });
  }
}

/** The fields of a configuration in the specification's order, tables in order of their keys; without what is undefined. */
export function inOrder(config: ImageRuntimeConfig): ImageRuntimeConfig {
  const sorted = <T>(table: Record<string, T> | null | undefined) =>
    table ? Object.fromEntries(Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1))) : undefined;
  const { User, ExposedPorts, Env, Entrypoint, Cmd, Volumes, WorkingDir, Labels, StopSignal, ...more } =
    config;
  const all = {
    ...{ User, ExposedPorts: sorted(ExposedPorts), Env, Entrypoint, Cmd, Volumes: sorted(Volumes) },
    ...{ WorkingDir, Labels: sorted(Labels), StopSignal, ...more },
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== null));
}

/** Records an image of this configuration, whose layers are in the store. */
export function composeImage(
  store: ImageStore,
  config: ImageConfig & Record<string, unknown>,
  format: ImageFormat,
  names: readonly string[],
): ImageRecord {
  const data = encode(config);
  const isDocker = format === "docker";
  const layers = config.rootfs.diff_ids.map(diffId => {
    const { blobDigest, blobSize } = store.layers.find(diffId)!;
    const isPlain = blobDigest === diffId;
    const mediaType = isDocker
      ? `application/vnd.docker.image.rootfs.diff.tar${isPlain ? "" : ".gzip"}`
      : `application/vnd.oci.image.layer.v1.tar${isPlain ? "" : "+gzip"}`;
    return { mediaType, digest: blobDigest, size: blobSize };
  });
  const manifestType = isDocker ? DOCKER_MANIFEST : OCI_MANIFEST;
  const manifest = encode({
    schemaVersion: 2,
    mediaType: manifestType,
    config: {
      mediaType: isDocker
        ? "application/vnd.docker.container.image.v1+json"
        : "application/vnd.oci.image.config.v1+json",
      digest: `sha256:${sha256(data)}`,
      size: data.length,
    },
    layers,
  });
  return store.add({ config: data, manifest, manifestType, names, repoDigests: [] });
}

/** What a web server gives for `url`. Throws UserError when it gives nothing. */
export async function download(url: string): Promise<AsyncIterable<Uint8Array>> {
  let answer: Response;
  try {
    answer = await fetch(url);
  } catch (error) {
    throw new UserError(`downloading ${url}: ${errorText(error)}`, { cause: error });
  }
  if (!answer.ok || !answer.body)
    throw new UserError(`downloading ${url}: ${answer.status} ${answer.statusText}`);
  return answer.body as unknown as AsyncIterable<Uint8Array>;
}

export interface ImportOptions {
  changes: readonly string[];
  message: string;
  name?: string;
  platform: Platform;
}

/** `import`: an image of one layer, the root file system in a tar (compressed or not). */
export async function importImage(
  store: ImageStore,
  source: AsyncIterable<Uint8Array>,
  { changes, message, name, platform }: ImportOptions,
): Promise<ImageRecord> {
  const config = inOrder(changedConfig({}, changes));
  const names = name === undefined ? [] : [localName(name)];
  using _session = store.beginImport();
  const { diffId } = await store.layers.ingest(source);
  try {
    const created = new Date().toISOString();
    return composeImage(
      store,
      {
        created,
        ...platform,
        config,
        rootfs: { type: "layers", diff_ids: [diffId] },
        history: [
          {
            created,
            created_by: `/bin/sh -c #(nop) ADD file:${diffId.replace("sha256:", "")} in /`,
            comment: message,
          },
        ],
      },
      "oci",
      names,
    );
  } finally {
    store.dropUnused([diffId]);
  }
}
