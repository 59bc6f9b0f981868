/** Domain names as DHCP, DHCPv6 and router advertisements carry them: labels with their lengths (RFC 1035, 3.1). */

/** The names one after the other, uncompressed, as many as fit in `most` bytes; what is no name is left out. */
export function emitDomains(names: readonly string[], most = Number.POSITIVE_INFINITY): Uint8Array {
  const bytes: number[] = [];
  for (const name of names) {
    const labels = name.replace(/\.$/, "").split(".");
    const encoded = labels.map(label => new TextEncoder().encode(label));
    const length = encoded.reduce((sum, label) => sum + 1 + label.length, 1);
    if (length > 255 || encoded.some(label => label.length === 0 || label.length > 63)) continue;
    if (bytes.length + length > most) break;
    for (const label of encoded) bytes.push(label.length, ...label);
    bytes.push(0);
  }
  return Uint8Array.from(bytes);
}

/** Bytes of a name without its end (RFC 1035, 2.3.4). */
const LONGEST = 254;

/**
 * The names in `bytes`; undefined where a label runs past the end. A name may end in one that stands before it, as in
 * DHCP's search list (RFC 3397, 2; RFC 1035, 4.1.4).
 */
export function parseDomains(bytes: Uint8Array): string[] | undefined {
  const names: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const labels: string[] = [];
    let size = 0;
    let next = -1;
    let from = at;
    for (let length = bytes[from]!; length !== 0; length = bytes[from]!) {
      if (length >= 0xc0) {
        const target = ((length & 0x3f) << 8) | (bytes[from + 1] ?? 0xff);
        if (target >= from) return undefined;
        if (next < 0) next = from + 2;
        from = target;
        continue;
      }
      size += 1 + length;
      // The end must follow. A name that comes round to itself grows too long.
      if (length > 63 || size > LONGEST || from + 1 + length >= bytes.length) return undefined;
      labels.push(new TextDecoder().decode(bytes.subarray(from + 1, from + 1 + length)));
      from += 1 + length;
    }
    if (labels.length) names.push(labels.join("."));
    at = next < 0 ? from + 1 : next;
  }
  return names;
}
