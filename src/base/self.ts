/** How to start this program again: conmon's exit command, the unpacker in its chroot, the timer of a health check. */
import { join } from "node:path";

/** The first words of a command line that runs us: one for the built executable, two for a checkout. */
export function selfCommand(): string[] {
  const main = join(import.meta.dir, "..", "main.ts");
  return import.meta.dir.startsWith("/$bunfs") ? [process.execPath] : [process.execPath, main];
}
