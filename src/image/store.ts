/** Images in the store: records, names, and the layers that they hold in common. */
import type { Database } from "bun:sqlite";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import { recordEvent } from "../state/events.ts";
import type { Paths } from "../state/paths.ts";
import { type Lock, lock, tryLock, withLock } from "../sys/flock.ts";
import { FULL, LayerStore, noSpace } from "./layers.ts";
import { parseConfig } from "./parse-config.ts";
import { PatchStore } from "./patches.ts";
import { formatReference, parseReference, repositoryName, splitReference } from "./reference.ts";
import { squashesOwners } from "./storage-conf.ts";
import type { ImageRecord } from "./types.ts";

interface Row {
  id: string;
  record: string;
}

export interface NewImage {
  config: Uint8Array;
  manifest: Uint8Array;
  manifestType: string;
  names: readonly string[];
  repoDigests: readonly string[];
  /** Of the index that led to the manifest, where one did. */
  digest?: string;
}

export const sha256 = (data: Uint8Array) => new Bun.CryptoHasher("sha256").update(data).digest("hex");

export class ImageStore {
  readonly #db: Database;
  readonly #paths: Paths;
  readonly layers: LayerStore;
  readonly #patches: PatchStore;

  constructor(db: Database, paths: Paths) {
    this.#db = db;
    this.#paths = paths;
    this.layers = new LayerStore(db, paths);
    this.#patches = new PatchStore(paths, this.layers);
  }

  /** Unpacks layers anew that were squashed while the user had but one id, if there are more now. */
  async renew(image: ImageRecord): Promise<void> {
    const diffIds = image.config.rootfs.diff_ids;
    const stale = diffIds.flatMap(diffId => this.layers.find(diffId) ?? []).filter(one => one.squashed);
    if (stale.length === 0 || squashesOwners()) return;
    using _session = this.beginImport();
    for (const { diffId, blobDigest } of stale)
      await this.layers.ingest(createReadStream(this.layers.blobPath(blobDigest)), { blobDigest, diffId });
    withLock(this.#paths.lock("images"), () => this.#patches.renew(diffIds));
  }

  /** Where archives are taken apart. */
  get scratch(): string {
    return join(this.#paths.root, "tmp");
  }

  /** Writes an image's event into the diary. */
  recordEvent(status: string, id: string, name: string): void {
    recordEvent(this.#db, { type: "image", status, id, name });
  }

  #names(id: string): string[] {
    return (
      this.#db.query("SELECT name FROM image_name WHERE image_id = ? ORDER BY rowid").all(id) as {
        name: string;
      }[]
    ).map(row => row.name);
  }

  #record(row: Row): ImageRecord {
    return { ...(JSON.parse(row.record) as ImageRecord), names: this.#names(row.id) };
  }

  /** Newest first. */
  list(): ImageRecord[] {
    return (this.#db.query("SELECT id, record FROM image ORDER BY created DESC").all() as Row[]).map(row =>
      this.#record(row),
    );
  }

  byId(id: string): ImageRecord | undefined {
    const row = this.#db.query("SELECT id, record FROM image WHERE id = ?").get(id) as Row | null;
    return row ? this.#record(row) : undefined;
  }

  /** By name (short, with or without tag, by digest) or by id (whole, or its start). */
  find(text: string): ImageRecord | undefined {
    return this.#byName(text) ?? this.#byIdPrefix(text.replace(/^sha256:/, ""));
  }

  #byIdPrefix(prefix: string): ImageRecord | undefined {
    if (!/^[0-9a-f]{3,64}$/.test(prefix)) return undefined;
    const rows = this.#db
      .query("SELECT id, record FROM image WHERE id >= ? AND id < ? LIMIT 2")
      .all(prefix, `${prefix}g`) as Row[];
    if (rows.length > 1)
      throw new UserError(
        `image ID ${JSON.stringify(prefix)} is ambiguous: more than one image begins with it`,
      );
    return rows[0] && this.#record(rows[0]);
  }

