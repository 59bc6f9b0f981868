/** An image store of a test's own, and images made of layers that the test writes. */
import type { Database } from "bun:sqlite";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chooseDriver, type Driver } from "../../src/image/driver.ts";
import { mountRootfs, unmountRootfs } from "../../src/image/mount.ts";
import { ImageStore, sha256 } from "../../src/image/store.ts";
import type { ImageRecord } from "../../src/image/types.ts";
import { openDatabase } from "../../src/state/database.ts";
import { type PathOptions, Paths } from "../../src/state/paths.ts";
import { stream } from "./tar.ts";

export class TestStore implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "portolan-images-"));
  readonly paths: Paths;
  readonly db: Database;
  readonly images: ImageStore;

  readonly #size: number | undefined;

  /** `size` in KiB is that of a disk of the store's own; `at` is where a store lies that others use too. */
  constructor({ size, at }: { size?: number; at?: PathOptions } = {}) {
    this.#size = size;
    this.paths = new Paths(
      at ?? { root: join(this.directory, "root"), runRoot: join(this.directory, "run") },
    );
    if (size !== undefined) {
      const options = ["-t", "tmpfs", "-o", `size=${size}k`, "tmpfs"];
      const { exitCode, stderr } = Bun.spawnSync(["mount", ...options, this.make("root")]);
      if (exitCode !== 0) throw new Error(stderr.toString());
    }
    this.db = openDatabase(this.paths.database);
    this.images = new ImageStore(this.db, this.paths);
  }

  /** How root file systems are put up; the one that the environment's STORAGE_DRIVER names, or the best that works. */
  get driver(): Driver {
    return chooseDriver(this.paths);
  }

  /** Unpacks one layer and gives the directory that holds it. */
  async unpack(layer: Uint8Array): Promise<string> {
    const { diffId } = await this.images.layers.ingest(stream(layer));
    return this.images.layers.directory(diffId);
  }

  /** Records an image of these layers, plain tars, bottom first. */
  async image(...layers: Uint8Array[]): Promise<ImageRecord> {
    for (const layer of layers) await this.images.layers.ingest(stream(layer));
    const add = (config: Uint8Array, name: string) =>
      this.images.add({ config, manifest: config, manifestType: "test", names: [name], repoDigests: [] });
    return add(configOf(layers), `localhost/image-${this.images.list().length}:latest`);
  }

  /** Mounts an image's root file system; gives where, until `use` is done. */
  mounted<T>(image: ImageRecord, use: (root: string) => T): T {
    const at = mkdtempSync(join(this.directory, "container-"));
    const merged = join(at, "merged");
    const lower = this.images.layerDirectories(image);
    const driver = this.driver;
    mountRootfs({ driver, lower, upper: join(at, "upper"), work: join(at, "work"), merged });
    try {
      return use(merged);
    } finally {
      unmountRootfs(merged, driver);
    }
  }

  /** What the store has on disk and in its tables besides images: empty after a refusal. */
  leftovers(): string[] {
    const list = (path: string) => (existsSync(path) ? readdirSync(path).map(name => join(path, name)) : []);
    const rows = this.db.query("SELECT diff_id FROM layer").all() as { diff_id: string }[];
    return [
      ...list(this.paths.layers),
      ...list(join(this.paths.root, "blobs")),
      ...list(this.paths.images),
      ...list(this.images.scratch),
      ...rows.map(row => row.diff_id),
    ];
  }

  /** A directory of this test, made. */
  make(name: string): string {
    const path = join(this.directory, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  [Symbol.dispose](): void {
    this.db.close();
    if (this.#size !== undefined) Bun.spawnSync(["umount", join(this.directory, "root")]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** An image's configuration for layers given as plain tars, bottom first. */
export function configOf(layers: readonly Uint8Array[], more: Record<string, unknown> = {}): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify({
      created: "2024-01-02T03:04:05Z",
      architecture: "amd64",
      os: "linux",
      config: { Cmd: ["/bin/sh"] },
      rootfs: { type: "layers", diff_ids: layers.map(layer => `sha256:${sha256(layer)}`) },
      ...more,
    }),
  );
}

/** Bytes that don't compress, the same each time. */
export function noise(size: number, seed = 12345): Buffer {
  let state = seed;
  return Buffer.from(
    Uint8Array.from({ length: size }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 24;
    }),
  );
}
