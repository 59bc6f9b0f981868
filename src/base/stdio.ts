/**
 * Text to standard output and error by write(2) itself. `process.stdout` would first load Node's streams, which takes
 * longer than most commands do.
 */
import { writeSync } from "node:fs";
import { hasCode } from "./errors.ts";

const idle = new Int32Array(new SharedArrayBuffer(4));

/** Writes all of it before it returns. Throws what write(2) says: EPIPE when the reader has gone. */
export function writeAll(fd: number, data: Uint8Array): void {
  for (let done = 0; done < data.length; ) {
    try {
      done += writeSync(fd, data, done);
    } catch (error) {
      if (!hasCode(error, "EAGAIN")) throw error;
      // Somebody made the pipe non-blocking: wait a millisecond for its reader.
      Atomics.wait(idle, 0, 0, 1);
    }
  }
}

const encoder = new TextEncoder();

/** A reader that went away (`portolan ps | head -1`) ends us quietly, as it ends every Unix filter. */
export function writeOut(text: string): void {
  try {
    writeAll(1, encoder.encode(text));
  } catch (error) {
    if (hasCode(error, "EPIPE")) process.exit(0);
    throw error;
  }
}

/** Messages for people; nobody is told when nobody reads them. */
export function writeErr(text: string): void {
  try {
    writeAll(2, encoder.encode(text));
  } catch (error) {
    if (!hasCode(error, "EPIPE", "EBADF", "EIO")) throw error;
  }
}
