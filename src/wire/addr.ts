/**
 * Addresses as text and as bytes. Strict: `10.1`, `010.0.0.1` and `300.1.1.1` are no addresses, since a lenient reading
 * of one would be a security decision. Text of IPv6 is RFC 5952's, which is also Go's.
 */

export interface IpAddress {
  family: 4 | 6;
  /** 4 or 16 bytes, network order. */
  bytes: Uint8Array;
}

export interface Cidr {
  ip: IpAddress;
  prefix: number;
}

function parseIPv4Bytes(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (let index = 0; index < 4; index++) {
    const part = parts[index]!;
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bytes[index] = Number(part);
  }
  return bytes;
}

function parseIPv6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = (half: string): number[] | undefined => {
    if (half === "") return [];
    const out: number[] = [];
    const parts = half.split(":");
    for (const [index, part] of parts.entries()) {
      if (part.includes(".")) {
        const v4 = index === parts.length - 1 ? parseIPv4Bytes(part) : undefined;
        if (!v4) return undefined;
        out.push((v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!);
      } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) out.push(Number.parseInt(part, 16));
      else return undefined;
    }
    return out;
  };
  const head = groups(halves[0]!);
  const tail = halves.length === 2 ? groups(halves[1]!) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  // An embedded IPv4 address must come last in the whole text.
  if (halves.length === 2 && halves[0]!.includes(".")) return undefined;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  all.forEach((group, index) => {
    bytes[index * 2] = group >> 8;
    bytes[index * 2 + 1] = group & 0xff;
  });
  return bytes;
}

/** `"10.88.0.1"` or `"fd00::1"`; undefined for anything else. */
export function parseIP(text: string): IpAddress | undefined {
  if (text.includes(":")) {
    const bytes = parseIPv6Bytes(text);
    return bytes && { family: 6, bytes };
  }
  const bytes = parseIPv4Bytes(text);
  return bytes && { family: 4, bytes };
}

/** The canonical text (RFC 5952). */
export function formatIP(ip: IpAddress): string {
  if (ip.family === 4) return ip.bytes.join(".");
  const groups = Array.from(
    { length: 8 },
    (_, index) => (ip.bytes[index * 2]! << 8) | ip.bytes[index * 2 + 1]!,
  );
  if (groups.slice(0, 5).every(group => group === 0) && groups[5] === 0xffff)
    return `::ffff:${ip.bytes.subarray(12).join(".")}`;
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (part: number[]) => part.map(group => group.toString(16)).join(":");
  if (best.start < 0) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}

/** `"10.88.0.1/16"`; the address keeps its host bits. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const ip = slash < 0 ? undefined : parseIP(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (!ip || !/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > ip.bytes.length * 8) return undefined;
  return { ip, prefix: Number(length) };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIP(cidr.ip)}/${cidr.prefix}`;
}

export function ipToBigInt(ip: IpAddress): bigint {
  return ip.bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

export function bigIntToIp(value: bigint, family: 4 | 6): IpAddress {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  let rest = value;
  for (let index = bytes.length - 1; index >= 0; index--) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return { family, bytes };
}

/** The first address of the network that `cidr` lies in. */
export function networkOf(cidr: Cidr): IpAddress {
  const bits = BigInt(cidr.ip.bytes.length * 8 - cidr.prefix);
  return bigIntToIp((ipToBigInt(cidr.ip) >> bits) << bits, cidr.ip.family);
}

/** The last address of the network that `cidr` lies in (IPv4's broadcast address). */
export function lastOf(cidr: Cidr): IpAddress {
  const bits = BigInt(cidr.ip.bytes.length * 8 - cidr.prefix);
  return bigIntToIp(ipToBigInt(networkOf(cidr)) | ((1n << bits) - 1n), cidr.ip.family);
}

export function contains(cidr: Cidr, ip: IpAddress): boolean {
  if (cidr.ip.family !== ip.family) return false;
  return formatIP(networkOf({ ip, prefix: cidr.prefix })) === formatIP(networkOf(cidr));
}

/** Six bytes of `aa:bb:cc:dd:ee:ff`. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) return undefined;
  return Uint8Array.from(text.split(":"), part => Number.parseInt(part, 16));
}

export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join(":");
}
