/**
 * Layers: each unpacked once into a directory of its own, whose name is the start of its diff id (OCI image-spec,
 * config.md), written short for overlay's list of directories. The compressed blob is kept beside it: `save` gives
 * back, byte for byte, what came.
 *
 * A layer is made in a staging directory whose lock its maker holds, and takes its place by one rename.
 */
import type { Database } from "bun:sqlite";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import type { Paths } from "../state/paths.ts";
import { type Lock, lock, tryLock, withLock } from "../sys/flock.ts";
import { decompress } from "./decompress.ts";
import { marksFor } from "./marks.ts";
import { squashesOwners } from "./storage-conf.ts";
import { Untar } from "./untar.ts";

/** How names begin of what is being made, and of what is being removed. */
const STAGING = ".staging-";
const TRASH = ".trash-";
/** What stands between the name of a layer and that of a user namespace's map, in the name of a copy (mapped.ts). */
const MAPPED = "-";
const MAPPED_NAME = /^(.*)-([0-9a-f]{8})$/;
const MAPPED_LOCK = "mapped-layers";

/** What the kernel and the database say of a full disk. */
export const FULL = ["ENOSPC", "EDQUOT", "SQLITE_FULL"];

export interface LayerRecord {
  /** `sha256:…` of the uncompressed tar. */
  diffId: string;
  /** Bytes of the uncompressed tar. */
  size: number;
  /** `sha256:…` of the blob as it came. */
  blobDigest: string;
  blobSize: number;
  /** Unpacked while files of other owners had to become the user's own (storage-conf.ts). */
  squashed?: boolean;
}

export interface IngestOptions {
  /** What the blob and its content must hash to, where that is known. */
  blobDigest?: string;
  diffId?: string;
  onProgress?: (bytes: number) => void;
}

/** The first 128 bits of a digest in base 32: 127 layers, which is what Docker stops at, fit into overlay's options. */
export function shortName(digest: string): string {
  return BigInt(`0x${digest.slice("sha256:".length, "sha256:".length + 32)}`)
    .toString(32)
    .padStart(26, "0");
}

export class LayerStore {
  readonly #db: Database;
  readonly #paths: Paths;

  constructor(db: Database, paths: Paths) {
    this.#db = db;
    this.#paths = paths;
  }

