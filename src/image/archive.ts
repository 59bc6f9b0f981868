/** Images in one file: `docker-archive` (docker save) and `oci-archive` (OCI image-layout in a tar), read and written. */
import {
  closeSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "../base/errors.ts";
import { decompress } from "./decompress.ts";
import { formatReference, parseReference } from "./reference.ts";
import { type ImageStore, sha256 } from "./store.ts";
import { END, fileHeader, padding, TarError, TarReader } from "./tar.ts";
import type { ImageConfig, ImageRecord } from "./types.ts";
import { cleanPath } from "./unpack.ts";

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
const MAX_JSON = 4 << 20;

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
}

/** Plain files of an archive, in a directory of their own; links of old docker archives are followed. */
function extract(fd: number, directory: string): Map<string, string> {
  const files = new Map<string, string>();
  const reader = new TarReader(buffer => readSync(fd, buffer));
  for (let entry = reader.next(); entry; entry = reader.next()) {
    const path = cleanPath(entry.path);
    if (entry.type === "file") {
      const target = join(directory, String(files.size));
      const out = openSync(target, "wx", 0o600);
      try {
        for (let piece = reader.chunk(); piece; piece = reader.chunk())
          for (let done = 0; done < piece.length; ) done += writeSync(out, piece, done);
      } finally {
        closeSync(out);
      }
      files.set(path, target);
    } else if (entry.type === "symlink" || entry.type === "link") {
      const linked = files.get(
        cleanPath(entry.type === "link" ? entry.linkPath : `${dirname(path)}/${entry.linkPath}`),
      );
      if (linked) files.set(path, linked);
    }
  }
  return files;
}

