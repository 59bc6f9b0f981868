/** Idmapped mounts: a directory seen with the owners that a user namespace's map gives its files (mount_setattr(2)). */
import { dlopen, type FFIFunction } from "bun:ffi";
import { check } from "./errno.ts";
import { closeFd, O } from "./fd.ts";
import { bytes, cstr } from "./mem.ts";

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE = 1;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOUNT_ATTR_RDONLY = 1;
const MOUNT_ATTR_IDMAP = 0x00100000;

const DECLARATIONS = {
  open_tree: { args: ["i32", "ptr", "u32"], returns: "i32" },
  mount_setattr: { args: ["i32", "ptr", "u32", "ptr", "u64_fast"], returns: "i32" },
  move_mount: { args: ["i32", "ptr", "i32", "ptr", "u32"], returns: "i32" },
} as const;

type Declarations = typeof DECLARATIONS;
type Argument<T> = T extends "ptr" ? NodeJS.TypedArray | null : number;
type Arguments<A extends readonly unknown[]> = { -readonly [I in keyof A]: Argument<A[I]> };
type Libc = { readonly [K in keyof Declarations]: (...args: Arguments<Declarations[K]["args"]>) => number };

let opened: Libc | undefined;

/** Opened when first asked for: C libraries before 2.36 have not these, which throws. */
function libc(): Libc {
  opened ??= dlopen("libc.so.6", DECLARATIONS as unknown as Record<string, FFIFunction>)
    .symbols as unknown as Libc;
  return opened;
}

/**
 * Mounts `source` a second time, read-only, at `target`, with the map of an open user namespace: what belongs to the id `n` there
 * belongs here to whom that namespace's `n` is outside. Linux 5.12, on file systems that know how, and by the root of the
 * namespace that these were mounted in.
 */
export function mountIdmapped(source: string, target: string, userNamespace: number): void {
  const { open_tree, mount_setattr, move_mount } = libc();
  const tree = check(open_tree(AT_FDCWD, cstr(source), OPEN_TREE_CLONE | O.CLOEXEC), "open_tree", source);
  try {
    const request = bytes(32);
    const view = new DataView(request.buffer);
    view.setBigUint64(0, BigInt(MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY), true);
    view.setBigUint64(24, BigInt(userNamespace), true);
    const set = mount_setattr(tree, cstr(""), AT_EMPTY_PATH, request, request.length);
    check(set, "mount_setattr", source);
    check(move_mount(tree, cstr(""), AT_FDCWD, cstr(target), MOVE_MOUNT_F_EMPTY_PATH), "move_mount", target);
  } finally {
    closeFd(tree);
  }
}
