/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of few bytes that nobody without the key can predict. Words of
 * 64 bits are pairs of 32, low half first.
 */

export class SipHash {
  /** Low and high half of the last hash. */
  low = 0;
  high = 0;
  /** v0 to v3. */
  private readonly v = new Int32Array(8);
  private readonly key = new Int32Array(4);

  /** `key`: 16 bytes. */
  constructor(key: Uint8Array) {
    for (let index = 0; index < 4; index++) this.key[index] = word(key, index * 4);
  }

  /** Hashes the first `length` bytes; the result is in `low` and `high`. */
  hash(bytes: Uint8Array, length: number): void {
    const { v, key } = this;
    v[0] = key[0]! ^ 0x70736575;
    v[1] = key[1]! ^ 0x736f6d65;
    v[2] = key[2]! ^ 0x6e646f6d;
    v[3] = key[3]! ^ 0x646f7261;
    v[4] = key[0]! ^ 0x6e657261;
    v[5] = key[1]! ^ 0x6c796765;
    v[6] = key[2]! ^ 0x79746573;
    v[7] = key[3]! ^ 0x74656462;
    const whole = length & ~7;
    for (let at = 0; at < whole; at += 8) this.compress(word(bytes, at), word(bytes, at + 4));
    let low = 0;
    let high = (length & 0xff) << 24;
    for (let at = whole; at < length; at++) {
      const place = at - whole;
      if (place < 4) low |= bytes[at]! << (8 * place);
      else high |= bytes[at]! << (8 * (place - 4));
    }
    this.compress(low, high);
    v[4]! ^= 0xff;
    for (let round = 0; round < 4; round++) sipRound(v);
    this.low = v[0]! ^ v[2]! ^ v[4]! ^ v[6]!;
    this.high = v[1]! ^ v[3]! ^ v[5]! ^ v[7]!;
  }

  private compress(low: number, high: number): void {
    const { v } = this;
    v[6]! ^= low;
    v[7]! ^= high;
    sipRound(v);
    sipRound(v);
    v[0]! ^= low;
    v[1]! ^= high;
  }
}

function sipRound(v: Int32Array): void {
  add(v, 0, 2);
  rotateXor(v, 2, 13, 0);
  swap(v, 0);
  add(v, 4, 6);
  rotateXor(v, 6, 16, 4);
  add(v, 0, 6);
  rotateXor(v, 6, 21, 0);
  add(v, 4, 2);
  rotateXor(v, 2, 17, 4);
  swap(v, 4);
}

/** v[a] += v[b], 64 bits. */
function add(v: Int32Array, a: number, b: number): void {
  const low = (v[a]! >>> 0) + (v[b]! >>> 0);
  v[a] = low;
  v[a + 1] = v[a + 1]! + v[b + 1]! + (low > 0xffffffff ? 1 : 0);
}

/** v[a] = rotate-left(v[a], bits) ^ v[b]; bits below 32. */
function rotateXor(v: Int32Array, a: number, bits: number, b: number): void {
  const low = v[a]!;
  const high = v[a + 1]!;
  v[a] = ((low << bits) | (high >>> (32 - bits))) ^ v[b]!;
  v[a + 1] = ((high << bits) | (low >>> (32 - bits))) ^ v[b + 1]!;
}

/** Rotation by 32 bits. */
function swap(v: Int32Array, a: number): void {
  const low = v[a]!;
  v[a] = v[a + 1]!;
  v[a + 1] = low;
}

/** Four bytes, little endian. */
function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
