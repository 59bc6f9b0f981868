/** How much of `dist/portolan` a process that is made of it has in memory. */
import { closeSync, openSync, readSync } from "node:fs";
import { constantMappings } from "../../src/sys/program-pages.ts";
import { PORTOLAN } from "./host.ts";

const PAGE = 4096;

/** KiB of the program's code, constants and modules that a process has mapped, and of those that it has written to. */
export function programOf(pid: number): { mapped: number; written: number } {
  const found = { mapped: 0, written: 0 };
  const fd = openSync(`/proc/${pid}/pagemap`, "r");
  try {
    for (const { start, size } of constantMappings(PORTOLAN)) {
      const entries = Buffer.alloc((size / PAGE) * 8);
      readSync(fd, entries, 0, entries.length, (start / PAGE) * 8);
      // The highest byte of an entry: bit 7, the page is there; bit 5, it is the file's (pagemap.rst of the kernel).
      for (let at = 7; at < entries.length; at += 8) {
        if (!(entries[at]! & 0x80)) continue;
        found.mapped += PAGE / 1024;
        if (!(entries[at]! & 0x20)) found.written += PAGE / 1024;
      }
    }
  } finally {
    closeSync(fd);
  }
  return found;
}
