/** The unpacker's process: it makes a directory its root before it reads the first byte of a layer. */
import { readSync } from "node:fs";
import { errorText } from "../base/errors.ts";
import { writeErr, writeOut } from "../base/stdio.ts";
import { enterRoot } from "../sys/process.ts";
import type { Marks } from "./marks.ts";
import { TarReader } from "./tar.ts";
import { Unpacker } from "./unpack.ts";

/** The child: `__untar DIRECTORY MARKS [squash]`, with the tar on standard input; the loose ends, if any, on standard output. */
export function untarMain(args: readonly string[]): number {
  try {
    process.umask(0);
    const unpacker = new Unpacker({ marks: args[1] as Marks, squash: args[2] === "squash" });
    enterRoot(args[0]!);
    const loose = unpacker.unpack(new TarReader(buffer => readSync(0, buffer)));
    // What follows the end mark is read to its end, so that the writer is not cut off.
    const rest = new Uint8Array(65536);
    while (readSync(0, rest) > 0);
    if (loose.parents.length + loose.links.length > 0) writeOut(JSON.stringify(loose));
    return 0;
  } catch (error) {
    writeErr(errorText(error));
    return 1;
  }
}
