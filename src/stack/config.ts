/** What one user-mode network is: addresses, permissions, limits. Addresses are 4 or 16 bytes in network order. */
import type { Cidr, IpAddress } from "../wire/addr.ts";

export interface StackConfig {
  /** The guest's network; the gateway and the DNS address lie in it. */
  ipv4: { subnet: Cidr; gateway: IpAddress; dns: IpAddress; guest: IpAddress };
  /** Absent: no IPv6. */
  ipv6?: { prefix: Cidr; gateway: IpAddress; dns: IpAddress };
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
  /** The DNS address answers. */
  dns: boolean;
  /** Domains for DHCP's search list. */
  searchDomains: readonly string[];
  /** 16 secret bytes for initial sequence numbers (RFC 6528) and fragment identifications. */
  secret: Uint8Array;
  limits: StackLimits;
}

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
