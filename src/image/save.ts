/**
 * Images into one file, `docker-archive` (docker save) and `oci-archive` (OCI image-layout in a tar); or into a directory:
 * `oci` (OCI image-layout), and `dir`, a manifest with its blobs beside it (containers-transports(5)).
 */
import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UserError } from "../base/errors.ts";
import { writeAll } from "../base/stdio.ts";
import { decompress } from "./decompress.ts";
import { OCI_INDEX } from "./manifest.ts";
import { layersOf, manifestFor } from "./outgoing.ts";
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

/** Where the parts of an archive go. */
interface Sink {
  /** A file, once. */
  add(path: string, data: Uint8Array): void;
  stream(path: string, size: number, source: AsyncIterable<Uint8Array>): Promise<void>;
}

class TarWriter implements Sink {
  readonly #write: (data: Uint8Array) => void;
  readonly #written = new Set<string>();
  constructor(fd: number) {
    this.#write = data => writeAll(fd, data);
  }
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

class DirectoryWriter implements Sink {
  readonly #written = new Set<string>();
  constructor(private readonly root: string) {
    mkdirSync(root, { recursive: true });
  }
  #place(path: string): string | undefined {
    if (this.#written.has(path)) return undefined;
    this.#written.add(path);
    const place = join(this.root, path);
    mkdirSync(dirname(place), { recursive: true });
    return place;
  }
  add(path: string, data: Uint8Array): void {
    const place = this.#place(path);
    if (place) writeFileSync(place, data);
  }
  async stream(path: string, _size: number, source: AsyncIterable<Uint8Array>): Promise<void> {
    const place = this.#place(path);
    if (place) await pipeline(Readable.from(source), createWriteStream(place));
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

/** Writes images into the file `output`, which stays as it was when that fails. Throws UserError. */
export async function saveFile(
  store: ImageStore,
  images: readonly SavedImage[],
  format: "docker-archive" | "oci-archive",
  output: string,
): Promise<void> {
  // A half-written file must not look like an archive.
  const part = isReplaced(output) ? `${output}.${process.pid}.part` : undefined;
  try {
    const fd = part === undefined ? openSync(output, "w") : openSync(part, "wx", 0o644);
    try {
      await saveArchive(store, images, format, fd);
    } finally {
      closeSync(fd);
    }
    if (part !== undefined) renameSync(part, output);
  } catch (error) {
    if (part !== undefined) rmSync(part, { force: true });
    throw error;
  }
}

/**
 * Whether the archive takes the place of what `output` names; false for devices and pipes (`/dev/null`), which are
 * written to. Throws where no file can be.
 */
function isReplaced(output: string): boolean {
  const found = statSync(output, { throwIfNoEntry: false });
  if (found?.isDirectory()) throw new UserError(`open ${output}: is a directory`);
  if (!found && !statSync(dirname(output), { throwIfNoEntry: false })?.isDirectory())
    throw new UserError(`open ${output}: no such file or directory`);
  return found?.isFile() ?? true;
}

/** Writes an image into a directory; what lies there under other names stays. */
export async function saveDirectory(
  store: ImageStore,
  saved: SavedImage,
  format: "oci" | "dir",
  path: string,
): Promise<void> {
  const sink = new DirectoryWriter(path);
  if (format === "oci") return await saveOci(store, [saved], sink);
  const { image } = saved;
  const layers = layersOf(store, image);
  for (const { blobDigest, blobSize } of layers) {
    const source = createReadStream(store.layers.blobPath(blobDigest));
    await sink.stream(blobDigest.replace("sha256:", ""), blobSize, source);
  }
  sink.add(image.id, store.config(image.id));
  sink.add("manifest.json", await manifestFor(store, image, layers));
  sink.add("version", new TextEncoder().encode("Directory Transport Version: 1.1\n"));
}

async function saveDocker(store: ImageStore, images: readonly SavedImage[], tar: Sink): Promise<void> {
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

async function saveOci(store: ImageStore, images: readonly SavedImage[], tar: Sink): Promise<void> {
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
