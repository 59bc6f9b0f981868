/** How to start this program again: conmon's exit command, the unpacker in its chroot, the timer of a health check. */
import { join } from "node:path";

/** The first words of a command line that runs us: one for the built executable, two for a checkout. */
export function selfCommand(): string[] {
  // In the executable, and only there, the main module lies in the file system inside it.
  if (Bun.main.startsWith("/$bunfs/")) return [process.execPath];
  return [process.execPath, join(import.meta.dir, "..", "main.ts")];
}

/**
 * For the environment of a call of ours that is over in a few milliseconds: how often a function runs before the runtime
 * compiles it (500 where nothing is said). The compiler is a thread or two, and its work, for code that then ends: a tenth of
 * such a call's processor time. Whoever was called with it takes it from its environment, so that nobody inherits it.
 */
export const COMPILE_LATE = { name: "BUN_JSC_thresholdForJITAfterWarmUp", value: "20000" } as const;
