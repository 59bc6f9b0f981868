/** How long packets on a tap may be, in bytes of IP packet. */

/** What both modes have where nothing is said: one frame holds all that a read of 64 KiB gives. */
export const DEFAULT_MTU = 65520;
/** The stack's own least (`StackConfig.mtu`); an interface may have less, and then gets no more. */
export const MIN_STACK_MTU = 576;
/** The least that IPv4 knows (RFC 791). */
const LEAST = 68;

/** A whole number that can be an interface's MTU; undefined for anything else. */
export function checkedMtu(text: string): number | undefined {
  const mtu = /^\+?\d{1,6}$/.test(text) ? Number(text) : 0;
  return mtu >= LEAST && mtu <= DEFAULT_MTU ? mtu : undefined;
}
