/** Images from one file: `docker-archive` (docker save) and `oci-archive` (OCI image-layout in a tar). */
import {
  closeSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { hasCode, oneLine, UserError } from "../base/errors.ts";
import { decompress } from "./decompress.ts";
import { FULL, noSpace } from "./layers.ts";
import {
  choose,
  type Descriptor,
  type Manifest,
  OCI_MANIFEST,
  parseManifest,
  parsePlatform,
} from "./manifest.ts";
import { isObject, parseConfig } from "./parse-config.ts";
import { formatReference, parseReference } from "./reference.ts";
import { type ImageStore, sha256 } from "./store.ts";
import { TarError, TarReader } from "./tar.ts";
import { cleanPath } from "./unpack.ts";

const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
const MAX_JSON = 16 << 20;
const NO_FORMAT = "payload does not match any of the supported image formats";

/**
 * Loads every image of an archive; gives the names (or ids of nameless ones). `path` undefined is standard input. Throws
 * UserError; layers that came in for nothing are gone then.
 */
export async function loadArchive(store: ImageStore, path: string | undefined): Promise<string[]> {
  using _session = store.beginImport();
  mkdirSync(store.scratch, { recursive: true, mode: 0o700 });
  const directory = mkdtempSync(join(store.scratch, "load-"));
  const load = new Load(store);
  try {
    const plain = join(directory, "archive.tar");
    await inflate(path, plain);
    const files = extract(plain, directory);
    if (files.has("/manifest.json")) return await load.docker(files);
    if (files.has("/index.json")) return await load.oci(files);
    throw new UserError(`${NO_FORMAT}: it has neither manifest.json nor index.json`);
  } catch (error) {
    if (error instanceof TarError)
      throw new UserError(
        `${NO_FORMAT}: ${path ?? "standard input"} is no tar archive, or a damaged one: ${oneLine(error.message)}`,
      );
    if (hasCode(error, ...FULL)) throw noSpace("while loading an archive", store.scratch, error);
    throw error;
  } finally {
    rmSync(directory, { recursive: true, force: true });
    store.dropUnused(load.diffIds);
  }
}

/** Loads the images of a directory that `push` to `oci:` or `dir:` has written. Throws UserError. */
export async function loadDirectory(
  store: ImageStore,
  path: string,
  format: "oci" | "dir",
): Promise<string[]> {
  using _session = store.beginImport();
  const load = new Load(store);
  try {
    const files = new Map<string, string>();
    for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
      const place = join(entry.parentPath, entry.name);
      const name = `/${relative(path, place)}`;
      if (!entry.isFile()) continue;
      files.set(name, place);
      // A directory of blobs has them by their digests alone.
      if (/^\/[0-9a-f]{64}$/.test(name)) files.set(`/blobs/sha256${name}`, place);
    }
    return format === "oci" ? await load.oci(files) : await load.directory(files);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) throw new UserError(`${path}: no such directory`);
    throw error;
  } finally {
    store.dropUnused(load.diffIds);
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

/** Plain files of an archive, in a directory of their own; links of old docker archives are followed. */
function extract(archive: string, directory: string): Map<string, string> {
  const files = new Map<string, string>();
  const fd = openSync(archive, "r");
  try {
    const reader = new TarReader(buffer => readSync(fd, buffer));
    for (let entry = reader.next(); entry; entry = reader.next()) {
      const path = cleanPath(entry.path);
      if (entry.type === "file") {
        const target = join(directory, String(files.size));
        copyOut(reader, target);
        files.set(path, target);
      } else if (entry.type === "symlink" || entry.type === "link") {
        const linked = files.get(
          cleanPath(entry.type === "link" ? entry.linkPath : `${dirname(path)}/${entry.linkPath}`),
        );
        if (linked) files.set(path, linked);
      }
    }
  } finally {
    closeSync(fd);
  }
  return files;
}

function copyOut(reader: TarReader, target: string): void {
  const out = openSync(target, "w", 0o600);
  try {
    for (let piece = reader.chunk(); piece; piece = reader.chunk())
      for (let done = 0; done < piece.length; ) done += writeSync(out, piece, done);
  } finally {
    closeSync(out);
  }
}

function file(files: Map<string, string>, name: string): string {
  const path = files.get(cleanPath(name));
  if (!path) throw new UserError(`the archive lacks ${oneLine(name)}`);
  return path;
}

/** A description that lies in the archive. */
function small(files: Map<string, string>, name: string): Uint8Array {
  const path = file(files, name);
  if (statSync(path).size > MAX_JSON)
    throw new UserError(`the archive's ${oneLine(name)} has an impossible size`);
  return readFileSync(path);
}

/** A description by its digest. */
function part(files: Map<string, string>, { digest }: Descriptor): Uint8Array {
  const data = small(files, blobName(digest));
  if (`sha256:${sha256(data)}` !== digest)
    throw new UserError(`a part of the archive does not match its digest ${digest}`);
  return data;
}

interface DockerItem {
  Config: string;
  RepoTags: string[];
  Layers: string[];
}

/** docker save's `manifest.json`. Throws UserError. */
export function parseDockerManifest(data: Uint8Array): DockerItem[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(data));
  } catch {
    throw new UserError("the archive's manifest.json is no JSON");
  }
  const isTexts = (value: unknown): value is string[] =>
    Array.isArray(value) && value.every(one => typeof one === "string");
  if (!Array.isArray(parsed)) throw new UserError("the archive's manifest.json is no list of images");
  return parsed.map((item: unknown) => {
    if (isObject(item)) {
      const { Config, RepoTags, Layers } = item;
      if (typeof Config === "string" && isTexts(Layers) && isTexts(RepoTags ?? []))
        return { Config, Layers, RepoTags: (RepoTags ?? []) as string[] };
    }
    throw new UserError("the archive's manifest.json has an image without a configuration or layers");
  });
}

