/** What a container has changed of its image: its own directory against the layers below. */
import { existsSync, lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { join } from "node:path";
import type { Driver } from "./driver.ts";
import { isHiddenByFile, isOpaque, isWhiteout, OPAQUE_MARK, WHITEOUT } from "./marks.ts";

/** How fuse-overlayfs marks an opaque directory besides. */
const FUSE_OPAQUE = ".wh..opq";

export interface Change {
  kind: "added" | "changed" | "deleted";
  /** In the container. */
  path: string;
  /** Where it lies, as it is now; undefined for what is deleted. */
  source?: string;
  /** A directory that shows nothing of those below, though there are. */
  opaque?: boolean;
}

/** `directory` is the container's: its changes alone, or all of it where there is no overlay. `layers` are topmost first. */
export function* changes(
  driver: Driver,
  directory: string,
  layers: readonly string[],
): Generator<Change, void, undefined> {
  const below = new Below(layers);
  yield* driver === "vfs" ? compared(directory, "", below) : written(directory, "", below);
}

/** A stack of layers, as what is put up of it would show it. */
class Below {
  constructor(private readonly layers: readonly string[]) {}

  /** Where the name `path` (`/etc/group`) is found, itself and not what it points to; undefined where nothing is. */
  find(path: string): { source: string; stats: Stats } | undefined {
    for (const layer of this.layers) {
      const source = `${layer}${path}`;
      const stats = lstatSync(source, { throwIfNoEntry: false });
      if (stats) return isWhiteout(stats) ? undefined : { source, stats };
      if (isHiddenByFile(source) || this.#isClosed(layer, path)) return undefined;
    }
    return undefined;
  }

  /** True where the layer keeps those below it from showing anything at `path`. */
  #isClosed(layer: string, path: string): boolean {
    for (let at = path.lastIndexOf("/"); at >= 0; at = path.lastIndexOf("/", at - 1)) {
      const above = `${layer}${path.slice(0, at)}`;
      const stats = lstatSync(above, { throwIfNoEntry: false });
      if (stats ? !stats.isDirectory() || isOpaque(above) : at > 0 && isHiddenByFile(above)) return true;
      if (at === 0) break;
    }
    return false;
  }

  /** Names in the directory `path`. */
  names(path: string): string[] {
    const names = new Set<string>();
    for (const layer of this.layers) {
      const source = `${layer}${path}`;
      if (lstatSync(source, { throwIfNoEntry: false })?.isDirectory())
        for (const name of readdirSync(source)) if (!name.startsWith(WHITEOUT)) names.add(name);
    }
    return [...names].filter(name => this.find(`${path}/${name}`)).sort();
  }
}

/** What an overlay's upper directory holds. */
function* written(directory: string, parent: string, below: Below): Generator<Change, void, undefined> {
  for (const name of readdirSync(join(directory, parent)).sort()) {
    if (name === OPAQUE_MARK || name === FUSE_OPAQUE) continue;
    if (name.startsWith(WHITEOUT)) {
      yield { kind: "deleted", path: `${parent}/${name.slice(WHITEOUT.length)}` };
      continue;
    }
    const path = `${parent}/${name}`;
    const source = `${directory}${path}`;
    const stats = lstatSync(source, { throwIfNoEntry: false });
    if (!stats) continue;
    const before = below.find(path);
    if (isWhiteout(stats)) {
      if (before) yield { kind: "deleted", path };
      continue;
    }
    const opaque =
      stats.isDirectory() &&
      before !== undefined &&
      (isOpaque(source) || existsSync(join(source, FUSE_OPAQUE)));
    yield { kind: before ? "changed" : "added", path, source, opaque };
    if (stats.isDirectory()) yield* written(directory, path, opaque ? new Below([]) : below);
  }
}

/** The same by comparing two trees. */
function* compared(directory: string, parent: string, below: Below): Generator<Change, void, undefined> {
  const names = readdirSync(join(directory, parent));
  for (const name of [...new Set([...names, ...below.names(parent)])].sort()) {
    const path = `${parent}/${name}`;
    const source = `${directory}${path}`;
    const stats = lstatSync(source, { throwIfNoEntry: false });
    const before = below.find(path);
    if (!stats) {
      yield { kind: "deleted", path };
      continue;
    }
    if (!before) yield { kind: "added", path, source };
    else if (differs(stats, source, before)) yield { kind: "changed", path, source };
    if (stats.isDirectory())
      yield* compared(directory, path, before?.stats.isDirectory() ? below : new Below([]));
  }
}

function differs(stats: Stats, source: string, before: { source: string; stats: Stats }): boolean {
  const keys = ["mode", "uid", "gid", "rdev", "mtimeMs"] as const;
  if (keys.some(key => stats[key] !== before.stats[key])) return true;
  if (stats.isSymbolicLink()) return readlinkSync(source) !== readlinkSync(before.source);
  return stats.isFile() && stats.size !== before.stats.size;
}