  #byName(text: string): ImageRecord | undefined {
    let parts: ReturnType<typeof splitReference>;
    try {
      parts = splitReference(text);
    } catch {
      return undefined;
    }
    if (parts.digest) {
      const wanted = parts.digest;
      const suffix = parts.registry ? repositoryName(parseReference(text)) : parts.repository;
      return this.list().find(image =>
        image.repoDigests.some(
          one => one.endsWith(`@${wanted}`) && (one === `${suffix}@${wanted}` || one.includes(`/${suffix}@`)),
        ),
      );
    }
    const exact = parts.registry
      ? [formatReference(parseReference(text))]
      : [formatReference(parseReference(text, "localhost")), formatReference(parseReference(text))];
    for (const name of exact) {
      const row = this.#db
        .query("SELECT image.id, record FROM image_name JOIN image ON image.id = image_id WHERE name = ?")
        .get(name) as Row | null;
      if (row) return this.#record(row);
    }
    if (parts.registry) return undefined;
    // `opensuse/leap` also means `registry.opensuse.org/opensuse/leap`: whatever was pulled under that short name.
    const tail = `/${parts.repository}:${parts.tag ?? "latest"}`;
    const row = this.#db
      .query(
        "SELECT image.id, record FROM image_name JOIN image ON image.id = image_id WHERE substr(name, -length(?)) = ? LIMIT 1",
      )
      .get(tail, tail) as Row | null;
    return row ? this.#record(row) : undefined;
  }

  get(text: string): ImageRecord {
    const image = this.find(text);
    if (!image) throw new UserError(`${text}: image not known`, { status: 404 });
    return image;
  }

  /** Directories to stack, topmost first: layers, and what settles their loose ends. */
  layerDirectories(image: ImageRecord): string[] {
    return this.#patches.stack(image.config.rootfs.diff_ids);
  }

  config(id: string): Uint8Array {
    return readFileSync(join(this.#paths.images, id, "config.json"));
  }

  manifest(id: string): Uint8Array {
    return readFileSync(join(this.#paths.images, id, "manifest.json"));
  }

  /** Records an image whose layers are all in the store; names move to it from other images. */
  add(image: NewImage): ImageRecord {
    const id = sha256(image.config);
    const config = parseConfig(image.config);
    return withLock(this.#paths.lock("images"), () => {
      const layers = config.rootfs.diff_ids.map(diffId => {
        const layer = this.layers.find(diffId);
        if (!layer) throw new UserError(`layer ${diffId} of image ${id.slice(0, 12)} is not in the store`);
        return layer;
      });
      this.#patches.make(config.rootfs.diff_ids);
      const known = this.byId(id);
      const record: Omit<ImageRecord, "names"> = {
        id,
        digest: image.digest ?? `sha256:${sha256(image.manifest)}`,
        repoDigests: [...new Set([...(known?.repoDigests ?? []), ...image.repoDigests])],
        created: config.created ?? "1970-01-01T00:00:00Z",
        size: layers.reduce((sum, layer) => sum + layer.size, 0),
        manifestType: image.manifestType,
        config,
      };
      try {
        this.#write(record, image);
      } catch (error) {
        if (!known) rmSync(join(this.#paths.images, id), { recursive: true, force: true });
        throw hasCode(error, ...FULL) ? noSpace("while storing an image", this.#paths.root, error) : error;
      }
      return this.byId(id)!;
    });
  }

  #write(record: Omit<ImageRecord, "names">, image: NewImage): void {
    const { id } = record;
    const directory = join(this.#paths.images, id);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const [name, data] of [
      ["config.json", image.config],
      ["manifest.json", image.manifest],
    ] as const) {
      writeFileSync(join(directory, `${name}.new`), data);
      renameSync(join(directory, `${name}.new`), join(directory, name));
    }
    this.#db
      .transaction(() => {
        this.#db
          .query(
            "INSERT INTO image (id, digest, created, size, record) VALUES (?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET record = excluded.record, digest = excluded.digest",
          )
          .run(id, record.digest, record.created, record.size, JSON.stringify(record));
        record.config.rootfs.diff_ids.forEach((diffId, position) => {
          this.#db
            .query("INSERT OR IGNORE INTO image_layer (image_id, position, diff_id) VALUES (?, ?, ?)")
            .run(id, position, diffId);
        });
        for (const name of image.names)
          this.#db.query("INSERT OR REPLACE INTO image_name (name, image_id) VALUES (?, ?)").run(name, id);
      })
      .immediate();
  }

  /**
   * To be held while layers come in that no image has yet. Nobody else being at it, what killed imports have left behind is
   * removed first.
   */
  beginImport(): Lock {
    this.sweep();
    return lock(this.#paths.lock("imports"), { shared: true });
  }

  /** Removes what killed commands have left behind, unless an import is going on. */
  sweep(): void {
    using alone = tryLock(this.#paths.lock("imports"));
    if (!alone) return;
    withLock(this.#paths.lock("images"), () => {
      this.#dropUnused();
      const images = this.#allLayers();
      this.layers.sweep(new Set([...images.values()].flatMap(diffIds => this.#patches.directories(diffIds))));
      if (existsSync(this.#paths.images))
        for (const id of readdirSync(this.#paths.images))
          if (!images.has(id)) rmSync(join(this.#paths.images, id), { recursive: true, force: true });
      rmSync(this.scratch, { recursive: true, force: true });
    });
  }

  /** The diff ids of each image, bottom first. */
  #allLayers(): Map<string, string[]> {
    const layers = new Map<string, string[]>();
    for (const { id } of this.#db.query("SELECT id FROM image").all() as { id: string }[]) layers.set(id, []);
    const rows = this.#db.query("SELECT image_id, diff_id FROM image_layer ORDER BY position").all();
    for (const { image_id, diff_id } of rows as { image_id: string; diff_id: string }[])
      layers.get(image_id)!.push(diff_id);
    return layers;
  }

  /** Removes layers, of those given or of all, that no image has; and patches. */
  dropUnused(diffIds?: readonly string[]): void {
    withLock(this.#paths.lock("images"), () => this.#dropUnused(diffIds));
  }

  #dropUnused(diffIds?: readonly string[]): void {
    const unused = this.#db
      .query("SELECT diff_id FROM layer WHERE diff_id NOT IN (SELECT diff_id FROM image_layer)")
      .all() as { diff_id: string }[];
    for (const { diff_id } of unused) if (!diffIds || diffIds.includes(diff_id)) this.layers.remove(diff_id);
    this.#patches.drop(() => this.#allLayers().values());
  }

  tag(image: ImageRecord, name: string): void {
    this.#db
      .query("INSERT OR REPLACE INTO image_name (name, image_id) VALUES (?, ?)")
      .run(formatReference(parseReference(name, "localhost")), image.id);
  }

  untag(image: ImageRecord, name: string): void {
    this.#db.query("DELETE FROM image_name WHERE name = ? AND image_id = ?").run(name, image.id);
  }

  /** Removes an image and the layers that no other image holds. */
  remove(image: ImageRecord): void {
    withLock(this.#paths.lock("images"), () => {
      this.#db.query("DELETE FROM image WHERE id = ?").run(image.id);
      this.#dropUnused(image.config.rootfs.diff_ids);
      rmSync(join(this.#paths.images, image.id), { recursive: true, force: true });
    });
  }
}
