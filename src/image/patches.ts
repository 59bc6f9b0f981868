/** The patches of the store: made when an image comes in, stacked in its containers' roots, removed with the last image. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Paths } from "../state/paths.ts";
import { type LayerStore, shortName } from "./layers.ts";
import { isOpaque } from "./marks.ts";
import { chainIds, makePatch, readLooseEnds } from "./patch.ts";

const SUFFIX = ".patch";

export class PatchStore {
  constructor(
    private readonly paths: Paths,
    private readonly layers: LayerStore,
  ) {}

  /** Beside the layers: overlay's list of directories names each by its last part. */
  #directory(chainId: string): string {
    return join(this.paths.layers, `${shortName(chainId)}${SUFFIX}`);
  }

  /** Where an image's patches lie, or would. */
  directories(diffIds: readonly string[]): string[] {
    return chainIds(diffIds).map(chainId => this.#directory(chainId));
  }

  /**
   * What is stacked for an image, topmost first: each layer below its patch. `diffIds` begin at the bottom. A layer that
   * the image has more than once has its say at the top; overlayfs takes no directory twice.
   */
  stack(diffIds: readonly string[]): string[] {
    const patches = this.directories(diffIds);
    const stacked = new Set<string>();
    for (const [index, diffId] of [...diffIds.entries()].reverse()) {
      if (existsSync(patches[index]!)) stacked.add(patches[index]!);
      const layer = this.layers.directory(diffId);
      stacked.add(layer);
      // overlayfs does not ask the root of a layer.
      if (isOpaque(layer)) break;
    }
    return [...stacked];
  }

  /**
   * Makes what patches an image needs and the store has not. All its layers are there, and the lock of the images is held.
   * Throws UserError for a hard link whose target is nowhere.
   */
  make(diffIds: readonly string[]): void {
    for (const [index, patch] of this.directories(diffIds).entries()) {
      const loose = readLooseEnds(this.layers.looseEndsPath(diffIds[index]!));
      if (!loose || existsSync(patch)) continue;
      const below = this.stack(diffIds.slice(0, index));
      this.layers.place(patch, staging =>
        makePatch(staging, this.layers.directory(diffIds[index]!), below, loose),
      );
    }
  }

  /** Makes an image's patches anew, its layers having changed. */
  renew(diffIds: readonly string[]): void {
    for (const patch of this.directories(diffIds)) this.layers.discard(patch);
    this.make(diffIds);
  }

  /** Removes the patches that none of `images` (the diff ids of each) has. The lock of the images is held. */
  drop(images: () => Iterable<readonly string[]>): void {
    const there = this.#list();
    if (there.length === 0) return;
    const used = new Set([...images()].flatMap(diffIds => this.directories(diffIds)));
    for (const patch of there) if (!used.has(patch)) this.layers.discard(patch);
  }

  #list(): string[] {
    if (!existsSync(this.paths.layers)) return [];
    return readdirSync(this.paths.layers)
      .filter(name => name.endsWith(SUFFIX))
      .map(name => join(this.paths.layers, name));
  }
}
