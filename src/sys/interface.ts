/** Network interfaces by name. */
import { addressOf, cstr } from "./mem.ts";
import { packetLibc } from "./packet-libc.ts";

/** The number of the interface `name` in this thread's namespace; 0 when there is none. */
export function interfaceIndex(name: string): number {
  return packetLibc.if_nametoindex(addressOf(cstr(name)));
}
