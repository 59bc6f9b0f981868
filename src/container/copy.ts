/**
 * `cp`: between a container and the host, standard input or output, or another container. Everything goes through as a tar
 * stream, from one who reads to one who writes; on a container's side that is `files-child.ts`.
 */
import { closeSync, mkdirSync, openSync, readSync, realpathSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import { writeAll } from "../base/stdio.ts";
import { decompress } from "../image/decompress.ts";
import { type ReadBytes, TarError, TarReader } from "../image/tar.ts";
import { placeTar } from "../image/tar-place.ts";
import { TarTree } from "../image/tar-tree.ts";
import type { Container } from "./config.ts";
import { type CopySource, type CopyTarget, meansContents, placement } from "./copy-path.ts";
import type { Engine } from "./engine.ts";
import { ContainerFiles, type FileFacts } from "./files.ts";

export interface CopyOptions {
  /** Copies belong to the container's user, whosever the originals are. */
  archive: boolean;
  /** A directory may take the place of something else, and the reverse. */
  overwrite: boolean;
}

/** A place in a container, as it was named. */
export interface ContainerPath {
  container: Container;
  /** Name or id as it was given, for messages. */
  text: string;
  path: string;
}

const notFound = (path: string, where: string) =>
  new UserError(`${JSON.stringify(path)} could not be found ${where}: no such file or directory`);
const inContainer = ({ path, text }: ContainerPath) => notFound(path, `on container ${text}`);
const onHost = (path: string) => notFound(path, "on the host");

/** The name of a path's last part, as it was given. */
const nameOf = (path: string) => {
  const name = basename(path);
  return name === "." || name === ".." ? basename(realpathSync(path)) : name;
};

export async function copyIn(
  engine: Engine,
  source: string,
  target: ContainerPath,
  options: CopyOptions,
): Promise<void> {
  const stats = statSync(source, { throwIfNoEntry: false });
  if (!stats) throw onHost(source);
  await using files = ContainerFiles.open(engine, target.container);
  const from: CopySource = {
    isDirectory: stats.isDirectory(),
    name: nameOf(source),
    contents: meansContents(source),
  };
  const { directory, name } = placement(from, targetIn(target, await files.stat(target.path)), () =>
    inContainer(target),
  );
  const fd = files.put(directory, { chown: options.archive, overwrite: options.overwrite });
  await attempt(files, () => {
    const tree = new TarTree(data => writeAll(fd, data), { devices: false });
    const path = realpathSync(source);
    if (name === undefined) tree.below(path, "");
    else tree.add(path, name);
    tree.end();
  });
}

/** Standard input's tar, compressed or not. */
export async function copyStreamIn(
  engine: Engine,
  target: ContainerPath,
  options: CopyOptions,
): Promise<void> {
  await using files = ContainerFiles.open(engine, target.container);
  const { path, kind } = await files.stat(target.path);
  if (kind !== "directory") throw new UserError("destination must be a directory when copying from stdin");
  const fd = files.put(path, { chown: options.archive, overwrite: options.overwrite });
  let failure: unknown;
  try {
    for await (const chunk of decompress(Bun.stdin.stream() as AsyncIterable<Uint8Array>))
      writeAll(fd, chunk);
  } catch (error) {
    failure = error;
  }
  try {
    await files.end(failure);
  } catch (error) {
    if (error instanceof UserError && /tar archive|archive (is cut|ends)|decompressed/.test(error.message))
      throw new UserError("source must be a (compressed) tar archive when copying from stdin");
    throw error;
  }
}

export async function copyOut(
  engine: Engine,
  source: ContainerPath,
  target: string,
  options: CopyOptions,
): Promise<void> {
  await using files = ContainerFiles.open(engine, source.container);
  const facts = await files.stat(source.path);
  const place = placement(sourceIn(source, facts), hostTarget(target), () => onHost(target));
  const fd = files.get(facts.path, place.name);
  await attempt(files, () => placeOnHost(fd, place.directory, options));
}

/** To standard output, as a tar. */
export async function copyStreamOut(engine: Engine, source: ContainerPath): Promise<void> {
  await using files = ContainerFiles.open(engine, source.container);
  const facts = await files.stat(source.path);
  const { name, contents } = sourceIn(source, facts);
  const fd = files.get(facts.path, contents || name === "" ? undefined : name);
  await attempt(files, () => pump(readFrom(fd), 1));
}

export async function copyAcross(
  engine: Engine,
  source: ContainerPath,
  target: ContainerPath,
  options: CopyOptions,
): Promise<void> {
  if (source.container.config.id === target.container.config.id)
    return copyWithin(engine, source, target, options);
  await using from = ContainerFiles.open(engine, source.container);
  await using to = ContainerFiles.open(engine, target.container);
  const facts = await from.stat(source.path);
  const seen = targetIn(target, await to.stat(target.path));
  const { directory, name } = placement(sourceIn(source, facts), seen, () => inContainer(target));
  const input = from.get(facts.path, name);
  const output = to.put(directory, { chown: options.archive, overwrite: options.overwrite });
  await attempt(to, () => pump(readFrom(input), output));
  await from.end();
}

/** Nobody else may look at a container that does not run, so a copy within it waits in a file. */
async function copyWithin(
  engine: Engine,
  source: ContainerPath,
  target: ContainerPath,
  options: CopyOptions,
): Promise<void> {
  mkdirSync(engine.images.scratch, { recursive: true, mode: 0o700 });
  const path = join(engine.images.scratch, `copy-${crypto.randomUUID()}`);
  const spool = openSync(path, "wx+", 0o600);
  // It has no name from here on: nothing is left of it, whatever happens.
  rmSync(path);
  try {
    let place: ReturnType<typeof placement>;
    {
      await using files = ContainerFiles.open(engine, source.container);
      const facts = await files.stat(source.path);
      const seen = targetIn(target, await files.stat(target.path));
      place = placement(sourceIn(source, facts), seen, () => inContainer(target));
      const fd = files.get(facts.path, place.name);
      await attempt(files, () => pump(readFrom(fd), spool));
    }
    await using files = ContainerFiles.open(engine, target.container);
    const fd = files.put(place.directory, { chown: options.archive, overwrite: options.overwrite });
    await attempt(files, () => {
      let at = 0;
      pump(buffer => {
        const count = readSync(spool, buffer, 0, buffer.length, at);
        at += count;
        return count;
      }, fd);
    });
  } finally {
    closeSync(spool);
  }
}

const PIECE = 1 << 18;

const readFrom =
  (fd: number): ReadBytes =>
  buffer =>
    readSync(fd, buffer);

function pump(read: ReadBytes, to: number): void {
  const buffer = new Uint8Array(PIECE);
  for (let count = read(buffer); count > 0; count = read(buffer)) writeAll(to, buffer.subarray(0, count));
}

/** Carries the stream, then asks the helper how it went: its reason goes before what its end has caused here. */
async function attempt(files: ContainerFiles, carry: () => void): Promise<void> {
  let failure: unknown;
  try {
    carry();
  } catch (error) {
    failure = error;
  }
  const isCutOff = failure instanceof TarError || hasCode(failure, "EPIPE");
  if (isCutOff || failure === undefined) return files.end(failure);
  throw failure;
}

function placeOnHost(fd: number, directory: string, { overwrite }: CopyOptions): void {
  const owner = { uid: process.getuid!(), gid: process.getgid!() };
  // Links that lie there may be a container's, from an earlier copy.
  placeTar(new TarReader(readFrom(fd)), directory, {
    owner: () => owner,
    overwrite,
    follow: false,
  });
  pumpAway(fd);
}

/** What follows the end mark is read too, lest the writer be cut off. */
function pumpAway(fd: number): void {
  const rest = new Uint8Array(65536);
  while (readSync(fd, rest) > 0);
}

function sourceIn(source: ContainerPath, { path, kind }: FileFacts): CopySource {
  if (!kind) throw inContainer(source);
  if (kind === "other")
    throw new UserError("copying from container: copier: get: copied no items: no such file or directory");
  return { isDirectory: kind === "directory", name: basename(path), contents: meansContents(source.path) };
}

const targetIn = ({ path: text }: ContainerPath, facts: FileFacts): CopyTarget => ({ text, ...facts });

/** A host's path, its links followed; a link to a file is replaced, not followed. */
function hostTarget(text: string): CopyTarget {
  const full = resolve(text);
  const stats = statSync(full, { throwIfNoEntry: false });
  const kind = stats && (stats.isDirectory() ? "directory" : stats.isFile() ? "file" : "other");
  const parent = statSync(dirname(full), { throwIfNoEntry: false });
  const path =
    kind === "directory"
      ? realpathSync(full)
      : parent
        ? join(realpathSync(dirname(full)), basename(full))
        : full;
  return { text, path, kind, inDirectory: parent?.isDirectory() ?? false };
}
