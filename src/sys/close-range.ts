/** All descriptors at once (close_range(2)). */
import { confineLibc } from "./confine-libc.ts";
import { check } from "./errno.ts";

const CLOSE_RANGE_CLOEXEC = 4;
const FIRST = 3;
const LAST = 0xffffffff;

/** Makes every descriptor beyond standard error close-on-exec; who wants to pass one on clears the mark afterwards. */
export function closeOthersOnExec(): void {
  check(confineLibc.close_range(FIRST, LAST, CLOSE_RANGE_CLOEXEC), "close_range");
}
