/**
 * A root file system as plain copies, where no overlay can be mounted: the layers' merged view, written into one directory.
 * Slow and large, but right anywhere. Contents are shared with the layers where the file system can (reflinks); hard
 * links to them would let a container write into its image.
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
import { copyAttributes } from "./attributes.ts";
import { isHiddenByFile, isOpaque, isWhiteout, WHITEOUT } from "./marks.ts";

/** Fills the new directory `target` with what `layers`, topmost first, show together. */
export function copyLayers(layers: readonly string[], target: string): void {
  mkdirSync(target, { mode: 0o700 });
  new Copier().directory(untilOpaque(layers), target);
}

/** The directories of a stack up to the first one that shows nothing of those below it. */
function untilOpaque(stack: readonly string[]): string[] {
  const end = stack.findIndex(isOpaque);
  return end < 0 ? [...stack] : stack.slice(0, end + 1);
}

class Copier {
  /** Where files with more than one name were copied to, by device and inode. */
  readonly #linked = new Map<string, string>();

  directory(stack: readonly string[], target: string): void {
    const done = new Set<string>();
    for (const directory of stack)
      for (const name of readdirSync(directory)) {
        if (done.has(name) || name.startsWith(WHITEOUT)) continue;
        done.add(name);
        this.#entry(stack, name, join(target, name));
      }
    // Last, lest its mode keep us out and its time change.
    copyAttributes(stack[0]!, target);
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
    this.directory(untilOpaque(directories), target);
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
    copyAttributes(path, target);
    if (stats.nlink > 1) this.#linked.set(key, target);
  }
}

/** makedev(3), undone. */
const major = (device: number) => (device >> 8) & 0xfff;
const minor = (device: number) => (device & 0xff) | (Math.floor(device / 0x100000) << 8);
