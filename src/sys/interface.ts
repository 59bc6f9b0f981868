/** Network interfaces by name. */
import { libc } from "./libc.ts";
import { cstr } from "./mem.ts";

/** The number of the interface `name` in this thread's namespace; 0 when there is none. */
export function interfaceIndex(name: string): number {
  return libc.if_nametoindex(cstr(name));
}
