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

/** The names in `bytes`; undefined where a label runs past the end. Compression is none here. */
export function parseDomains(bytes: Uint8Array): string[] | undefined {
  const names: string[] = [];
  let labels: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = bytes[at]!;
    if (length > 63 || at + 1 + length > bytes.length) return undefined;
    if (length === 0) {
      if (labels.length) names.push(labels.join("."));
      labels = [];
    } else labels.push(new TextDecoder().decode(bytes.subarray(at + 1, at + 1 + length)));
    at += 1 + length;
  }
  return labels.length ? undefined : names;
}
