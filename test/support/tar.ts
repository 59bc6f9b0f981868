/** Archives for tests, header by header: also such as no honest tool would write. */

const BLOCK = 512;
const encoder = new TextEncoder();

export interface Entry {
  name: string;
  /** The type flag (ustar); a file where nothing is said. */
  type?: string;
  data?: string | Uint8Array;
  link?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  major?: number;
  minor?: number;
  /** What the size field says, where that is not the data's size. */
  size?: number | bigint;
  /** A pax header before the entry: key to value. */
  pax?: Record<string, string | Uint8Array>;
  /** Changes the finished header; the checksum is made good afterwards unless told otherwise. */
  spoil?: (header: Uint8Array) => void;
  keepChecksum?: boolean;
}

const bytesOf = (value: string | Uint8Array) => (typeof value === "string" ? encoder.encode(value) : value);
const pad = (data: Uint8Array) => Buffer.concat([data, new Uint8Array(-data.length & (BLOCK - 1))]);

/** Octal digits, or base-256 for what octal can't hold. */
function number(header: Uint8Array, offset: number, width: number, value: number | bigint): void {
  if (value >= 0 && BigInt(value) < 8n ** BigInt(width - 1)) {
    header.set(encoder.encode(`${value.toString(8).padStart(width - 1, "0")}\0`), offset);
    return;
  }
  let rest = BigInt.asUintN(width * 8, BigInt(value));
  for (let at = width - 1; at >= 0; at--) {
    header[offset + at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  header[offset]! |= 0x80;
}

function checksum(header: Uint8Array): void {
  header.fill(32, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.set(encoder.encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
}

function paxRecord(key: string, value: string | Uint8Array): Uint8Array {
  const rest = Buffer.concat([encoder.encode(` ${key}=`), bytesOf(value), encoder.encode("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([encoder.encode(String(length)), rest]);
}

/** One entry: its pax header if it has one, its header, its data. */
export function entry(spec: Entry): Uint8Array {
  const parts: Uint8Array[] = [];
  if (spec.pax)
    parts.push(
      entry({
        name: "pax",
        type: "x",
        data: Buffer.concat(Object.entries(spec.pax).map(([key, value]) => paxRecord(key, value))),
      }),
    );
  const data = bytesOf(spec.data ?? "");
  const header = new Uint8Array(BLOCK);
  header.set(encoder.encode(spec.name).subarray(0, 100), 0);
  const type = spec.type ?? "0";
  number(header, 100, 8, spec.mode ?? (type === "5" ? 0o755 : 0o644));
  number(header, 108, 8, spec.uid ?? 0);
  number(header, 116, 8, spec.gid ?? 0);
  number(header, 124, 12, spec.size ?? data.length);
  number(header, 136, 12, spec.mtime ?? 1_000_000_000);
  header[156] = type.charCodeAt(0);
  header.set(encoder.encode(spec.link ?? "").subarray(0, 100), 157);
  header.set(encoder.encode("ustar\0" + "00"), 257);
  if (type === "3" || type === "4") {
    number(header, 329, 8, spec.major ?? 0);
    number(header, 337, 8, spec.minor ?? 0);
  }
  if (!spec.keepChecksum) spec.spoil?.(header);
  checksum(header);
  if (spec.keepChecksum) spec.spoil?.(header);
  parts.push(header, pad(data));
  return Buffer.concat(parts);
}

/** A whole archive with its end mark. */
export function tar(...entries: readonly (Entry | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  return Buffer.concat([
    ...entries.map(one => (one instanceof Uint8Array ? one : entry(one))),
    new Uint8Array(2 * BLOCK),
  ]);
}

export const directory = (name: string, more: Partial<Entry> = {}): Entry => ({ name, type: "5", ...more });
export const symlink = (name: string, link: string): Entry => ({ name, type: "2", link });
export const hardlink = (name: string, link: string): Entry => ({ name, type: "1", link });
/** GNU's long name (`L`) or long link (`K`) before an entry. */
export const longName = (text: string, type: "L" | "K" = "L"): Uint8Array =>
  entry({ name: "././@LongLink", type, data: `${text}\0` });

/** Bytes as a stream, in pieces as a network would give them. */
export async function* stream(data: Uint8Array, piece = 65536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += piece) yield data.subarray(at, at + piece);
}