/** Loads every image of an archive; gives the names (or ids of nameless ones). `path` undefined is standard input. */
export async function loadArchive(store: ImageStore, path: string | undefined): Promise<string[]> {
  using _session = store.beginImport();
  mkdirSync(store.scratch, { recursive: true, mode: 0o700 });
  const directory = mkdtempSync(join(store.scratch, "load-"));
  try {
    const plain = join(directory, "archive.tar");
    await inflate(path, plain);
    const fd = openSync(plain, "r");
    let files: Map<string, string>;
    try {
      files = extract(fd, directory);
    } catch (error) {
      if (error instanceof TarError)
        throw new UserError(`payload does not match any of the supported image formats: ${error.message}`);
      throw error;
    } finally {
      closeSync(fd);
    }
    if (files.has("/manifest.json")) return await loadDocker(store, files);
    if (files.has("/index.json")) return await loadOci(store, files);
    throw new UserError(
      "payload does not match any of the supported image formats: it has neither manifest.json nor index.json",
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function inflate(path: string | undefined, target: string): Promise<void> {
  const source = path === undefined ? Bun.stdin.stream() : createReadStream(path);
  const out = openSync(target, "wx", 0o600);
  try {
    for await (const chunk of decompress(source as AsyncIterable<Uint8Array>))
      for (let done = 0; done < chunk.length; ) done += writeSync(out, chunk, done);
  } finally {
    closeSync(out);
  }
}

function file(files: Map<string, string>, name: string): string {
  const path = files.get(cleanPath(name));
  if (!path) throw new UserError(`the archive lacks ${name}`);
  return path;
}

function json<T>(path: string): T {
  const data = readFileSync(path);
  if (data.length > MAX_JSON) throw new UserError("the archive has a description of an impossible size");
  try {
    return JSON.parse(data.toString()) as T;
  } catch {
    throw new UserError("the archive has a description that is no JSON");
  }
}

async function loadDocker(store: ImageStore, files: Map<string, string>): Promise<string[]> {
  const loaded: string[] = [];
  for (const item of json<{ Config: string; RepoTags?: string[] | null; Layers: string[] }[]>(
    file(files, "manifest.json"),
  )) {
    const config = readFileSync(file(files, item.Config));
    const { rootfs } = JSON.parse(config.toString()) as ImageConfig;
    const layers: Descriptor[] = [];
    for (const [index, name] of item.Layers.entries()) {
      const diffId = rootfs.diff_ids[index];
      const layer =
        (diffId && store.layers.find(diffId)) ||
        (await store.layers.ingest(createReadStream(file(files, name)), { diffId }));
      layers.push({
        mediaType: layerType(layer.blobDigest === layer.diffId),
        digest: layer.blobDigest,
        size: layer.blobSize,
      });
    }
    const manifest = encode({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: `sha256:${sha256(config)}`, size: config.length },
      layers,
    });
    const names = (item.RepoTags ?? []).map(name => formatReference(parseReference(name)));
    const image = store.add({ config, manifest, manifestType: OCI_MANIFEST, names, repoDigests: [] });
    loaded.push(...(names.length ? names : [`sha256:${image.id}`]));
  }
  return loaded;
}

const layerType = (plain: boolean) => `application/vnd.oci.image.layer.v1.tar${plain ? "" : "+gzip"}`;
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

async function loadOci(store: ImageStore, files: Map<string, string>): Promise<string[]> {
  const blob = (digest: string) => file(files, `blobs/${digest.replace(":", "/")}`);
  const loaded: string[] = [];
  const index = json<{ manifests: Descriptor[] }>(file(files, "index.json"));
  for (const descriptor of index.manifests) {
    const manifest = readFileSync(blob(descriptor.digest));
    if (`sha256:${sha256(manifest)}` !== descriptor.digest)
      throw new UserError(`the archive's manifest does not match its digest ${descriptor.digest}`);
    const parsed = JSON.parse(manifest.toString()) as {
      mediaType?: string;
      config: Descriptor;
      layers: Descriptor[];
    };
    if (!parsed.config || !Array.isArray(parsed.layers))
      throw new UserError("the archive's manifest is no image manifest");
    const config = readFileSync(blob(parsed.config.digest));
    const { rootfs } = JSON.parse(config.toString()) as ImageConfig;
    for (const [position, layer] of parsed.layers.entries()) {
      const diffId = rootfs.diff_ids[position];
      if (diffId && store.layers.find(diffId)) continue;
      await store.layers.ingest(createReadStream(blob(layer.digest)), { blobDigest: layer.digest, diffId });
    }
    const name =
      descriptor.annotations?.["io.containerd.image.name"] ??
      descriptor.annotations?.["org.opencontainers.image.ref.name"];
    const names = name && /[/:]/.test(name) ? [formatReference(parseReference(name, "localhost"))] : [];
    const image = store.add({
      config,
      manifest,
      manifestType: parsed.mediaType ?? OCI_MANIFEST,
      names,
      repoDigests: [],
    });
    loaded.push(...(names.length ? names : [`sha256:${image.id}`]));
  }
  return loaded;
}

class TarWriter {
  readonly #write: (data: Uint8Array) => void;
  readonly #written = new Set<string>();
  constructor(fd: number) {
    this.#write = data => {
      for (let done = 0; done < data.length; ) done += writeSync(fd, data, done);
    };
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
  if (format === "docker-archive") {
    const items: unknown[] = [];
    for (const { image, names } of images) {
      const layers: string[] = [];
      for (const diffId of image.config.rootfs.diff_ids) {
        const layer = store.layers.find(diffId)!;
        const name = `${diffId.replace("sha256:", "")}.tar`;
        await tar.stream(
          name,
          layer.size,
          decompress(createReadStream(store.layers.blobPath(layer.blobDigest))),
        );
        layers.push(name);
      }
      tar.add(`${image.id}.json`, store.config(image.id));
      items.push({ Config: `${image.id}.json`, RepoTags: names, Layers: layers });
    }
    tar.add("manifest.json", encode(items));
  } else {
    const manifests: Descriptor[] = [];
    for (const { image, names } of images) {
      const manifest = store.manifest(image.id);
      for (const diffId of image.config.rootfs.diff_ids) {
        const layer = store.layers.find(diffId)!;
        await tar.stream(
          `blobs/${layer.blobDigest.replace(":", "/")}`,
          layer.blobSize,
          createReadStream(store.layers.blobPath(layer.blobDigest)),
        );
      }
      tar.add(`blobs/sha256/${image.id}`, store.config(image.id));
      tar.add(`blobs/${image.digest.replace(":", "/")}`, manifest);
      const descriptor: Descriptor = {
        mediaType: image.manifestType,
        digest: image.digest,
        size: manifest.length,
      };
      for (const name of names.length ? names : [undefined])
        manifests.push({
          ...descriptor,
          annotations: name ? { "org.opencontainers.image.ref.name": name } : undefined,
        });
    }
    tar.add("index.json", encode({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
    tar.add("oci-layout", encode({ imageLayoutVersion: "1.0.0" }));
  }
  tar.end();
}