class Load {
  /** Layers that came in. */
  readonly diffIds: string[] = [];
  readonly #loaded: string[] = [];

  constructor(private readonly store: ImageStore) {}

  async docker(files: Map<string, string>): Promise<string[]> {
    for (const item of parseDockerManifest(small(files, "manifest.json"))) {
      const config = small(files, item.Config);
      const diffIds = this.#diffIds(config, item.Layers.length);
      const layers: Omit<Descriptor, "platform">[] = [];
      for (const [index, name] of item.Layers.entries()) {
        const diffId = diffIds[index]!;
        const { blobDigest, blobSize } =
          this.store.layers.find(diffId) ??
          (await this.store.layers.ingest(createReadStream(file(files, name)), { diffId }));
        layers.push({ mediaType: layerType(blobDigest === diffId), digest: blobDigest, size: blobSize });
      }
      const manifest = encode({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: { mediaType: OCI_CONFIG, digest: `sha256:${sha256(config)}`, size: config.length },
        layers,
      });
      const names = item.RepoTags.map(name => formatReference(parseReference(name, "localhost")));
      this.#add(config, manifest, OCI_MANIFEST, names);
    }
    return this.#loaded;
  }

  async oci(files: Map<string, string>): Promise<string[]> {
    const index = parseManifest(small(files, "index.json"), "");
    if (index.kind !== "index") throw new UserError("the archive's index.json is no index");
    for (const top of index.manifests) {
      let data = part(files, top);
      let manifest = parseManifest(data, top.mediaType);
      if (manifest.kind === "index") {
        const chosen = choose(manifest.manifests, parsePlatform());
        data = part(files, chosen);
        manifest = parseManifest(data, chosen.mediaType);
      }
      if (manifest.kind !== "image") throw new UserError("the archive's index leads to an index of indexes");
      await this.#image(files, data, manifest, namesOf(top));
    }
    return this.#loaded;
  }

  /** A manifest with its blobs beside it. */
  async directory(files: Map<string, string>): Promise<string[]> {
    const data = small(files, "manifest.json");
    const manifest = parseManifest(data, "");
    if (manifest.kind !== "image") throw new UserError("the directory's manifest.json is an index");
    await this.#image(files, data, manifest, []);
    return this.#loaded;
  }

  async #image(
    files: Map<string, string>,
    data: Uint8Array,
    manifest: Extract<Manifest, { kind: "image" }>,
    names: string[],
  ): Promise<void> {
    const config = part(files, manifest.config);
    const diffIds = this.#diffIds(config, manifest.layers.length);
    for (const [position, { digest }] of manifest.layers.entries()) {
      const diffId = diffIds[position]!;
      if (this.store.layers.find(diffId)) continue;
      const source = createReadStream(file(files, blobName(digest)));
      await this.store.layers.ingest(source, { blobDigest: digest, diffId });
    }
    this.#add(config, data, manifest.mediaType, names);
  }

  #diffIds(config: Uint8Array, layers: number): string[] {
    const diffIds = parseConfig(config).rootfs.diff_ids;
    if (diffIds.length !== layers)
      throw new UserError(`an image's configuration names ${diffIds.length} layers, its manifest ${layers}`);
    this.diffIds.push(...diffIds);
    return diffIds;
  }

  #add(config: Uint8Array, manifest: Uint8Array, manifestType: string, names: string[]): void {
    const image = this.store.add({ config, manifest, manifestType, names, repoDigests: [] });
    this.#loaded.push(...(names.length ? names : [`sha256:${image.id}`]));
  }
}

const blobName = (digest: string) => `blobs/${digest.replace(":", "/")}`;
const layerType = (plain: boolean) => `application/vnd.oci.image.layer.v1.tar${plain ? "" : "+gzip"}`;
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** A tag alone, which tools write too, names no image. */
function namesOf({ annotations }: Descriptor): string[] {
  const name =
    annotations?.["io.containerd.image.name"] ?? annotations?.["org.opencontainers.image.ref.name"];
  return name && /[/:]/.test(name) ? [formatReference(parseReference(name, "localhost"))] : [];
}
