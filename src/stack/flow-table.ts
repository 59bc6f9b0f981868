/**
 * Flows by their addresses and ports, found without allocating. A hash table with chains: what a flow is looked up by
 * lies in one array of words, ten to an entry; an entry keeps its number for as long as it lives.
 *
 * The hash is seeded, so that a guest that chooses its ports can't choose its chains.
 */

/** Words of a key: source address 4, destination address 4, ports 1, family 1. IPv4 addresses stand as v4-mapped. */
const KEY = 10;
const NONE = -1;

export class FlowTable<F extends object> {
  /** How many flows there are. */
  size = 0;
  private capacity: number;
  /** First entry of each chain; as many chains as entries, a power of two. */
  private heads: Int32Array;
  /** The entry that follows in its chain, or in the list of free ones. */
  private next: Int32Array;
  private hashes: Int32Array;
  private keys: Int32Array;
  private flows: (F | undefined)[];
  private free = NONE;
  /** Entries that were ever used lie below. */
  private used = 0;
  /** The key that is looked for. */
  private readonly wanted = new Int32Array(KEY);
  private readonly seed: number;

  /** `secret`: bytes that the guest does not know; the first four are the seed. */
  constructor(secret: Uint8Array, capacity = 64) {
    this.capacity = capacity;
    this.seed = word(secret, 0);
    this.heads = new Int32Array(capacity).fill(NONE);
    this.next = new Int32Array(capacity);
    this.hashes = new Int32Array(capacity);
    this.keys = new Int32Array(capacity * KEY);
    this.flows = new Array<F | undefined>(capacity).fill(undefined);
  }

  /** The flow with this key. Addresses are 4 or 16 bytes from their offsets on, ports 16 bits. */
  find(
    family: 4 | 6,
    source: Uint8Array,
    sourceStart: number,
    destination: Uint8Array,
    destinationStart: number,
    sourcePort: number,
    destinationPort: number,
  ): F | undefined {
    const hash = this.want(
      family,
      source,
      sourceStart,
      destination,
      destinationStart,
      sourcePort,
      destinationPort,
    );
    const entry = this.lookUp(hash);
    return entry === NONE ? undefined : this.flows[entry];
  }

  /** Adds a flow whose key is in no entry yet, and gives the entry's number, for `remove`. */
  add(
    family: 4 | 6,
    source: Uint8Array,
    sourceStart: number,
    destination: Uint8Array,
    destinationStart: number,
    sourcePort: number,
    destinationPort: number,
    flow: F,
  ): number {
    if (this.free === NONE && this.used === this.capacity) this.grow();
    const hash = this.want(
      family,
      source,
      sourceStart,
      destination,
      destinationStart,
      sourcePort,
      destinationPort,
    );
    let entry = this.free;
    if (entry === NONE) entry = this.used++;
    else this.free = this.next[entry]!;
    this.keys.set(this.wanted, entry * KEY);
    this.hashes[entry] = hash;
    this.flows[entry] = flow;
    this.link(entry, hash);
    this.size++;
    return entry;
  }

  /** Forgets the flow of an entry that `add` gave. */
  remove(entry: number): void {
    const chain = this.hashes[entry]! & (this.capacity - 1);
    let at = this.heads[chain]!;
    if (at === entry) this.heads[chain] = this.next[entry]!;
    else {
      while (this.next[at] !== entry) at = this.next[at]!;
      this.next[at] = this.next[entry]!;
    }
    this.flows[entry] = undefined;
    this.next[entry] = this.free;
    this.free = entry;
    this.size--;
  }

  /** Calls `visit` with every flow; it may remove the one it is called with. */
  forEach(visit: (flow: F) => void): void {
    for (let entry = 0; entry < this.used; entry++) {
      const flow = this.flows[entry];
      if (flow !== undefined) visit(flow);
    }
  }

  private want(
    family: 4 | 6,
    source: Uint8Array,
    sourceStart: number,
    destination: Uint8Array,
    destinationStart: number,
    sourcePort: number,
    destinationPort: number,
  ): number {
    const wanted = this.wanted;
    if (family === 4) {
      wanted[0] = wanted[1] = wanted[4] = wanted[5] = 0;
      wanted[2] = wanted[6] = 0xffff;
      wanted[3] = word(source, sourceStart);
      wanted[7] = word(destination, destinationStart);
    } else
      for (let index = 0; index < 4; index++) {
        wanted[index] = word(source, sourceStart + index * 4);
        wanted[index + 4] = word(destination, destinationStart + index * 4);
      }
    wanted[8] = (sourcePort << 16) | destinationPort;
    wanted[9] = family;
    // MurmurHash3's mixing of words and its final avalanche.
    let hash = this.seed;
    for (let index = 0; index < KEY; index++) {
      let part = Math.imul(wanted[index]!, 0xcc9e2d51);
      part = (part << 15) | (part >>> 17);
      hash ^= Math.imul(part, 0x1b873593);
      hash = (hash << 13) | (hash >>> 19);
      hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }

  private lookUp(hash: number): number {
    const { keys, wanted, next, hashes } = this;
    let entry = this.heads[hash & (this.capacity - 1)]!;
    search: while (entry !== NONE) {
      if (hashes[entry] === hash) {
        const key = entry * KEY;
        for (let index = 0; index < KEY; index++)
          if (keys[key + index] !== wanted[index]) {
            entry = next[entry]!;
            continue search;
          }
        return entry;
      }
      entry = next[entry]!;
    }
    return NONE;
  }

  private link(entry: number, hash: number): void {
    const chain = hash & (this.capacity - 1);
    this.next[entry] = this.heads[chain]!;
    this.heads[chain] = entry;
  }

  private grow(): void {
    const { keys, hashes } = this;
    this.capacity *= 2;
    this.heads = new Int32Array(this.capacity).fill(NONE);
    this.next = new Int32Array(this.capacity);
    this.hashes = new Int32Array(this.capacity);
    this.hashes.set(hashes);
    this.keys = new Int32Array(this.capacity * KEY);
    this.keys.set(keys);
    for (let entry = 0; entry < this.used; entry++) this.link(entry, hashes[entry]!);
  }
}

/** Four bytes in network order as a signed word. */
function word(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
}
