/** What leaves the store: an image's manifest and layers as they came, or with the formats that are asked for. */
import { createReadStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { BugError, hasCode, UserError } from "../base/errors.ts";
import { compressionOf, decompress, through } from "./decompress.ts";
import { FULL, type LayerRecord, noSpace } from "./layers.ts";
import { type Descriptor, DOCKER_MANIFEST, OCI_MANIFEST, parseManifest } from "./manifest.ts";
import { type ImageStore, sha256 } from "./store.ts";
import type { ImageRecord } from "./types.ts";

/** A layer's blob in a file. */
export interface OutgoingLayer {
  digest: string;
  size: number;
  path: string;
}

export interface Outgoing {
  /** `sha256:…` of the manifest. */
  digest: string;
  manifest: Uint8Array<ArrayBuffer>;
  mediaType: string;
  config: Uint8Array<ArrayBuffer>;
  configDigest: string;
  /** Bottom first. */
  layers: OutgoingLayer[];
}

export interface OutgoingOptions {
  /** The manifest's type; as it came where nothing is said. */
  format?: "oci" | "v2s2";
  /** Of every layer. Where nothing is said, those that are not compressed become gzip, the others stay. */
  compression?: "gzip" | "zstd";
  /** Layers may stay as they are, compressed or not. */
  keepsPlain?: boolean;
}

const CONFIGS = {
  oci: "application/vnd.oci.image.config.v1+json",
  v2s2: "application/vnd.docker.container.image.v1+json",
};

/**
 * An image as it is to leave. Layers that must be compressed anew are put into the directory `scratch`. Configuration, and
 * so the image's id, stays as it is. Throws UserError.
 */
export async function outgoing(
  store: ImageStore,
  image: ImageRecord,
  scratch: string,
  options: OutgoingOptions = {},
): Promise<Outgoing> {
  const layers: OutgoingLayer[] = [];
  const kinds: Compression[] = [];
  for (const { blobDigest, blobSize } of layersOf(store, image)) {
    const path = store.layers.blobPath(blobDigest);
    const kind = await compressionAt(path);
    const wanted = options.compression ?? (options.keepsPlain ? kind : (kind ?? "gzip"));
    if (wanted === kind || wanted === undefined) layers.push({ digest: blobDigest, size: blobSize, path });
    else layers.push(await compressed(path, wanted, scratch));
    kinds.push(wanted);
  }
  const config = Uint8Array.from(store.config(image.id));
  const manifest = Uint8Array.from(manifestOf(store, image, layers, kinds, options.format));
  return {
    manifest,
    digest: `sha256:${sha256(manifest)}`,
    mediaType: options.format ? MANIFESTS[options.format] : image.manifestType,
    config,
    configDigest: `sha256:${image.id}`,
    layers,
  };
}

const MANIFESTS = { oci: OCI_MANIFEST, v2s2: DOCKER_MANIFEST };

async function compressed(path: string, kind: "gzip" | "zstd", scratch: string): Promise<OutgoingLayer> {
  const { createGzip, createZstdCompress } = await import("node:zlib");
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  const target = join(scratch, crypto.randomUUID());
  const hash = new Bun.CryptoHasher("sha256");
  const filter = kind === "gzip" ? createGzip() : createZstdCompress();
  const out = Bun.file(target).writer();
  let size = 0;
  try {
    for await (const chunk of through(filter, decompress(createReadStream(path)))) {
      hash.update(chunk);
      size += chunk.length;
      out.write(chunk);
      await out.flush();
    }
    await out.end();
  } catch (error) {
    throw hasCode(error, ...FULL) ? noSpace("while compressing a layer", scratch, error) : error;
  }
  return { digest: `sha256:${hash.digest("hex")}`, size, path: target };
}

/** The image's layers, bottom first. */
export function layersOf(store: ImageStore, image: ImageRecord): LayerRecord[] {
  return image.config.rootfs.diff_ids.map(diffId => {
    const layer = store.layers.find(diffId);
    if (layer) return layer;
    throw new UserError(`layer ${diffId} of image ${image.id.slice(0, 12)} is not in the store`, {
      hint: "pull the image again",
    });
  });
}

/** The manifest for the layers as they lie in the store. */
export async function manifestFor(
  store: ImageStore,
  image: ImageRecord,
  layers: readonly LayerRecord[],
): Promise<Uint8Array> {
  const blobs = layers.map(({ blobDigest, blobSize }) => ({ digest: blobDigest, size: blobSize }));
  const kinds: Compression[] = [];
  for (const { blobDigest } of layers) kinds.push(await compressionAt(store.layers.blobPath(blobDigest)));
  return manifestOf(store, image, blobs, kinds);
}

type Compression = "gzip" | "zstd" | undefined;

const compressionAt = async (path: string): Promise<Compression> =>
  compressionOf(await Bun.file(path).slice(0, 4).bytes());

/**
 * The manifest that came, where its layers and its format are those that go. Else it names what goes: another image may
 * have brought the same layer compressed in another way.
 */
function manifestOf(
  store: ImageStore,
  image: ImageRecord,
  layers: readonly Pick<OutgoingLayer, "digest" | "size">[],
  kinds: readonly Compression[],
  format?: "oci" | "v2s2",
): Uint8Array {
  const data = store.manifest(image.id);
  const manifest = parseManifest(data, image.manifestType);
  if (manifest.kind !== "image") throw new BugError("an image is stored with an index for its manifest");
  const came = manifest.mediaType === DOCKER_MANIFEST ? "v2s2" : "oci";
  const target = format ?? came;
  const isSame = manifest.layers.every((layer, index) => layer.digest === layers[index]?.digest);
  if (isSame && target === came) return data;
  const raw = JSON.parse(new TextDecoder().decode(data)) as { config: Descriptor; layers: Descriptor[] };
  const written = layers.map(({ digest, size }, index) => {
    const old = raw.layers[index];
    if (old?.digest === digest && target === came) return old;
    return { mediaType: layerType(target, kinds[index]), digest, size };
  });
  const config = target === came ? raw.config : { ...raw.config, mediaType: CONFIGS[target] };
  return new TextEncoder().encode(
    JSON.stringify({
      ...raw,
      ...(target !== came && { mediaType: MANIFESTS[target] }),
      config,
      layers: written,
    }),
  );
}

function layerType(format: "oci" | "v2s2", compression: Compression): string {
  if (format === "oci")
    return `application/vnd.oci.image.layer.v1.tar${compression ? `+${compression}` : ""}`;
  if (compression === "zstd")
    throw new UserError("Docker's manifests have no layers in zstd", {
      hint: "push with --format oci, or --compression-format gzip",
    });
  return `application/vnd.docker.image.rootfs.diff.tar${compression ? `.${compression}` : ""}`;
}
