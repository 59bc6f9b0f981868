/** What is mapped of this program's own file: what only its start needed can be given back while it waits (madvise(2)). */
import { closeSync, openSync, readSync } from "node:fs";
import { libc } from "./libc.ts";

const MADV_DONTNEED = 4;
const PAGE = 65_536;

/** elf(5), 64 bits. */
const ELF = { MAGIC: 0x7f454c46, EXECUTABLE: 2, LOAD: 1, WRITABLE: 2 };

interface Mapping {
  start: number;
  size: number;
}

let mappings: readonly Mapping[] | undefined;

/**
 * Lets go of pages of the program's code and constants. They are in the page cache as before, and come back, some sixteen at
 * a time, where they are wanted again. Does nothing where the program's file can't be read, or is loaded anywhere.
 */
export function releaseProgramPages(): void {
  try {
    mappings ??= constantMappings("/proc/self/exe");
  } catch {
    mappings = [];
  }
  for (const { start, size } of mappings) libc.madvise(start, size, MADV_DONTNEED);
}

/** Where an executable has what is never written to, whole pages of any size; none where its addresses are not fixed. */
export function constantMappings(path: string): Mapping[] {
  const fd = openSync(path, "r");
  try {
    const read = (size: number, offset: number) => {
      const data = new DataView(new ArrayBuffer(size));
      readSync(fd, data, 0, size, offset);
      return data;
    };
    const header = read(64, 0);
    if (header.getUint32(0) !== ELF.MAGIC || header.getUint16(16, true) !== ELF.EXECUTABLE) return [];
    const entrySize = header.getUint16(54, true);
    const count = header.getUint16(56, true);
    const table = read(count * entrySize, Number(header.getBigUint64(32, true)));
    return Array.from({ length: count }, (_, index) => index * entrySize).flatMap(at => {
      const isConstant =
        table.getUint32(at, true) === ELF.LOAD && (table.getUint32(at + 4, true) & ELF.WRITABLE) === 0;
      if (!isConstant) return [];
      const address = Number(table.getBigUint64(at + 16, true));
      const start = Math.ceil(address / PAGE) * PAGE;
      const end = Math.floor((address + Number(table.getBigUint64(at + 40, true))) / PAGE) * PAGE;
      return end > start ? [{ start, size: end - start }] : [];
    });
  } finally {
    closeSync(fd);
  }
}
