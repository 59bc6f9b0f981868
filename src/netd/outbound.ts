/** Where sockets of the host begin: the address or the interface that was chosen for the way out. */
import { bindSocket, bindToDevice, IP_OPTION, LEVEL, SocketAddress, setInt } from "../sys/inet.ts";
import { cstr } from "../sys/mem.ts";
import type { IpAddress } from "../wire/addr.ts";

export interface OutboundOptions {
  /** Source addresses of what goes out; the kernel chooses where none is given. */
  ipv4?: IpAddress;
  ipv6?: IpAddress;
  /** Interfaces that everything of a family leaves by (SO_BINDTODEVICE). */
  device4?: string;
  device6?: string;
}

const ANY4 = new Uint8Array(4);
const ANY6 = new Uint8Array(16);
const scratch = new SocketAddress();

export class Outbound {
  private readonly device4: Uint8Array<ArrayBuffer> | undefined;
  private readonly device6: Uint8Array<ArrayBuffer> | undefined;
  private readonly ipv4: Uint8Array | undefined;
  private readonly ipv6: Uint8Array | undefined;

  constructor(options: OutboundOptions = {}) {
    this.device4 = options.device4 ? cstr(options.device4) : undefined;
    this.device6 = options.device6 ? cstr(options.device6) : undefined;
    this.ipv4 = options.ipv4?.bytes;
    this.ipv6 = options.ipv6?.bytes;
  }

  /**
   * Binds a new socket for a way to `address`, to `port`: 0 is any port, and none is bound where no address is either
   * (connect(2) will do it). The host's loopback is reached from the loopback alone. 0 or a negative errno.
   */
  bind(fd: number, family: 4 | 6, address: Uint8Array, port?: number): number {
    const local = isLoopback(address);
    const device = family === 6 ? this.device6 : this.device4;
    if (device && !local) {
      const result = bindToDevice(fd, device);
      if (result < 0) return result;
    }
    const source = local ? undefined : family === 6 ? this.ipv6 : this.ipv4;
    if (source === undefined && port === undefined) return 0;
    // Chosen by connect(2), a port need only be free towards that destination.
    if (port === undefined) setInt(fd, LEVEL.IP, IP_OPTION.BIND_ADDRESS_NO_PORT, 1);
    return bindSocket(fd, scratch.set(family, source ?? (family === 6 ? ANY6 : ANY4), port ?? 0));
  }
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127;
  for (let index = 0; index < 15; index++) if (address[index] !== 0) return false;
  return address[15] === 1;
}

/**
 * True for addresses that mean this very host to the kernel, or an IPv4 address in IPv6's clothes: a guest that names
 * them as a destination gets nowhere.
 */
export function isForbidden(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127 || address[0] === 0;
  for (let index = 0; index < 10; index++) if (address[index] !== 0) return false;
  const mapped = address[10] === 0xff && address[11] === 0xff;
  const low = address[10] === 0 && address[11] === 0;
  return mapped || low;
}
