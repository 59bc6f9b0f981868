/**
 * Loose ends of layers: what a layer leaves to the layers below it, settled for one image.
 *
 * - A hard link to a file of a lower layer: overlayfs knows no links between layers, so the file is copied up.
 * - A directory that a layer names only in passing (`a/b` without `a/`): it must look as it does below.
 *
 * A layer is unpacked once for all images that have it, whatever lies below it in each, and one image's lower layers
 * must not show in another's. So what is settled goes into a small directory of its own, a patch, which is stacked just
 * above its layer and named by the chain of layers up to it (`ChainID`, OCI image-spec, config.md).
 */
import {
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  type Stats,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { hasCode, oneLine, UserError } from "../base/errors.ts";
import { copyAttributes, plainXattrs } from "./attributes.ts";
import { isHiddenByFile, isOpaque, isWhiteout } from "./marks.ts";
import type { LooseEnds } from "./unpack.ts";

/** `sha256:…` of the chain of layers up to each, bottom first. */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(
      below === undefined
        ? diffId
        : `sha256:${new Bun.CryptoHasher("sha256").update(`${below} ${diffId}`).digest("hex")}`,
    );
  }
  return chain;
}

/** The loose ends that were noted for a layer; undefined when it has none. */
export function readLooseEnds(path: string): LooseEnds | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as LooseEnds;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/**
 * Makes the patch `target` for `layer`, which lies on `below` (directories, topmost first). Gives false, and makes
 * nothing, when there is nothing to settle. Throws UserError for a link whose target is nowhere.
 */
export function makePatch(
  target: string,
  layer: string,
  below: readonly string[],
  loose: LooseEnds,
): boolean {
  const patch = new Patch(target, layer, below, new Set(loose.parents));
  for (const path of loose.parents) patch.parent(path);
  for (const [path, link] of loose.links) patch.link(path, link);
  return patch.isMade;
}

interface Entry {
  path: string;
  stats: Stats;
  /** It lies in a directory that shows nothing of those below it. */
  isAlone: boolean;
}
/** A name as one directory of a stack has it; "hidden" when it hides what is below. */
type Found = Entry | "hidden" | undefined;

class Patch {
  isMade = false;
  constructor(
    private readonly target: string,
    private readonly layer: string,
    private readonly below: readonly string[],
    private readonly implicit: ReadonlySet<string>,
  ) {}

  parent(path: string): void {
    const [own, lower] = [find(this.layer, path), this.#below(path)];
    if (isDirectory(own) && isDirectory(lower) && !sameAttributes(lower.path, own.path))
      this.#directory(path);
  }

  link(path: string, linked: string): void {
    const source = this.#below(linked);
    if (!source || !(source.stats.isFile() || source.stats.isSymbolicLink()))
      throw new UserError(
        `unpacking a layer: ${oneLine(path)} is a hard link to ${oneLine(linked)}, which is no file of this layer or of those below it`,
      );
    this.#directory(dirname(linked));
    const copy = join(this.target, linked);
    if (!exists(copy)) {
      if (source.stats.isSymbolicLink()) symlinkSync(readlinkSync(source.path), copy);
      else copyFileSync(source.path, copy);
      copyAttributes(source.path, copy);
    }
    this.#directory(dirname(path));
    linkSync(copy, join(this.target, path));
  }

  /** The directory in the patch, with what it has in the layer, or below where the layer says nothing of it. */
  #directory(path: string): void {
    if (path !== "/") this.#directory(dirname(path));
    const copy = join(this.target, path);
    const made = exists(copy);
    // A link that was made here must not be walked through: it may lead anywhere.
    if (made && !made.isDirectory())
      throw new UserError(`unpacking a layer: ${oneLine(path)} is a directory and a hard link`);
    if (made) return;
    const own = find(this.layer, path);
    const isOwn = isDirectory(own) && !this.implicit.has(path);
    const lower = isOwn ? undefined : this.#below(path);
    mkdirSync(copy, { mode: 0o755 });
    if (isOwn) copyAttributes(own.path, copy);
    else if (isDirectory(lower)) copyAttributes(lower.path, copy);
    this.isMade = true;
  }

  /** Where the layers below show `path`; undefined when they don't, or this layer hides it. */
  #below(path: string): Entry | undefined {
    const own = find(this.layer, path);
    if (own === "hidden" || own?.isAlone) return undefined;
    for (const directory of this.below) {
      const found = find(directory, path);
      if (found) return found === "hidden" ? undefined : found;
    }
    return undefined;
  }
}

const isDirectory = (found: Found): found is Entry => typeof found === "object" && found.stats.isDirectory();

/** Looks a name up part by part: nothing in a layer leads out of it. */
function find(directory: string, path: string): Found {
  const parts = path.split("/").filter(Boolean);
  let at = directory;
  let isAlone = isOpaque(directory);
  for (const [depth, part] of parts.entries()) {
    at = join(at, part);
    const stats = exists(at);
    if (!stats) return isAlone || isHiddenByFile(at) ? "hidden" : undefined;
    if (isWhiteout(stats)) return "hidden";
    if (depth === parts.length - 1) return { path: at, stats, isAlone };
    // A file, or a link, where those below may have a directory.
    if (!stats.isDirectory()) return "hidden";
    isAlone ||= isOpaque(at);
  }
  return { path: directory, stats: lstatSync(directory), isAlone: false };
}

function exists(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function sameAttributes(one: string, other: string): boolean {
  const [a, b] = [lstatSync(one), lstatSync(other)];
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && plainXattrs(one).length === 0;
}
