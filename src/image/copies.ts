/**
 * Copies of layers.
 *
 * - A root file system where no overlay can be mounted: the layers' merged view, written into one directory. Slow and
 *   large, but right anywhere.
 * - One layer as a user namespace sees it, whiteouts and all, its owners mapped.
 *
 * Contents are shared with the layers where the file system can (reflinks); hard links to them would let a container write
 * into its image.
 */
import {
  constants,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  type Stats,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { mknod } from "../sys/file.ts";
import type { IdMaps } from "../sys/user-namespace.ts";
import { copyAttributes } from "./attributes.ts";
import { isHiddenByFile, isOpaque, isWhiteout, WHITEOUT } from "./marks.ts";

/** Fills the new directory `target` with what `layers`, topmost first, show together; to the namespace of `ids`, if any. */
export function copyLayers(layers: readonly string[], target: string, ids?: IdMaps): void {
  mkdirSync(target, { mode: 0o700 });
  new Copier(ids, false).merged(untilOpaque(layers), target);
}

/** Makes `target` a copy of one layer, with the owners that it has to the namespace of `ids`. */
export function copyLayer(layer: string, target: string, ids: IdMaps): void {
  mkdirSync(target, { mode: 0o700 });
  new Copier(ids, true).tree(layer, target);
}

/** The directories of a stack up to the first one that shows nothing of those below it. */
function untilOpaque(stack: readonly string[]): string[] {
  const end = stack.findIndex(isOpaque);
  return end < 0 ? [...stack] : stack.slice(0, end + 1);
}

class Copier {
  /** Where files with more than one name were copied to, by device and inode. */
  readonly #linked = new Map<string, string>();

  constructor(
    private readonly ids: IdMaps | undefined,
    private readonly marks: boolean,
  ) {}

  tree(from: string, target: string): void {
    for (const name of readdirSync(from)) {
      const path = join(from, name);
      const stats = lstatSync(path);
      if (stats.isDirectory()) {
        mkdirSync(join(target, name), { mode: 0o700 });
        this.tree(path, join(target, name));
      } else this.#file(path, stats, join(target, name));
    }
    this.#attributes(from, target);
  }

  merged(stack: readonly string[], target: string): void {
    const done = new Set<string>();
    for (const directory of stack)
      for (const name of readdirSync(directory)) {
        if (done.has(name) || name.startsWith(WHITEOUT)) continue;
        done.add(name);
        this.#entry(stack, name, join(target, name));
      }
    // Last, lest its mode keep us out and its time change.
    this.#attributes(stack[0]!, target);
  }

  /** One name, as those of the stack show it that lie above the first which hides it. */
  #entry(stack: readonly string[], name: string, target: string): void {
    const directories: string[] = [];
    for (const parent of stack) {
      const path = join(parent, name);
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (!stats && !isHiddenByFile(path)) continue;
      if (!stats || isWhiteout(stats)) break;
      if (!stats.isDirectory()) {
        if (directories.length === 0) this.#file(path, stats, target);
        break;
      }
      directories.push(path);
    }
    if (directories.length === 0) return;
    mkdirSync(target, { mode: 0o700 });
    this.merged(untilOpaque(directories), target);
  }

  #file(path: string, stats: Stats, target: string): void {
    const key = `${stats.dev}:${stats.ino}`;
    const linked = stats.nlink > 1 ? this.#linked.get(key) : undefined;
    if (linked) {
      linkSync(linked, target);
      return;
    }
    if (stats.isFile()) copyFileSync(path, target, constants.COPYFILE_FICLONE);
    else if (stats.isSymbolicLink()) symlinkSync(readlinkSync(path), target);
    else mknod(target, stats.mode, major(stats.rdev), minor(stats.rdev));
    if (!isWhiteout(stats)) this.#attributes(path, target);
    if (stats.nlink > 1) this.#linked.set(key, target);
  }

  #attributes(from: string, to: string): void {
    copyAttributes(from, to, { ids: this.ids, marks: this.marks });
  }
}

/** makedev(3), undone. */
const major = (device: number) => (device >> 8) & 0xfff;
const minor = (device: number) => (device & 0xff) | (Math.floor(device / 0x100000) << 8);
