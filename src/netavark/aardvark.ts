/**
 * `aardvark-dns`, by name: podman lets networks tell names only where it finds a program that is called so. Podman asks it for
 * its version; netavark would start it, and ours has the network service instead.
 */
import { writeErr, writeOut } from "../base/stdio.ts";

/** The version whose files are read and written (`entries.ts`). */
const VERSION = "2.0.0";

export function aardvarkMain(argv: readonly string[]): number {
  if (argv.some(word => word === "--version" || word === "-V")) {
    writeOut(`aardvark-dns ${VERSION}\n`);
    return 0;
  }
  if (argv[0] === "version") {
    writeOut(`${JSON.stringify({ version: VERSION }, null, 2)}\n`);
    return 0;
  }
  writeErr("error: this aardvark-dns serves nobody: the netavark beside it tells names by itself\n");
  return 2;
}
