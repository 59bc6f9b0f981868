/**
 * Sequence numbers: 32 bits that wrap (RFC 9293, 3.4), kept as signed words. Two of them can be compared as long as they
 * are less than 2^31 apart.
 */

export const seqAdd = (a: number, bytes: number): number => (a + bytes) | 0;
/** How far `a` is ahead of `b`, in bytes; negative when it is behind. */
export const seqDiff = (a: number, b: number): number => (a - b) | 0;
export const seqLt = (a: number, b: number): boolean => ((a - b) | 0) < 0;
export const seqLe = (a: number, b: number): boolean => ((a - b) | 0) <= 0;
export const seqGt = (a: number, b: number): boolean => ((a - b) | 0) > 0;
export const seqGe = (a: number, b: number): boolean => ((a - b) | 0) >= 0;
export const seqMax = (a: number, b: number): number => (((a - b) | 0) > 0 ? a : b);
export const seqMin = (a: number, b: number): number => (((a - b) | 0) < 0 ? a : b);
