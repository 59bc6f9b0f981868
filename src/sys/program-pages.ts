/** What is mapped of this program's own file: what only its start needed can be given back while it waits (madvise(2)). */
import { closeSync, openSync, readSync } from "node:fs";
import { libc } from "./libc.ts";

const MADV_DONTNEED = 4;
const PAGE = 65_536;

/** elf(5), 64 bits. */
const ELF = { MAGIC: 0x7f454c46, EXECUTABLE: 2, LOAD: 1, WRITABLE: 2 };

/** The name of the section where a compiled program has its modules, with the NUL that ends it. */
const MODULES = new TextEncoder().encode(".bun\0");

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

/**
 * Where an executable has what is never written to, whole pages of any size; none where its addresses are not fixed. Among it
 * are its modules, which Bun puts at the end of the writable segment and only reads.
 */
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
    /** The entries of a table: where it begins, the size of an entry, how many there are. */
    const table = (offset: number, sizeAt: number, countAt: number) => {
      const size = header.getUint16(sizeAt, true);
      const entries = read(header.getUint16(countAt, true) * size, Number(header.getBigUint64(offset, true)));
      const count = entries.byteLength / size;
      return Array.from({ length: count }, (_, index) => new DataView(entries.buffer, index * size, size));
    };
    const constants = table(32, 54, 56).filter(
      segment => segment.getUint32(0, true) === ELF.LOAD && (segment.getUint32(4, true) & ELF.WRITABLE) === 0,
    );
    const sections = table(40, 58, 60);
    const names = sections[header.getUint16(62, true)];
    const isModules = (section: DataView) => {
      const name = read(MODULES.length, Number(names!.getBigUint64(24, true)) + section.getUint32(0, true));
      return MODULES.every((byte, index) => name.getUint8(index) === byte);
    };
    return [
      ...constants.map(segment => wholePages(segment.getBigUint64(16, true), segment.getBigUint64(40, true))),
      ...(names ? sections.filter(isModules) : []).map(section =>
        wholePages(section.getBigUint64(16, true), section.getBigUint64(32, true)),
      ),
    ].filter(({ size }) => size > 0);
  } finally {
    closeSync(fd);
  }
}

function wholePages(address: bigint, size: bigint): Mapping {
  const start = Math.ceil(Number(address) / PAGE) * PAGE;
  return { start, size: Math.floor(Number(address + size) / PAGE) * PAGE - start };
}
