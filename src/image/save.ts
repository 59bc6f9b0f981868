/** Images into one file: `docker-archive` (docker save) and `oci-archive` (OCI image-layout in a tar). */
import { createReadStream } from "node:fs";
import { BugError, UserError } from "../base/errors.ts";
import { writeAll } from "../base/stdio.ts";
import { compressionOf, decompress } from "./decompress.ts";
import type { LayerRecord } from "./layers.ts";
import { DOCKER_MANIFEST, OCI_INDEX, parseManifest } from "./manifest.ts";
import { type ImageStore, sha256 } from "./store.ts";
import { END, fileHeader, padding } from "./tar.ts";
import type { ImageRecord } from "./types.ts";

interface Written {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
}

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

class TarWriter {
  readonly #write: (data: Uint8Array) => void;
  readonly #written = new Set<string>();
  constructor(fd: number) {
    this.#write = data => writeAll(fd, data);
  }
  /** A file, once. */
  add(path: string, data: Uint8Array): void {
    if (this.#written.has(path)) return;
    this.#written.add(path);
    this.#write(fileHeader(path, data.length));
    this.#write(data);
    this.#write(padding(data.length));
  }
  async stream(path: string, size: number, source: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#written.has(path)) return;
    this.#written.add(path);
    this.#write(fileHeader(path, size));
    for await (const chunk of source) this.#write(chunk);
    this.#write(padding(size));
  }
  end(): void {
    this.#write(END);
  }
}

export interface SavedImage {
  image: ImageRecord;
  /** Full references to write beside it. */
  names: string[];
}

/** Writes images into the open descriptor `fd`. */
export async function saveArchive(
  store: ImageStore,
  images: readonly SavedImage[],
  format: "docker-archive" | "oci-archive",
  fd: number,
): Promise<void> {
  const tar = new TarWriter(fd);
  await (format === "docker-archive" ? saveDocker : saveOci)(store, images, tar);
  tar.end();
}

/** The image's layers, bottom first. */
function layersOf(store: ImageStore, image: ImageRecord): LayerRecord[] {
  return image.config.rootfs.diff_ids.map(diffId => {
    const layer = store.layers.find(diffId);
    if (layer) return layer;
    throw new UserError(`layer ${diffId} of image ${image.id.slice(0, 12)} is not in the store`, {
      hint: "pull the image again",
    });
  });
}

async function saveDocker(store: ImageStore, images: readonly SavedImage[], tar: TarWriter): Promise<void> {
  const items: unknown[] = [];
  for (const { image, names } of images) {
    const files: string[] = [];
    for (const { diffId, size, blobDigest } of layersOf(store, image)) {
      const name = `${diffId.replace("sha256:", "")}.tar`;
      await tar.stream(name, size, decompress(createReadStream(store.layers.blobPath(blobDigest))));
      files.push(name);
    }
    tar.add(`${image.id}.json`, store.config(image.id));
    items.push({ Config: `${image.id}.json`, RepoTags: names, Layers: files });
  }
  tar.add("manifest.json", encode(items));
}

async function saveOci(store: ImageStore, images: readonly SavedImage[], tar: TarWriter): Promise<void> {
  const manifests: Written[] = [];
  for (const { image, names } of images) {
    const layers = layersOf(store, image);
    for (const { blobDigest, blobSize } of layers)
      await tar.stream(blobName(blobDigest), blobSize, createReadStream(store.layers.blobPath(blobDigest)));
    tar.add(blobName(`sha256:${image.id}`), store.config(image.id));
    const manifest = await manifestFor(store, image, layers);
    const digest = `sha256:${sha256(manifest)}`;
    tar.add(blobName(digest), manifest);
    for (const name of names.length ? names : [undefined])
      manifests.push({
        mediaType: image.manifestType,
        digest,
        size: manifest.length,
        annotations: name ? { "org.opencontainers.image.ref.name": name } : undefined,
      });
  }
  tar.add("index.json", encode({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  tar.add("oci-layout", encode({ imageLayoutVersion: "1.0.0" }));
}

const blobName = (digest: string) => `blobs/${digest.replace(":", "/")}`;

/**
 * The manifest that came, where its layers' blobs are those in the store. Another image may have brought the same layer
 * compressed in another way: then it names what is there.
 */
async function manifestFor(
  store: ImageStore,
  image: ImageRecord,
  layers: readonly LayerRecord[],
): Promise<Uint8Array> {
  const data = store.manifest(image.id);
  const manifest = parseManifest(data, "");
  if (manifest.kind !== "image") throw new BugError("an image is stored with an index for its manifest");
  if (manifest.layers.every((layer, index) => layer.digest === layers[index]?.blobDigest)) return data;
  const raw = JSON.parse(new TextDecoder().decode(data)) as { layers: Written[] };
  const type = (compression: string | undefined) =>
    manifest.mediaType === DOCKER_MANIFEST
      ? `application/vnd.docker.image.rootfs.diff.tar${compression ? `.${compression}` : ""}`
      : `application/vnd.oci.image.layer.v1.tar${compression ? `+${compression}` : ""}`;
  const written: Written[] = [];
  for (const [index, { blobDigest, blobSize }] of layers.entries()) {
    if (raw.layers[index]?.digest === blobDigest) written.push(raw.layers[index]);
    else {
      const head = await Bun.file(store.layers.blobPath(blobDigest)).slice(0, 4).bytes();
      written.push({ mediaType: type(compressionOf(head)), digest: blobDigest, size: blobSize });
    }
  }
  return encode({ ...raw, layers: written });
}
