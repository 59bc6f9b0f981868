/** What a file has besides its content: owner, mode, extended attributes, time of change. */
import { chmodSync, lstatSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { getXattr, lchown, listXattrs, setMtime, setXattr } from "../sys/file.ts";
import { type IdMapping, type IdMaps, outsideId } from "../sys/user-namespace.ts";
import { isOverlaysOwn } from "./marks.ts";

const CAPABILITY = "security.capability";

/** The names of its extended attributes, without overlayfs's own. */
export const plainXattrs = (path: string) => listXattrs(path).filter(name => !isOverlaysOwn(name));

/**
 * Gives `to` what `from` has, itself and not what it may point to. With `ids` the owner is another: who `from`'s is in the
 * user namespace of these maps, as we number him. `marks`: overlayfs's own attributes too.
 */
export function copyAttributes(from: string, to: string, { ids, marks = false }: CopyOptions = {}): void {
  const stats = lstatSync(from, { bigint: true });
  const [uid, gid] = [Number(stats.uid), Number(stats.gid)];
  lchown(to, ids ? mapped(ids.uids, uid) : uid, ids ? mapped(ids.gids, gid) : gid);
  if (!stats.isSymbolicLink()) chmodSync(to, Number(stats.mode) & 0o7777);
  for (const name of marks ? listXattrs(from) : plainXattrs(from)) {
    const value = getXattr(from, name)!;
    setXattr(to, name, name === CAPABILITY && ids ? capabilityFor(value, ids) : value);
  }
  const second = 1_000_000_000n;
  const nanoseconds = ((stats.mtimeNs % second) + second) % second;
  setMtime(to, Number((stats.mtimeNs - nanoseconds) / second), Number(nanoseconds));
}

export interface CopyOptions {
  ids?: IdMaps;
  marks?: boolean;
}

/** Words of containers-storage's, which Podman's users may look for. */
export function mapped(map: readonly IdMapping[], id: number): number {
  const outside = outsideId(map, id);
  if (outside === undefined) throw new UserError(`container ID ${id} cannot be mapped to a host ID`);
  return outside;
}

/** A file's capabilities (capabilities(7), "File capability versioning") for the user namespace whose root they are for. */
function capabilityFor(value: Uint8Array, { uids }: IdMaps): Uint8Array {
  const [MASK, REVISION_3] = [0x00ffffff, 0x03000000];
  const copy = new Uint8Array(24);
  copy.set(value.subarray(0, 20));
  const view = new DataView(copy.buffer);
  view.setUint32(0, (view.getUint32(0, true) & MASK) | REVISION_3, true);
  view.setUint32(20, mapped(uids, 0), true);
  return copy;
}
