/** How to start this program again: conmon's exit command, the unpacker in its chroot, the timer of a health check. */
import { join } from "node:path";

/** The first words of a command line that runs us: one for the built executable, two for a checkout. */
export function selfCommand(): string[] {
  // In the executable, and only there, the main module lies in the file system inside it.
  if (Bun.main.startsWith("/$bunfs/")) return [process.execPath];
  return [process.execPath, join(import.meta.dir, "..", "main.ts")];
}
