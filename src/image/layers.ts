/**
 * Layers: each unpacked once into a directory of its own, whose name is the start of its diff id (OCI image-spec,
 * config.md), so that overlay's list of directories stays short. The compressed blob is kept beside it: `save` gives
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
import { join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import { selfCommand } from "../base/self.ts";
import type { Paths } from "../state/paths.ts";
import { type Lock, lock, tryLock, withLock } from "../sys/flock.ts";

export interface LayerRecord {
  /** `sha256:…` of the uncompressed tar. */
  diffId: string;
  /** Bytes of the uncompressed tar. */
  size: number;
  /** `sha256:…` of the blob as it came. */
  blobDigest: string;
  blobSize: number;
}

export interface IngestOptions {
  /** What the blob and its content must hash to, where that is known. */
  blobDigest?: string;
  diffId?: string;
  onProgress?: (bytes: number) => void;
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
    return join(this.#paths.layers, diffId.replace("sha256:", "").slice(0, 32));
  }

  /** What a layer leaves to those below it, where it does. */
  looseEndsPath(diffId: string): string {
    return `${this.directory(diffId)}.loose`;
  }

  blobPath(digest: string): string {
    return join(this.#paths.root, "blobs", digest.replace("sha256:", ""));
  }

  find(diffId: string): LayerRecord | undefined {
    const row = this.#db.query("SELECT diff_id, size, blob FROM layer WHERE diff_id = ?").get(diffId) as {
      diff_id: string;
      size: number;
      blob: string;
    } | null;
    if (!row || !existsSync(this.directory(diffId))) return undefined;
    const [blobDigest = "", blobSize = "0"] = row.blob.split(" ");
    return { diffId, size: row.size, blobDigest, blobSize: Number(blobSize) };
  }

  /** Unpacks a blob (gzip, zstd or plain tar, told by its first bytes). What fails leaves nothing. */
  async ingest(source: AsyncIterable<Uint8Array>, options: IngestOptions = {}): Promise<LayerRecord> {
    const staging = join(this.#paths.layers, `.staging-${crypto.randomUUID()}`);
    const target = join(staging, "diff");
    const blob = join(staging, "blob");
    mkdirSync(this.#paths.layers, { recursive: true, mode: 0o700 });
    const held: Lock = lock(join(staging, "lock"));
    try {
      mkdirSync(target, { mode: 0o755 });
      const { record, looseEnds } = await this.#stream(source, target, blob, options);
      return withLock(this.#paths.lock("images"), () => this.#settle(record, target, blob, looseEnds));
    } catch (error) {
      if (hasCode(error, "ENOSPC"))
        throw new UserError("no space left on device while unpacking a layer", {
          hint: `free some space below ${this.#paths.root}`,
          cause: error,
        });
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
    options: IngestOptions,
  ): Promise<{ record: LayerRecord; looseEnds: string }> {
    const child = Bun.spawn([...selfCommand(), "__untar", target], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const looseEnds = new Response(child.stdout).text();
    const said = new Response(child.stderr).text();
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
        child.stdin.write(chunk);
        await child.stdin.flush();
      }
    } catch (error) {
      failure = error;
      child.kill();
    } finally {
      closeSync(fd);
    }
    // The child is gone when it refused the layer: its own words matter more than our broken pipe.
    await Promise.resolve(child.stdin.end()).catch(() => {});
    const code = await child.exited;
    const text = (await said).trim();
    if (text) throw new UserError(`unpacking a layer: ${text}`);
    if (failure) throw failure;
    if (code !== 0) throw new UserError(`unpacking a layer: the unpacker ended with code ${code}`);
    const record = {
      diffId: `sha256:${raw.digest("hex")}`,
      size,
      blobDigest: `sha256:${compressed.digest("hex")}`,
      blobSize,
    };
    if (options.blobDigest && record.blobDigest !== options.blobDigest)
      throw new UserError(
        `a layer does not match its digest: ${options.blobDigest} was asked for, ${record.blobDigest} came`,
      );
    if (options.diffId && record.diffId !== options.diffId)
      throw new UserError(
        `a layer does not match the image's configuration: ${options.diffId} was expected, ${record.diffId} came`,
      );
    return { record, looseEnds: await looseEnds };
  }

  /** Puts a finished layer into its place. Another process may have been faster: then its layer stands, and its blob. */
  #settle(record: LayerRecord, target: string, blob: string, looseEnds: string): LayerRecord {
    const known = this.find(record.diffId);
    if (known && existsSync(this.blobPath(known.blobDigest))) return known;
    const place = this.directory(record.diffId);
    if (looseEnds) writeFileSync(this.looseEndsPath(record.diffId), looseEnds);
    mkdirSync(join(this.#paths.root, "blobs"), { recursive: true, mode: 0o700 });
    renameSync(blob, this.blobPath(record.blobDigest));
    try {
      renameSync(target, place);
    } catch (error) {
      if (!hasCode(error, "EEXIST", "ENOTEMPTY")) throw error;
    }
    this.#db
      .query(
        "INSERT INTO layer (diff_id, size, blob, created) VALUES (?, ?, ?, ?) ON CONFLICT(diff_id) DO UPDATE SET blob = excluded.blob",
      )
      .run(record.diffId, record.size, `${record.blobDigest} ${record.blobSize}`, Date.now());
    return record;
  }

  /** Removes a layer that no image has any more. */
  remove(diffId: string): void {
    const record = this.find(diffId);
    this.#db.query("DELETE FROM layer WHERE diff_id = ?").run(diffId);
    rmSync(this.directory(diffId), { recursive: true, force: true });
    rmSync(this.looseEndsPath(diffId), { force: true });
    if (record) rmSync(this.blobPath(record.blobDigest), { force: true });
  }

  /** Removes what killed pulls left behind. */
  sweep(): void {
    if (!existsSync(this.#paths.layers)) return;
    for (const name of readdirSync(this.#paths.layers)) {
      if (!name.startsWith(".staging-")) continue;
      const staging = join(this.#paths.layers, name);
      const held = tryLock(join(staging, "lock"));
      if (!held) continue;
      rmSync(staging, { recursive: true, force: true });
      held.release();
    }
  }
}

/** The tar inside a blob, by the blob's first bytes. */
export async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  let head = new Uint8Array(0);
  while (head.length < 4) {
    const { value, done } = await iterator.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const all = async function* () {
    if (head.length) yield head;
    for (let step = await iterator.next(); !step.done; step = await iterator.next()) yield step.value;
  };
  const starts = (...bytes: number[]) => bytes.every((byte, index) => head[index] === byte);
  // Loaded here: it brings all of Node's streams with it.
  const { createGunzip, createZstdDecompress } = await import("node:zlib");
  const filter = starts(0x1f, 0x8b)
    ? createGunzip()
    : starts(0x28, 0xb5, 0x2f, 0xfd)
      ? createZstdDecompress()
      : undefined;
  if (!filter) return yield* all();
  const feed = (async () => {
    try {
      for await (const chunk of all())
        if (!filter.write(chunk)) await new Promise(resolve => filter.once("drain", resolve));
      filter.end();
    } catch (error) {
      filter.destroy(error as Error);
    }
  })();
  try {
    yield* filter as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw hasCode(error, "ENOSPC") || error instanceof UserError
      ? error
      : new UserError(`a layer can't be decompressed: ${(error as Error).message}`, { cause: error });
  }
  await feed;
}
