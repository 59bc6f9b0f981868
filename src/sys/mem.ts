/**
 * Memory that the kernel may see. The one place that calls `ptr()`; the rules are in this room's README.
 */
import { type Pointer, ptr } from "bun:ffi";

/** A zeroed buffer of `size` bytes over an `ArrayBuffer` of its own, so that its address does not change. */
export function bytes(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(size));
}

const encoder = new TextEncoder();

/** A NUL-terminated UTF-8 copy of `text`; refuses text that holds a NUL itself. */
export function cstr(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError("a string for the kernel can't hold a NUL character");
  const buffer = bytes(encoder.encode(text).length + 1);
  encoder.encodeInto(text, buffer);
  return buffer;
}

/** The text before the first NUL of `buffer`. */
export function textOf(buffer: Uint8Array): string {
  const end = buffer.indexOf(0);
  return new TextDecoder().decode(end < 0 ? buffer : buffer.subarray(0, end));
}

/** A NULL-terminated `char *[]`. The strings live as long as the object: keep it until the call has returned. */
export interface StringArray {
  readonly array: BigUint64Array<ArrayBuffer>;
  readonly strings: readonly Uint8Array[];
}

export function stringArray(strings: readonly string[]): StringArray {
  const copies = strings.map(cstr);
  const array = new BigUint64Array(new ArrayBuffer((strings.length + 1) * 8));
  copies.forEach((copy, index) => {
    array[index] = BigInt(addressOf(copy));
  });
  return { array, strings: copies };
}

/** The address of a buffer made by `bytes` or `cstr`, for a field of a structure; the owner keeps the buffer alive. */
export function addressOf(buffer: Uint8Array): Pointer {
  return ptr(buffer);
}
