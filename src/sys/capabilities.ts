/**
 * Capabilities (capabilities(7)): what is left of root. They belong to threads; a runtime with threads of its own gives
 * them up for all by narrowing the calling thread and then replacing itself by execve(2).
 */

import { confineLibc } from "./confine-libc.ts";
import { check, ERRNO } from "./errno.ts";
import { errnoNow, libc } from "./libc.ts";
import { bytes } from "./mem.ts";

export const CAP = { NET_BIND_SERVICE: 10, NET_ADMIN: 12, SYS_ADMIN: 21 } as const;

const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const AMBIENT_RAISE = 2;
const AMBIENT_CLEAR_ALL = 4;
const VERSION_3 = 0x20080522;

/** `struct __user_cap_header_struct` for the calling thread. */
function header(): Uint8Array {
  const buffer = bytes(8);
  new DataView(buffer.buffer).setUint32(0, VERSION_3, true);
  return buffer;
}

/** The calling thread's permitted capabilities, bit by bit. */
function permitted(): bigint {
  const data = bytes(24);
  check(confineLibc.capget(header(), data), "capget");
  const view = new DataView(data.buffer);
  return BigInt(view.getUint32(4, true)) | (BigInt(view.getUint32(16, true)) << 32n);
}

/** True when the calling thread has the capability in its user namespace. */
export function isCapable(capability: number): boolean {
  return (permitted() & (1n << BigInt(capability))) !== 0n;
}

/**
 * Narrows the calling thread, and whatever it executes from now on, to those of `keep` that it has: the bounding, the
 * inheritable, the permitted, the effective and the ambient set.
 */
export function keepOnly(keep: readonly number[]): void {
  for (let cap = 0; libc.prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
    if (keep.includes(cap) || libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) === 0) continue;
    // Without CAP_SETPCAP the bounding set stays; there is nothing then that it could let in, with no_new_privs.
    const errno = errnoNow();
    if (errno !== ERRNO.EPERM) check(-errno, "prctl", "PR_CAPBSET_DROP");
    break;
  }
  const have = permitted();
  const kept = keep.filter(cap => have & (1n << BigInt(cap)));
  const mask = kept.reduce((sum, cap) => sum | (1n << BigInt(cap)), 0n);
  check(libc.prctl(PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl", "PR_CAP_AMBIENT");
  const data = bytes(24);
  const view = new DataView(data.buffer);
  for (const [half, offset] of [
    [Number(mask & 0xffffffffn), 0],
    [Number(mask >> 32n), 12],
  ] as const)
    for (const set of [0, 4, 8]) view.setUint32(offset + set, half, true);
  check(confineLibc.capset(header(), data), "capset");
  for (const cap of kept)
    check(libc.prctl(PR_CAP_AMBIENT, AMBIENT_RAISE, cap, 0, 0), "prctl", "PR_CAP_AMBIENT");
}

/** No program that the calling thread executes gains rights by it, set-user-id or not; for ever. */
export function noNewPrivileges(): void {
  check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl", "PR_SET_NO_NEW_PRIVS");
}
