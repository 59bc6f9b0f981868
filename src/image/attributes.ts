/** What a file has besides its content: owner, mode, extended attributes, time of change. */
import { chmodSync, lstatSync } from "node:fs";
import { getXattr, lchown, listXattrs, setMtime, setXattr } from "../sys/file.ts";
import { isOverlaysOwn } from "./marks.ts";

/** The names of its extended attributes, without overlayfs's own. */
export const plainXattrs = (path: string) => listXattrs(path).filter(name => !isOverlaysOwn(name));

/** Gives `to` what `from` has, itself and not what it may point to. */
export function copyAttributes(from: string, to: string): void {
  const stats = lstatSync(from, { bigint: true });
  lchown(to, Number(stats.uid), Number(stats.gid));
  if (!stats.isSymbolicLink()) chmodSync(to, Number(stats.mode) & 0o7777);
  for (const name of plainXattrs(from)) setXattr(to, name, getXattr(from, name)!);
  const second = 1_000_000_000n;
  const nanoseconds = ((stats.mtimeNs % second) + second) % second;
  setMtime(to, Number((stats.mtimeNs - nanoseconds) / second), Number(nanoseconds));
}
