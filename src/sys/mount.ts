/** Mounts: mount(2), umount2(2), and what /proc/self/mountinfo says. */
import { readFileSync } from "node:fs";
import { check } from "./errno.ts";
import { libc } from "./libc.ts";
import { cstr } from "./mem.ts";

/** Flags of mount(2). */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  REMOUNT: 32,
  NOATIME: 1024,
  BIND: 4096,
  MOVE: 8192,
  REC: 16384,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  STRICTATIME: 1 << 24,
} as const;

export const MNT_DETACH = 2;

/** mount(2). `data` holds the file system's own options, comma-separated. */
export function mount(source: string, target: string, fstype: string, flags = 0, data = ""): void {
  check(
    libc.mount(cstr(source), cstr(target), fstype ? cstr(fstype) : null, flags, data ? cstr(data) : null),
    "mount",
    target,
  );
}

/** umount2(2). */
export function umount(target: string, flags = 0): void {
  check(libc.umount2(cstr(target), flags), "umount", target);
}

export interface MountInfo {
  id: number;
  /** What of the file system is mounted: `/` for all of it. */
  root: string;
  /** Where it is mounted, decodeOctald. */
  target: string;
  fstype: string;
  source: string;
  /** Per-mount options such as `rw,nosuid`. */
  options: string[];
  /** The file system's own options. */
  superOptions: string[];
}

const decodeOctal = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));

/** The mounts that this process sees (proc_pid_mountinfo(5)). */
export function mountInfo(): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const [left, right] = line.split(" - ");
    if (left === undefined || right === undefined) continue;
    const fields = left.split(" ");
    const [fstype = "", source = "", superOptions = ""] = right.split(" ");
    mounts.push({
      id: Number(fields[0]),
      root: decodeOctal(fields[3] ?? ""),
      target: decodeOctal(fields[4] ?? ""),
      fstype,
      source: decodeOctal(source),
      options: (fields[5] ?? "").split(","),
      superOptions: superOptions.split(","),
    });
  }
  return mounts;
}

/** True when something is mounted exactly at `path`. */
export function isMountPoint(path: string): boolean {
  return mountInfo().some(entry => entry.target === path);
}
