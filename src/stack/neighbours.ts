/**
 * Who on the guest's wire has which hardware address: learnt from every sound frame, asked for by nobody on the hot path.
 * A cache of fixed size, four ways to a set; what falls out is resolved again like an address never heard of.
 */

const SETS = 64;
const WAYS = 4;
const MAC = 6;

export class Neighbours {
  /** Hardware addresses, six bytes each; `find` gives offsets into it. */
  readonly macs = new Uint8Array(SETS * WAYS * MAC);
  /** Four words to an entry; IPv4 is kept as an IPv4-mapped IPv6 address. */
  readonly #keys = new Uint32Array(SETS * WAYS * 4);
  readonly #next = new Uint8Array(SETS);
  readonly #key = new Uint32Array(4);
  /** The entry that was found last; packets come in bursts. */
  #last = -1;

  /** Notes that the six bytes at `mac` belong to the unicast address at `address`. True when that is news. */
  learn(buffer: Uint8Array, mac: number, family: 4 | 6, address: number): boolean {
    this.#load(buffer, family, address);
    if (this.#last >= 0 && this.#holds(this.#last) && this.#sameMac(this.#last * MAC, buffer, mac))
      return false;
    const set = this.#set();
    let entry = this.#entry(set);
    if (entry >= 0 && this.#sameMac(entry * MAC, buffer, mac)) {
      this.#last = entry;
      return false;
    }
    if (entry < 0) {
      entry = set * WAYS + this.#next[set]!;
      this.#next[set] = (this.#next[set]! + 1) % WAYS;
      this.#keys.set(this.#key, entry * 4);
    }
    for (let index = 0; index < MAC; index++) this.macs[entry * MAC + index] = buffer[mac + index]!;
    this.#last = entry;
    return true;
  }

  /** Where in `macs` the hardware address for `address` lies, or -1 when nobody has said yet. */
  find(buffer: Uint8Array, family: 4 | 6, address: number): number {
    this.#load(buffer, family, address);
    if (this.#last >= 0 && this.#holds(this.#last)) return this.#last * MAC;
    const entry = this.#entry(this.#set());
    if (entry < 0) return -1;
    this.#last = entry;
    return entry * MAC;
  }

  #load(buffer: Uint8Array, family: 4 | 6, address: number): void {
    const key = this.#key;
    if (family === 4) {
      key[0] = 0;
      key[1] = 0;
      key[2] = 0xffff;
      key[3] = word(buffer, address);
    } else for (let index = 0; index < 4; index++) key[index] = word(buffer, address + index * 4);
  }

  #set(): number {
    const key = this.#key;
    const mixed = Math.imul(key[0]! ^ key[1]! ^ key[2]! ^ key[3]!, 0x9e3779b1);
    return (mixed >>> 16) % SETS;
  }

  #entry(set: number): number {
    for (let entry = set * WAYS; entry < (set + 1) * WAYS; entry++) if (this.#holds(entry)) return entry;
    return -1;
  }

  #holds(entry: number): boolean {
    const keys = this.#keys;
    const key = this.#key;
    const at = entry * 4;
    return (
      keys[at + 3] === key[3] && keys[at + 2] === key[2] && keys[at + 1] === key[1] && keys[at] === key[0]
    );
  }

  #sameMac(at: number, buffer: Uint8Array, mac: number): boolean {
    for (let index = MAC - 1; index >= 0; index--)
      if (this.macs[at + index] !== buffer[mac + index]) return false;
    return true;
  }
}

function word(buffer: Uint8Array, at: number): number {
  return ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!) >>> 0;
}
