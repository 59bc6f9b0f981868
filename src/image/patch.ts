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
  chmodSync,
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
import { hasCode, UserError } from "../base/errors.ts";
import { getXattr, lchown, listXattrs, setMtime, setXattr } from "../sys/file.ts";
import { isWhiteout, type LooseEnds } from "./unpack.ts";

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

class Patch {
  isMade = false;
  constructor(
    private readonly target: string,
    private readonly layer: string,
    private readonly below: readonly string[],
    private readonly implicit: ReadonlySet<string>,
  ) {}

  parent(path: string): void {
    const lower = this.#below(path);
    if (lower && !sameAttributes(lower, join(this.layer, path))) this.#directory(path);
  }

  link(path: string, linked: string): void {
    const source = this.#below(linked);
    const stats = source === undefined ? undefined : lstatSync(source);
    if (source === undefined || !(stats?.isFile() || stats?.isSymbolicLink()))
      throw new UserError(
        `unpacking a layer: ${path} is a hard link to ${linked}, which is no file of this layer or of those below it`,
      );
    const copy = join(this.target, linked);
    this.#directory(dirname(linked));
    if (!exists(copy)) {
      if (stats.isSymbolicLink()) symlinkSync(readlinkSync(source), copy);
      else copyFileSync(source, copy);
      copyAttributes(source, copy);
    }
    this.#directory(dirname(path));
    linkSync(copy, join(this.target, path));
  }

  /** The directory in the patch, with what it has in the layer, or below where the layer says nothing of it. */
  #directory(path: string): void {
    const copy = join(this.target, path);
    if (exists(copy)) return;
    if (path === "/") mkdirSync(copy, { mode: 0o755 });
    else {
      this.#directory(dirname(path));
      const own = join(this.layer, path);
      const isOwn = exists(own)?.isDirectory() && !this.implicit.has(path);
      const source = isOwn ? own : (this.#below(path) ?? own);
      mkdirSync(copy);
      copyAttributes(source, copy);
    }
    this.isMade = true;
  }

  /** Where the layers below show `path`; undefined when they don't, or this layer hides it. */
  #below(path: string): string | undefined {
    for (const [index, directory] of [this.layer, ...this.below].entries()) {
      let at = directory;
      let isOpaque = false;
      const parts = path.split("/").slice(1);
      for (const [depth, part] of parts.entries()) {
        at = join(at, part);
        const stats = exists(at);
        if (!stats) break;
        if (isWhiteout(stats)) return undefined;
        if (index > 0 && depth === parts.length - 1) return at;
        if (!stats.isDirectory()) return undefined;
        isOpaque ||= getXattr(at, "trusted.overlay.opaque") !== undefined;
      }
      if (isOpaque) return undefined;
    }
    return undefined;
  }
}

function exists(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

const plainXattrs = (path: string) =>
  listXattrs(path).filter(name => !name.startsWith("trusted.overlay.") && !name.startsWith("user.overlay."));

function sameAttributes(one: string, other: string): boolean {
  const [a, b] = [lstatSync(one), lstatSync(other)];
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && plainXattrs(one).length === 0;
}

function copyAttributes(from: string, to: string): void {
  const stats = lstatSync(from, { bigint: true });
  lchown(to, Number(stats.uid), Number(stats.gid));
  if (!stats.isSymbolicLink()) chmodSync(to, Number(stats.mode) & 0o7777);
  for (const name of plainXattrs(from)) setXattr(to, name, getXattr(from, name)!);
  const second = 1_000_000_000n;
  const nanoseconds = ((stats.mtimeNs % second) + second) % second;
  setMtime(to, Number((stats.mtimeNs - nanoseconds) / second), Number(nanoseconds));
}
