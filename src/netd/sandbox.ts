/**
 * The sandbox of a process that talks to strangers: next to nothing to see, next to nothing it may do.
 *
 * Its root is a read-only tmpfs of its own with views of `/etc` and `/run` (resolv.conf lives in one or the other), the
 * program and the few libraries that it is linked with, so that it can be started again from inside. There is no `/proc`
 * but three files: `self/exe`, the program, `self/maps`, where the C library looks up the main thread's stack, and
 * `self/statm`, where the JavaScript engine now and then looks up its size.
 *
 * Mounts, roots and capabilities belong to threads. So the sandbox is prepared around the calling thread, and the process
 * then replaces itself (`execve`), which leaves it one thread, inside.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { hasCode } from "../base/errors.ts";
import { CAP, keepOnly, noNewPrivileges } from "../sys/capabilities.ts";
import { openClosedDirectory } from "../sys/directory.ts";
import { closeFd, O, openFd } from "../sys/fd.ts";
import { MNT_DETACH, MS, mount, mountInfo, umount } from "../sys/mount.ts";
import { addMountAttributes, changeRoot, MOUNT_ATTR, unshareMounts } from "../sys/mount-namespace.ts";

/** The program itself, inside a sandbox and outside of one. */
export const SELF = "/proc/self/exe";

/** Where the new root is put together; hidden by it until it is the root. */
const STAGE = "/tmp";

/** What the kernel looks for first when it starts a dynamically linked program. */
const LOADER = process.arch === "arm64" ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2";

/**
 * `pthread_getattr_np` wants the line of /proc/self/maps that holds the stack and cuts what it finds there to the stack's
 * limit; a line that holds everything serves every process.
 */
const MAPS = "00001000-7ffffffff000 rw-p 00000000 00:00 0 [stack]\n";

/**
 * Pages, of which the second number are resident. The engine asks for them when it allocates, which may be between a system
 * call that failed and the reading of its errno: a file that is not there would take that errno's place, and a tap that had
 * no frame just then would pass for one that was removed.
 */
const STATM = "16384 8192 4096 1 0 8192 0\n";

/**
 * Gives the calling thread a root as described above. Needs CAP_SYS_ADMIN in its user namespace; relative paths and
 * descriptors of directories do not survive it, other descriptors do.
 *
 * `hold`: a directory to keep; its descriptor is the result, and leads nowhere above it. What is mounted below it (pins of
 * namespaces, containers' memory) is not kept: it would live as long as the process.
 */
export function enterRoot(): void;
export function enterRoot(hold: string): number;
export function enterRoot(hold?: string): number | undefined {
  const libraries = mappedLibraries();
  unshareMounts();
  if (hold !== undefined) detachBelow(hold);
  const held = hold === undefined ? undefined : openClosedDirectory(hold);
  // The program may lie below the directory that the new root hides; a descriptor of this namespace finds it all the same.
  const program = openFd(process.execPath, O.PATH);
  mount("tmpfs", STAGE, "tmpfs", MS.NOSUID | MS.NODEV, "mode=755,size=64k,nr_inodes=128");
  copyLinks();
  showFile(`/proc/self/fd/${program}`, SELF);
  closeFd(program);
  writeFileSync(join(STAGE, "proc/self/maps"), MAPS, { mode: 0o444 });
  writeFileSync(join(STAGE, "proc/self/statm"), STATM, { mode: 0o444 });
  for (const library of libraries) showFile(library, library);
  const loader = libraries.find(path => /\/ld-[^/]*$/.test(path));
  if (loader && loader !== LOADER) showFile(loader, LOADER);
  for (const directory of ["/etc", "/run"]) if (existsSync(directory)) showDirectory(directory);
  addMountAttributes(STAGE, MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV);
  changeRoot(STAGE);
  return held;
}

function detachBelow(directory: string): void {
  const mounts = mountInfo().filter(({ target }) => target.startsWith(`${directory}/`));
  for (const { target } of mounts.reverse()) {
    try {
      umount(target, MNT_DETACH);
    } catch (error) {
      // It belongs to whoever made the user namespace, who alone can take it away.
      if (!hasCode(error, "EINVAL", "ENOENT")) throw error;
    }
  }
}

/** The calling thread, and what it executes, keeps the right to bind low ports, if it has it, and gains none. */
export function dropPrivileges(): void {
  keepOnly([CAP.NET_BIND_SERVICE]);
  noNewPrivileges();
}

/** Shared objects that this process is made of, but for the program itself. */
function mappedLibraries(): string[] {
  const files = new Set<string>();
  for (const line of readFileSync("/proc/self/maps", "utf8").split("\n")) {
    const path = /\s(\/\S+\.so[.\d]*)$/.exec(line)?.[1];
    if (path) files.add(path);
  }
  return [...files];
}

/** `/lib` and its like, where they only point into `/usr`. */
function copyLinks(): void {
  for (const name of ["lib", "lib64"]) {
    if (existsSync(`/${name}`) && lstatSync(`/${name}`).isSymbolicLink()) {
      const target = readlinkSync(`/${name}`);
      mkdirSync(join(STAGE, target), { recursive: true });
      symlinkSync(target, join(STAGE, name));
    }
  }
}

function showFile(source: string, path: string): void {
  const target = join(STAGE, path);
  mkdirSync(dirname(target), { recursive: true });
  if (!existsSync(target)) writeFileSync(target, "");
  mount(source, target, "", MS.BIND);
}

function showDirectory(path: string): void {
  const target = join(STAGE, path);
  mkdirSync(target);
  mount(path, target, "", MS.BIND | MS.REC);
  addMountAttributes(target, MOUNT_ATTR.NOEXEC);
  // Sockets of the user's session, through which a process could ask others for what it may not do itself.
  const sessions = join(target, "user");
  if (path === "/run" && existsSync(sessions))
    mount("tmpfs", sessions, "tmpfs", MS.RDONLY, "size=4k,mode=755");
}
