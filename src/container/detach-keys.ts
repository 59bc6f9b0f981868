/** The keys that leave an attached terminal without ending what runs in it (`--detach-keys`, Podman's notation). */
import { UserError } from "../base/errors.ts";

export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

/** `"ctrl-p,ctrl-q"` → the bytes a terminal sends for it; `""` for none. Throws for a key that there is not. */
export function parseDetachKeys(text: string): Uint8Array {
  if (text === "") return new Uint8Array(0);
  return Uint8Array.from(text.split(","), key => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control) return control.toUpperCase().charCodeAt(0) - 64;
    if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
    throw new UserError(`unable to parse detach keys: unknown character: '${key}'`);
  });
}

/**
 * Watches what is typed for the sequence. What may be its beginning is held back until the next key tells, so the keys
 * themselves never reach the container.
 */
export class DetachFilter {
  readonly #keys: Uint8Array;
  #held = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** The bytes to pass on, and whether the sequence is complete; bytes after it are dropped. */
  feed(input: Uint8Array): { pass: Uint8Array; detached: boolean } {
    const keys = this.#keys;
    if (keys.length === 0) return { pass: input, detached: false };
    const pass: number[] = [];
    for (const byte of input) {
      while (this.#held > 0 && byte !== keys[this.#held]) {
        // The longest ending of what was held that may still begin the sequence stays held.
        const before = this.#held;
        do this.#held--;
        while (this.#held > 0 && !this.#repeats(before, this.#held));
        pass.push(...keys.subarray(0, before - this.#held));
      }
      if (byte !== keys[this.#held]) pass.push(byte);
      else if (++this.#held === keys.length) return { pass: Uint8Array.from(pass), detached: true };
    }
    return { pass: Uint8Array.from(pass), detached: false };
  }

  /** True when the last `length` of the first `total` keys are the first `length` keys. */
  #repeats(total: number, length: number): boolean {
    const keys = this.#keys;
    for (let i = 0; i < length; i++) if (keys[total - length + i] !== keys[i]) return false;
    return true;
  }
}
