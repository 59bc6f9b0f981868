import { expect, test } from "bun:test";
import { SipHash } from "./siphash.ts";

test("the authors' test vectors", () => {
  const key = Uint8Array.from({ length: 16 }, (_, index) => index);
  const message = Uint8Array.from({ length: 64 }, (_, index) => index);
  const hash = new SipHash(key);
  const text = (length: number) => {
    hash.hash(message, length);
    return [hash.high, hash.low].map(half => (half >>> 0).toString(16).padStart(8, "0")).join("");
  };
  // Appendix A of the paper, and the first of the reference implementation's vectors.
  expect(text(15)).toBe("a129ca6149be45e5");
  expect(text(0)).toBe("726fdb47dd0e0e31");
});