  /** Where a layer lies, unpacked. */
  directory(diffId: string): string {
    return join(this.#paths.layers, shortName(diffId));
  }

  /** What a layer leaves to those below it, where it does. */
  looseEndsPath(diffId: string): string {
    return `${this.directory(diffId)}.loose`;
  }

  blobPath(digest: string): string {
    return join(this.#blobs, digest.replace("sha256:", ""));
  }

  get #blobs(): string {
    return join(this.#paths.root, "blobs");
  }

  find(diffId: string): LayerRecord | undefined {
    const row = this.#db.query("SELECT diff_id, size, blob FROM layer WHERE diff_id = ?").get(diffId) as {
      diff_id: string;
      size: number;
      blob: string;
    } | null;
    if (!row || !existsSync(this.directory(diffId))) return undefined;
    const [blobDigest = "", blobSize = "0", squashed] = row.blob.split(" ");
    return {
      diffId,
      size: row.size,
      blobDigest,
      blobSize: Number(blobSize),
      squashed: squashed !== undefined,
    };
  }

  /** Unpacks a blob (gzip, zstd or plain tar, told by its first bytes). What fails leaves nothing. */
  async ingest(source: AsyncIterable<Uint8Array>, options: IngestOptions = {}): Promise<LayerRecord> {
    const staging = join(this.#paths.layers, `${STAGING}${crypto.randomUUID()}`);
    const target = join(staging, "diff");
    const blob = join(staging, "blob");
    mkdirSync(this.#paths.layers, { recursive: true, mode: 0o700 });
    const held: Lock = lock(join(staging, "lock"));
    try {
      mkdirSync(target, { mode: 0o755 });
      const { record, looseEnds } = await this.#stream(source, target, blob, held, options);
      const noted = looseEnds ? join(staging, "loose") : undefined;
      if (noted) writeFileSync(noted, looseEnds);
      return withLock(this.#paths.lock("images"), () => this.#settle(record, target, blob, noted));
    } catch (error) {
      if (hasCode(error, "ENOSPC")) throw noSpace("while unpacking a layer", this.#paths.root, error);
      throw error;
    } finally {
      rmSync(staging, { recursive: true, force: true });
      held.release();
    }
  }

  async #stream(
    source: AsyncIterable<Uint8Array>,
    target: string,
    blob: string,
    held: Lock,
    options: IngestOptions,
  ): Promise<{ record: LayerRecord; looseEnds: string }> {
    const squashed = squashesOwners();
    const child = new Untar(target, held, { marks: marksFor(dirname(target)), squash: squashed });
    const compressed = new Bun.CryptoHasher("sha256");
    const raw = new Bun.CryptoHasher("sha256");
    let [blobSize, size] = [0, 0];
    const fd = openSync(blob, "wx", 0o600);
    const tee = async function* () {
      for await (const chunk of source) {
        compressed.update(chunk);
        for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
        blobSize += chunk.length;
        options.onProgress?.(blobSize);
        yield chunk;
      }
    };
    let failure: unknown;
    try {
      for await (const chunk of decompress(tee())) {
        raw.update(chunk);
        size += chunk.length;
        await child.write(chunk);
      }
    } catch (error) {
      failure = error;
    } finally {
      closeSync(fd);
    }
    const looseEnds = await child.end(failure);
    const record = {
      diffId: `sha256:${raw.digest("hex")}`,
      size,
      blobDigest: `sha256:${compressed.digest("hex")}`,
      blobSize,
      squashed,
    };
    if (options.blobDigest && record.blobDigest !== options.blobDigest)
      throw new UserError(
        `a layer does not match its digest: ${options.blobDigest} was asked for, ${record.blobDigest} came`,
      );
    if (options.diffId && record.diffId !== options.diffId)
      throw new UserError(
        `a layer does not match the image's configuration: ${options.diffId} was expected, ${record.diffId} came`,
      );
    return { record, looseEnds };
  }

  /** Puts a finished layer into its place. Another process may have been faster: then its layer stands, and its blob. */
  #settle(record: LayerRecord, target: string, blob: string, looseEnds: string | undefined): LayerRecord {
    const found = this.find(record.diffId);
    // One that was squashed gives way to one that was not.
    const known = found?.squashed && !record.squashed ? undefined : found;
    if (known && existsSync(this.blobPath(known.blobDigest))) return known;
    try {
      mkdirSync(this.#blobs, { recursive: true, mode: 0o700 });
      renameSync(blob, this.blobPath(record.blobDigest));
      if (!known) {
        // What lies there without a record is what a killed removal has left of it.
        this.discard(this.directory(record.diffId));
        if (looseEnds) renameSync(looseEnds, this.looseEndsPath(record.diffId));
        renameSync(target, this.directory(record.diffId));
      }
      this.#db
        .query(
          "INSERT INTO layer (diff_id, size, blob, created) VALUES (?, ?, ?, ?) ON CONFLICT(diff_id) DO UPDATE SET blob = excluded.blob",
        )
        .run(
          record.diffId,
          record.size,
          `${record.blobDigest} ${record.blobSize}${(known ?? record).squashed ? " squashed" : ""}`,
          Date.now(),
        );
    } catch (error) {
      if (!known) this.#erase(record);
      throw error;
    }
    return record;
  }

  /** Removes a layer that no image has any more. */
  remove(diffId: string): void {
    const record = this.find(diffId);
    this.#db.query("DELETE FROM layer WHERE diff_id = ?").run(diffId);
    this.#erase({ diffId, ...record });
  }

  #erase({ diffId, blobDigest }: Pick<LayerRecord, "diffId"> & Partial<LayerRecord>): void {
    this.discard(this.directory(diffId));
    rmSync(this.looseEndsPath(diffId), { force: true });
    if (blobDigest) rmSync(this.blobPath(blobDigest), { force: true });
  }

  /** Removes a layer or a patch with its copies for user namespaces. The lock of the images is held. */
  discard(directory: string): void {
    for (const path of entries(this.#paths.layers))
      if (path.startsWith(`${directory}${MAPPED}`)) this.#discard(path);
    this.#discard(directory);
  }

  /** Removes a directory at once for all who look, and its files then. */
  #discard(directory: string): void {
    const trash = join(this.#paths.layers, `${TRASH}${crypto.randomUUID()}`);
    try {
      renameSync(directory, trash);
    } catch (error) {
      if (hasCode(error, "ENOENT")) return;
      // A full disk may have no room for another name.
      if (!hasCode(error, ...FULL)) throw error;
      rmSync(directory, { recursive: true, force: true });
    }
    rmSync(trash, { recursive: true, force: true });
  }

  /** The copy of a layer or patch for a user namespace whose maps are called `map`, made unless it is there. */
  ensureMapped(original: string, map: string, make: (staging: string) => void): string {
    const directory = `${original}${MAPPED}${map}`;
    return withLock(this.#paths.lock(MAPPED_LOCK), () => {
      if (existsSync(directory)) return directory;
      try {
        this.place(directory, staging => {
          make(staging);
          return true;
        });
      } catch (error) {
        if (hasCode(error, ...FULL)) throw noSpace("while copying a layer", this.#paths.root, error);
        throw error;
      }
      return directory;
    });
  }

  /** Removes such copies for maps that are not in use. Who begins to use one is known before asking for a copy. */
  dropMapped(inUse: () => ReadonlySet<string>): void {
    withLock(this.#paths.lock(MAPPED_LOCK), () => {
      const maps = inUse();
      for (const path of entries(this.#paths.layers)) {
        const map = MAPPED_NAME.exec(path)?.[2];
        if (map && !maps.has(map)) this.#discard(path);
      }
    });
  }

  /** Makes a directory by `make` and gives it its place by one rename, unless `make` says that it is not needed. */
  place(directory: string, make: (staging: string) => boolean): void {
    const staging = join(this.#paths.layers, `${STAGING}${crypto.randomUUID()}`);
    using _held = lock(join(staging, "lock"));
    try {
      if (make(join(staging, "diff"))) renameSync(join(staging, "diff"), directory);
    } finally {
      rmSync(staging, { recursive: true, force: true });
    }
  }

  /**
   * Removes what commands that were killed have left behind: layers half made or half removed, and blobs and directories
   * without a record but for those in `keep`. The lock of the images is held.
   */
  sweep(keep: ReadonlySet<string>): void {
    const rows = this.#db.query("SELECT diff_id, blob FROM layer").all() as {
      diff_id: string;
      blob: string;
    }[];
    const known = new Set(
      rows.flatMap(({ diff_id, blob }) => [
        this.directory(diff_id),
        this.looseEndsPath(diff_id),
        this.blobPath(blob.split(" ")[0]!),
      ]),
    );
    for (const path of [...entries(this.#paths.layers), ...entries(this.#blobs)]) {
      const original = MAPPED_NAME.exec(path)?.[1] ?? path;
      if (known.has(original) || keep.has(original)) continue;
      if (!basename(path).startsWith(STAGING)) {
        rmSync(path, { recursive: true, force: true });
        continue;
      }
      using held = tryLock(join(path, "lock"));
      if (held) rmSync(path, { recursive: true, force: true });
    }
  }
}

/** What to say of a full disk. */
export function noSpace(when: string, directory: string, cause: unknown): UserError {
  return new UserError(`no space left on device ${when}`, {
    hint: `free some space below ${directory}`,
    cause,
  });
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory).map(name => join(directory, name));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}
