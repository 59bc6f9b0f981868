/**
 * The Internet checksum (RFC 1071): the complement of the ones' complement sum of 16-bit words in network order.
 *
 * A sum is carried unfolded from one part of a packet to the next, as a number below 2^48; every part but the last has
 * an even length. `checksum` folds and complements at the end, `fold` only folds, as a partial checksum wants.
 */

/** `sum` plus the words of `length` bytes from `start`; an odd last byte is padded with zero. */
export function addBytes(sum: number, buffer: Uint8Array, start: number, length: number): number {
  let total = sum;
  let at = start;
  const end = start + (length & ~1);
  while (at < end) {
    // 16384 words of at most 0xffff stay below 2^31: the inner sum is of small integers, which is what makes it fast.
    const stop = Math.min(end, at + 32_768);
    let block = 0;
    for (; at + 8 <= stop; at += 8)
      block +=
        ((buffer[at]! << 8) | buffer[at + 1]!) +
        ((buffer[at + 2]! << 8) | buffer[at + 3]!) +
        ((buffer[at + 4]! << 8) | buffer[at + 5]!) +
        ((buffer[at + 6]! << 8) | buffer[at + 7]!);
    for (; at < stop; at += 2) block += (buffer[at]! << 8) | buffer[at + 1]!;
    total += block;
  }
  return length & 1 ? total + (buffer[at]! << 8) : total;
}

/**
 * The sum over the pseudo-header of TCP, UDP (RFC 9293, 3.1; RFC 768) and ICMPv6 (RFC 8200, 8.1): both addresses of 4 or
 * 16 bytes, the protocol and the length of the transport's header and payload.
 */
export function pseudoHeader(
  buffer: Uint8Array,
  source: number,
  destination: number,
  family: 4 | 6,
  protocol: number,
  length: number,
): number {
  const size = family === 4 ? 4 : 16;
  return addBytes(
    addBytes(protocol + (length >>> 16) + (length & 0xffff), buffer, source, size),
    buffer,
    destination,
    size,
  );
}

/** The sum in 16 bits. */
export function fold(sum: number): number {
  let total = sum;
  while (total > 0xffff) total = Math.floor(total / 0x10000) + (total % 0x10000);
  return total;
}

/** What a checksum field must hold for `sum`, which was taken with the field at zero. */
export function checksum(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** True when `sum`, taken with the checksum field as it came, says that nothing changed. */
export function isSound(sum: number): boolean {
  return fold(sum) === 0xffff;
}
