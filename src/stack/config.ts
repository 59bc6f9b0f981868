/** What one user-mode network is: addresses, permissions, limits. Addresses are 4 or 16 bytes in network order. */
import type { Cidr, IpAddress } from "../wire/addr.ts";

export interface StackConfig {
  /** The guest's network. Gateway and DNS address lie in it where nobody else does (`shared`). */
  ipv4: { subnet: Cidr; gateway: IpAddress; dns: IpAddress; guest: IpAddress };
  /** Absent: no IPv6. */
  ipv6?: { prefix: Cidr; gateway: IpAddress; dns: IpAddress; guest?: IpAddress };
  /** Six bytes: the hardware address that the stack answers with. */
  mac: Uint8Array;
  /** Bytes of IP packet to a frame, 576 to 65520; super-frames of TCP with offload may be longer. */
  mtu: number;
  /** The device takes partial checksums and TCP super-frames (`IFF_VNET_HDR`). */
  offload: boolean;
  /** With offload: the device takes UDP super-frames as well (`VIRTIO_NET_HDR_GSO_UDP_L4`, Linux 6.2). */
  udpSegments?: boolean;
  /** The gateway's address stands for the host's loopback. */
  hostLoopback: boolean;
  /**
   * The guest's network is one of the host's: whoever else is on it lives beyond us, and the gateway too where it does not
   * stand for the host's loopback. Absent: nobody is on the guest's network but the guest and us.
   */
  shared?: boolean;
  /** Addresses that stand for another. */
  aliases?: readonly Alias[];
  /** What does not pass, or is not answered. */
  without?: readonly Service[];
  /** The DNS address answers. */
  dns: boolean;
  /** Domains for DHCP's search list. */
  searchDomains: readonly string[];
  /** 16 secret bytes for initial sequence numbers (RFC 6528) and fragment identifications. */
  secret: Uint8Array;
  limits: StackLimits;
}

/** To the guest, `address` is `to`: one of the host's own, or its loopback. */
export interface Alias {
  address: IpAddress;
  to: IpAddress | "loopback";
}

export const SERVICES = ["tcp", "udp", "icmp", "dhcp", "dhcpv6", "ra", "ndp"] as const;
/** `icmp`: both versions, without neighbour discovery. `ra`: router advertisements, `ndp`: the rest of discovery. */
export type Service = (typeof SERVICES)[number];

/** Counts are of flows, sizes in bytes. */
export interface StackLimits {
  tcpFlows: number;
  udpFlows: number;
  pingFlows: number;
  /** Most that one flow may hold in each direction. */
  flowBuffer: number;
  /** Most that all flows of the stack hold together. */
  totalBuffer: number;
  /** Fragments of packets that are not yet whole. */
  reassembly: number;
}
