/** How to start this program again: conmon's exit command, the unpacker in its chroot, the timer of a health check. */
import { join } from "node:path";

/** The first words of a command line that runs us: one for the built executable, two for a checkout. */
export function selfCommand(): string[] {
  // In the executable, and only there, the main module lies in the file system inside it.
  if (Bun.main.startsWith("/$bunfs/")) return [process.execPath];
  return [process.execPath, join(import.meta.dir, "..", "main.ts")];
}

/**
 * For the environment of a call of ours that is over in a few milliseconds, what the runtime is to leave: to compile what has
 * run 500 times (in a thread or two, code that then ends), and to have memory at hand (in a thread, memory that nobody comes to
 * use). Together a seventh of such a call's processor time. Whoever was called with it takes it from its environment, so
 * that nobody inherits it.
 */
export const BRIEFLY: Readonly<Record<string, string>> = {
  BUN_JSC_thresholdForJITAfterWarmUp: "20000",
  BUN_JSC_useWarmUpMarkedBlocks: "0",
};
