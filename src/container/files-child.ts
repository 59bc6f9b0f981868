/**
 * Who reads and writes a container's files: a process whose root is the container's before it looks up the first name, so
 * that no link and no `..` leads it anywhere else. Those of a running container are seen as the container sees them, with all
 * that is mounted there. For one that does not run, the root file system and the volumes are mounted in a mount namespace
 * of this process's own, which goes with it.
 *
 * It takes requests, a line of JSON each, on descriptor 3 and answers on 4. A tar comes in on standard input or goes out on
 * standard output; the request for that is the last one. What goes wrong stands on standard error.
 */
import { lstatSync, mkdirSync, readSync, type Stats, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { errorText } from "../base/errors.ts";
import { writeAll, writeErr } from "../base/stdio.ts";
import { daemonsOf } from "../image/fuse-overlay.ts";
import { TarReader } from "../image/tar.ts";
import { placeTar } from "../image/tar-place.ts";
import { TarTree } from "../image/tar-tree.ts";
import { MS, mount } from "../sys/mount.ts";
import { unshareMounts } from "../sys/mount-namespace.ts";
import { enterRoot } from "../sys/process.ts";
import { insideId } from "../sys/user-namespace.ts";
import type { Container } from "./config.ts";
import { Engine, type GlobalOptions } from "./engine.ts";
import type { FileFacts, FilesRequest, View } from "./files.ts";
import { isRunning } from "./leftovers.ts";
import { ownerOf } from "./owner.ts";
import { fillVolumes, putUpRootfs, rootfsPath, userOf } from "./rootfs.ts";
import { resolveInRoot } from "./user.ts";

const REQUESTS = 3;
const ANSWERS = 4;
/** Whom files seem to belong to whose owner a user namespace has not (`/proc/sys/kernel/overflowuid`). */
const NOBODY = 65534;

/** `__files GLOBAL-OPTIONS-AS-JSON ID VIEW`. */
export async function filesMain([
  globals = "{}",
  id = "",
  view = "mounts",
]: readonly string[]): Promise<number> {
  let daemons: number[] = [];
  try {
    const engine = Engine.open(JSON.parse(globals) as GlobalOptions);
    const container = engine.containers.byId(id)!;
    const root = await rootOf(engine, container, view as View);
    if (container.config.storageDriver === "fuse-overlayfs" && !isRunning(container))
      daemons = daemonsOf(root);
    const user = userOf(container.config, root);
    enterRoot(root);
    serve(container, user);
    return 0;
  } catch (error) {
    writeErr(errorText(error));
    return 1;
  } finally {
    // A daemon holds the namespace that it is mounted in.
    for (const pid of daemons) process.kill(pid, "SIGKILL");
  }
}

async function rootOf(engine: Engine, container: Container, view: View): Promise<string> {
  const { config, state } = container;
  if (isRunning(container)) return view === "mounts" ? `/proc/${state.pid}/root` : rootfsPath(engine, config);
  unshareMounts();
  const rootfs = await putUpRootfs(engine, config);
  if (view === "root") return rootfs;
  fillVolumes(engine, config, rootfs);
  for (const one of config.mounts.toSorted((a, b) => depth(a.destination) - depth(b.destination))) {
    // What a tmpfs will hold comes from below it.
    if (one.kind === "tmpfs") continue;
    const source = one.kind === "bind" ? one.source : engine.volumes.directory(one.source);
    const facts = statSync(source, { throwIfNoEntry: false });
    if (!facts) continue;
    const target = resolveInRoot(rootfs, one.destination);
    makePlace(target, facts);
    mount(source, target, "", MS.BIND | MS.REC);
    if (one.options.includes("ro")) mount("none", target, "", MS.BIND | MS.REMOUNT | MS.RDONLY);
  }
  return rootfs;
}

const depth = (path: string) => path.split("/").filter(Boolean).length;

function makePlace(target: string, source: Stats): void {
  if (source.isDirectory()) mkdirSync(target, { recursive: true });
  else if (!lstatSync(target, { throwIfNoEntry: false })) {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, "");
  }
}

function serve({ config }: Container, user: { uid: number; gid: number }): void {
  const { ids } = config;
  for (let line = readLine(); line !== ""; line = readLine()) {
    const request = JSON.parse(line) as FilesRequest;
    if (request.op === "stat") {
      writeAll(ANSWERS, Buffer.from(`${JSON.stringify(look(request.path))}\n`));
      continue;
    }
    if (request.op === "get") {
      const owner = (uid: number, gid: number) =>
        ids
          ? { uid: insideId(ids.uids, uid) ?? NOBODY, gid: insideId(ids.gids, gid) ?? NOBODY }
          : { uid, gid };
      const tree = new TarTree(data => writeAll(1, data), { owner, devices: request.devices });
      if (request.name === undefined) tree.below(request.path, "");
      else tree.add(request.path, request.name);
      tree.end();
    } else {
      const { directory, chown, overwrite } = request;
      const owner = (uid: number, gid: number) => (chown ? user : ownerOf(config, uid, gid));
      placeTar(new TarReader(buffer => readSync(0, buffer)), directory, { owner, overwrite, follow: true });
      // What follows the end mark is read too, lest the writer be cut off.
      const rest = new Uint8Array(65536);
      while (readSync(0, rest) > 0);
    }
    return;
  }
}

/** A line of requests; "" when there are no more. */
function readLine(): string {
  const bytes: number[] = [];
  const one = new Uint8Array(1);
  while (readSync(REQUESTS, one) > 0 && one[0] !== 10) bytes.push(one[0]!);
  return Buffer.from(bytes).toString("utf8");
}

function look(text: string): FileFacts {
  const path = resolveInRoot("/", text);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  const kind = stats?.isDirectory() ? "directory" : stats?.isFile() || stats?.isFIFO() ? "file" : "other";
  const parent = lstatSync(dirname(path), { throwIfNoEntry: false });
  return { path, kind: stats && kind, inDirectory: parent?.isDirectory() ?? false };
}
