/**
 * TCP's header and options (RFC 9293, 3.1 and 3.2; RFC 7323; RFC 2018): bytes to values and back, without allocation.
 *
 * Readers of the header go by offset; options are read into a `TcpOptions` that is used again and again.
 */

/** Offsets in the header, and its size without options. */
export const TCP = {
  SOURCE_PORT: 0,
  DESTINATION_PORT: 2,
  SEQUENCE: 4,
  ACKNOWLEDGMENT: 8,
  DATA_OFFSET: 12,
  FLAGS: 13,
  WINDOW: 14,
  CHECKSUM: 16,
  URGENT: 18,
  HEADER: 20,
} as const;

/** Bits of the flags byte. */
export const TCP_FLAG = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 } as const;

const KIND = { END: 0, NOP: 1, MSS: 2, WINDOW_SCALE: 3, SACK_PERMITTED: 4, SACK: 5, TIMESTAMPS: 8 } as const;
/** NOP, NOP, timestamps, 10: how everybody sends them. */
const TIMESTAMPS_WORD = 0x0101080a;
/** Most shift that a window may be scaled by (RFC 7323, 2.3). */
export const MAX_WINDOW_SCALE = 14;
/** Blocks that 40 bytes of options have room for. */
export const MAX_SACK_BLOCKS = 4;
/** Bytes of the timestamps option as it is written, padding included. */
export const TIMESTAMPS_LENGTH = 12;

export class TcpOptions {
  /** Bytes; 0: not given. */
  mss = 0;
  /** Shift of 0 to 14; -1: not given. */
  windowScale = -1;
  sackPermitted = false;
  hasTimestamps = false;
  /** Signed words, as sequence numbers are. */
  timestamp = 0;
  timestampEcho = 0;
  sackBlocks = 0;
  /** Left and right edges, two signed words to a block. */
  readonly sack = new Int32Array(2 * MAX_SACK_BLOCKS);

  reset(): void {
    this.mss = 0;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.timestamp = 0;
    this.timestampEcho = 0;
    this.sackBlocks = 0;
  }
}

/** Bytes of the header with its options, as the header says: 0 to 60. */
export function headerLength(view: DataView, offset: number): number {
  return (view.getUint8(offset + TCP.DATA_OFFSET) >>> 4) * 4;
}

/**
 * Reads the options between `start` and `end` into `options`. Unknown ones are passed over; at one whose length is wrong
 * the reading ends, and what came before it holds.
 */
export function parseOptions(view: DataView, start: number, end: number, options: TcpOptions): void {
  options.reset();
  if (end - start === TIMESTAMPS_LENGTH && view.getUint32(start) === TIMESTAMPS_WORD) {
    options.hasTimestamps = true;
    options.timestamp = view.getInt32(start + 4);
    options.timestampEcho = view.getInt32(start + 8);
    return;
  }
  let at = start;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === KIND.END) return;
    if (kind === KIND.NOP) {
      at++;
      continue;
    }
    if (at + 1 >= end) return;
    const length = view.getUint8(at + 1);
    if (length < 2 || at + length > end) return;
    parseOption(view, at, kind, length, options);
    at += length;
  }
}

function parseOption(view: DataView, at: number, kind: number, length: number, options: TcpOptions): void {
  if (kind === KIND.MSS && length === 4) options.mss = view.getUint16(at + 2);
  else if (kind === KIND.WINDOW_SCALE && length === 3)
    options.windowScale = Math.min(view.getUint8(at + 2), MAX_WINDOW_SCALE);
  else if (kind === KIND.SACK_PERMITTED && length === 2) options.sackPermitted = true;
  else if (kind === KIND.TIMESTAMPS && length === 10) {
    options.hasTimestamps = true;
    options.timestamp = view.getInt32(at + 2);
    options.timestampEcho = view.getInt32(at + 6);
  } else if (kind === KIND.SACK && (length - 2) % 8 === 0) {
    options.sackBlocks = Math.min((length - 2) >>> 3, MAX_SACK_BLOCKS);
    for (let index = 0; index < options.sackBlocks * 2; index++)
      options.sack[index] = view.getInt32(at + 2 + index * 4);
  }
}

/** Writes the fixed part; checksum and urgent pointer are 0. `length`: of the header with its options, bytes. */
export function putTcp(
  view: DataView,
  offset: number,
  sourcePort: number,
  destinationPort: number,
  sequence: number,
  acknowledgment: number,
  length: number,
  flags: number,
  window: number,
): void {
  view.setUint16(offset + TCP.SOURCE_PORT, sourcePort);
  view.setUint16(offset + TCP.DESTINATION_PORT, destinationPort);
  view.setInt32(offset + TCP.SEQUENCE, sequence);
  view.setInt32(offset + TCP.ACKNOWLEDGMENT, acknowledgment);
  view.setUint16(offset + TCP.DATA_OFFSET, (length << 10) | flags);
  view.setUint16(offset + TCP.WINDOW, window);
  view.setUint32(offset + TCP.CHECKSUM, 0);
}

/** Writes a timestamps option of 12 bytes; gives the offset after it. */
export function putTimestamps(view: DataView, at: number, timestamp: number, echo: number): number {
  view.setUint32(at, TIMESTAMPS_WORD);
  view.setInt32(at + 4, timestamp);
  view.setInt32(at + 8, echo);
  return at + TIMESTAMPS_LENGTH;
}

/** Writes the blocks, two words each of `sack`, behind two NOPs; gives the offset after them. */
export function putSack(view: DataView, at: number, sack: Int32Array, blocks: number): number {
  view.setUint32(at, (KIND.NOP << 24) | (KIND.NOP << 16) | (KIND.SACK << 8) | (2 + blocks * 8));
  for (let index = 0; index < blocks * 2; index++) view.setInt32(at + 4 + index * 4, sack[index]!);
  return at + 4 + blocks * 8;
}

/** Writes the options of a SYN; `windowScale` -1 leaves it out. Gives the offset after them, a multiple of four. */
export function putSynOptions(
  view: DataView,
  start: number,
  mss: number,
  windowScale: number,
  sackPermitted: boolean,
): number {
  let at = start;
  view.setUint16(at, (KIND.MSS << 8) | 4);
  view.setUint16(at + 2, mss);
  at += 4;
  if (sackPermitted) {
    view.setUint32(at, (KIND.NOP << 24) | (KIND.NOP << 16) | (KIND.SACK_PERMITTED << 8) | 2);
    at += 4;
  }
  if (windowScale >= 0) {
    view.setUint32(at, (KIND.NOP << 24) | (KIND.WINDOW_SCALE << 16) | (3 << 8) | windowScale);
    at += 4;
  }
  return at;
}
