/** How many descriptors this process may open (getrlimit(2), RLIMIT_NOFILE). */
import { check } from "./errno.ts";
import { addressOf, bytes } from "./mem.ts";
import { packetLibc } from "./packet-libc.ts";

const RLIMIT_NOFILE = 7;

/** Raises the soft limit to the hard one, which anybody may; gives the limit. */
export function raiseDescriptorLimit(): number {
  const limit = bytes(16);
  const words = new BigUint64Array(limit.buffer);
  check(packetLibc.getrlimit(RLIMIT_NOFILE, addressOf(limit)), "getrlimit", "RLIMIT_NOFILE");
  words[0] = words[1]!;
  check(packetLibc.setrlimit(RLIMIT_NOFILE, addressOf(limit)), "setrlimit", "RLIMIT_NOFILE");
  return Number(words[0]);
}
