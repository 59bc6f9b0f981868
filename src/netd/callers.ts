/**
 * Who calls a published port, as the guest is to see it: with the address it has, so that logs and rules in the guest mean
 * something, or as the gateway where it can't have that (`Policy.clientAddress`).
 */
import type { Endpoint } from "../stack/endpoint.ts";
/**
 * Ports of the gateway that such callers have towards one guest port: the caller's own, or another where two callers
 * would look the same.
 */
export class GatewayPorts {
  private readonly taken = new Set<number>();
  private next = 49_152;

  /** A key for `release`, whose low 16 bits are the port; -1 when all are taken. */
  take(callerPort: number, guestPort: number): number {
    const high = guestPort * 0x10000;
    if (!this.taken.has(high + callerPort)) {
      this.taken.add(high + callerPort);
      return high + callerPort;
    }
    for (let tries = 0; tries < 16_384; tries++) {
      const key = high + this.next;
      this.next = this.next === 65_535 ? 49_152 : this.next + 1;
      if (this.taken.has(key)) continue;
      this.taken.add(key);
      return key;
    }
    return -1;
  }

  release(key: number): void {
    this.taken.delete(key);
  }
}

/** A new endpoint; the address is kept, not copied. */
export function endpoint(address: Uint8Array, port: number): Endpoint {
  return { family: address.length === 16 ? 6 : 4, address, port };
}
