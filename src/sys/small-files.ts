/** The beginnings of many small files of one directory: three calls of the kernel each, and no garbage. */
import { check, ERRNO } from "./errno.ts";
import { O } from "./fd.ts";
import { errnoNow, libc } from "./libc.ts";
import { bytes } from "./mem.ts";

/** NAME_MAX. */
const NAME_BYTES = 255;

/**
 * Calls `visit` with the name and up to `size` first bytes of each file, until it answers true; gives that name. The bytes are
 * a view that the next file overwrites. Files that are gone meanwhile are passed over.
 */
export function findSmallFile(
  directory: string,
  names: readonly string[],
  size: number,
  visit: (name: string, start: Uint8Array) => boolean,
): string | undefined {
  const encoder = new TextEncoder();
  const prefix = encoder.encode(`${directory}/`);
  const path = bytes(prefix.length + NAME_BYTES + 1);
  path.set(prefix);
  const tail = path.subarray(prefix.length);
  const buffer = bytes(size);
  for (const name of names) {
    const { written } = encoder.encodeInto(name, tail);
    tail[written] = 0;
    const fd = libc.open(path, O.RDONLY | O.CLOEXEC, 0);
    if (fd < 0 && errnoNow() === ERRNO.ENOENT) continue;
    check(fd, "open", name);
    const count = libc.read(fd, buffer, size);
    libc.close(fd);
    if (count >= 0 && visit(name, buffer.subarray(0, count))) return name;
  }
  return undefined;
}
