/** `cp`: what its arguments mean, and where things go (podman-cp(1)). */
import { basename, dirname } from "node:path";
import { UserError } from "../base/errors.ts";

export interface CopyPath {
  /** Name or id; undefined for the host. */
  container?: string;
  path: string;
}

/** `CONTAINER:PATH`, or a path of the host, which it is surely if it begins with `.` or `/`; `-` is a stream. */
export function parseCopyPath(text: string): CopyPath {
  const colon = /^[./]/.test(text) ? -1 : text.indexOf(":");
  return colon < 0 ? { path: text } : { container: text.slice(0, colon), path: text.slice(colon + 1) };
}

/** What is to be copied. */
export interface CopySource {
  isDirectory: boolean;
  /** What it is called; "" for a root directory. */
  name: string;
  /** `DIRECTORY/.`: what is in it, and not itself. */
  contents: boolean;
}

/** Whether `text` means what is in a directory. */
export const meansContents = (text: string) => /(^|\/)\.$/.test(text);

/** Where it is to go. */
export interface CopyTarget {
  /** As it was given. */
  text: string;
  /** With links followed. */
  path: string;
  kind?: "directory" | "file" | "other";
  /** The directory that it lies in, or would, is there. */
  inDirectory: boolean;
}

export interface Placement {
  /** The directory to put it into, which is there. */
  directory: string;
  /** What it is called there; undefined where only what is in it comes along. */
  name: string | undefined;
}

/** Throws UserError in Podman's words; `missing` is what it says of a target that can't be. */
export function placement(source: CopySource, target: CopyTarget, missing: () => UserError): Placement {
  const { path, kind } = target;
  if (kind === "directory") {
    const isNameless = source.isDirectory && (source.contents || source.name === "");
    return { directory: path, name: isNameless ? undefined : source.name };
  }
  if (kind && source.isDirectory)
    throw new UserError("destination must be a directory when copying a directory");
  if (kind && target.text.endsWith("/")) throw new UserError(`${path}: exists but is not a directory`);
  if (!kind && (target.text.endsWith("/") || !target.inDirectory)) throw missing();
  return { directory: dirname(path), name: basename(path) };
}
