/** The working directory, which entering a mount namespace changes to its root. */

/** Tells the program inside which it was. */
export const WORKING_DIRECTORY = "PORTOLAN_WORKING_DIRECTORY";

/** First thing inside: back to the directory that the command was started in. False where this is no inside. */
export function restoreWorkingDirectory(): boolean {
  const directory = process.env[WORKING_DIRECTORY];
  delete process.env[WORKING_DIRECTORY];
  if (directory === undefined) return false;
  try {
    process.chdir(directory);
  } catch {
    // It has gone, or is on a mount that only the host has: relative paths will say so.
  }
  return true;
}
