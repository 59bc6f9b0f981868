/**
 * How a layer says what it hides of those below it.
 *
 * - `trusted`, `user`: as overlayfs has it, a character device 0:0 in place of what is hidden, and an extended attribute
 *   `trusted.overlay.opaque`, or in a user namespace `user.overlay.opaque`, on a directory that shows nothing of those below.
 * - `files`: as the layer's tar has it (`.wh.NAME`, `.wh..wh..opq`), on file systems that take neither, such as an overlay
 *   itself. fuse-overlayfs and plain copies obey these too; overlayfs does not, but it takes no such file system either.
 */
import { existsSync, lstatSync, mkdirSync, rmSync, type Stats, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { hasCode } from "../base/errors.ts";
import { hasXattr, mknod, S_IFCHR, setXattr } from "../sys/file.ts";
import { inInitialUserNamespace } from "../sys/user-namespace.ts";

export type Marks = "trusted" | "user" | "files";

export const WHITEOUT = ".wh.";
export const OPAQUE_MARK = ".wh..wh..opq";
const YES = new TextEncoder().encode("y");

/** Attributes that are overlayfs's (or fuse-overlayfs's) own: no layer brings them, no copy takes them along. */
export const isOverlaysOwn = (attribute: string) =>
  /^(user|trusted)\.(overlay|fuseoverlayfs)\./.test(attribute);

/** The marks that the file system of `directory` takes, by trying. */
export function marksFor(directory: string): Marks {
  const kind = inInitialUserNamespace() ? "trusted" : "user";
  const trial = join(directory, `marks-${crypto.randomUUID()}`);
  mkdirSync(trial);
  try {
    hide(join(trial, "hidden"), kind);
    makeOpaque(trial, kind);
    return kind;
  } catch (error) {
    if (hasCode(error, "EPERM", "EOPNOTSUPP")) return "files";
    throw error;
  } finally {
    rmSync(trial, { recursive: true, force: true });
  }
}

const fileFor = (path: string) => join(dirname(path), `${WHITEOUT}${basename(path)}`);

/** Marks the name `path`, where nothing lies, as hidden. */
export function hide(path: string, marks: Marks): void {
  if (marks === "files") writeFileSync(fileFor(path), "");
  else mknod(path, S_IFCHR, 0, 0);
}

/** Takes the mark that hides `path` away; true when there was one. `existing` is what lies there. */
export function unhide(path: string, existing: Stats | undefined, marks: Marks): boolean {
  const mark = marks === "files" ? fileFor(path) : path;
  const isHidden = marks === "files" ? existsSync(mark) : existing !== undefined && isWhiteout(existing);
  if (isHidden) rmSync(mark, { force: true });
  return isHidden;
}

export function makeOpaque(directory: string, marks: Marks): void {
  if (marks === "files") writeFileSync(join(directory, OPAQUE_MARK), "");
  else setXattr(directory, `${marks}.overlay.opaque`, YES);
}

/** Does what lies there hide a name of the layers below? */
export const isWhiteout = (one: Stats) => one.isCharacterDevice() && one.rdev === 0;

/** Does a file beside it hide the name `path`, where nothing lies? */
export const isHiddenByFile = (path: string) =>
  lstatSync(fileFor(path), { throwIfNoEntry: false }) !== undefined;

/** Does the directory show nothing of those below it, by whichever mark? */
export const isOpaque = (directory: string) =>
  hasXattr(directory, "trusted.overlay.opaque") ||
  hasXattr(directory, "user.overlay.opaque") ||
  existsSync(join(directory, OPAQUE_MARK));
