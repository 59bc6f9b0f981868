/**
 * What the stack asks of the world beyond it: a wire to the guest and sockets of the host.
 *
 * `netd/` answers with a tap device and the kernel's sockets, a test with a model. Every call returns at once; what takes
 * time is told later through `Stack.socketReady`. Failures are negative errno values, never exceptions: this is the hot
 * path.
 */

/** A socket of the host, as whoever implements `Outside` numbers them: small, not negative, unique while open. */
export type Handle = number;

/** What `Stack.socketReady` tells; bits of one number. */
export const READY = {
  /** Data, the peer's end of stream, or a datagram. */
  READABLE: 1,
  /** Room for data; for a socket that connects: the attempt is over, `takeError` says how. */
  WRITABLE: 2,
  /** The peer will send no more (EPOLLRDHUP). */
  PEER_CLOSED: 4,
  /** Something failed; `takeError` says what. */
  ERROR: 8,
  /** The peer sent urgent data, at which a read ends early: a short one does not mean that there is no more. */
  URGENT: 16,
} as const;

/** Where a flow from the guest is to go. */
export interface Destination {
  /**
   * `internet`: the address as it stands. `loopback`: the host's own 127.0.0.1 or ::1 (the guest spoke to the gateway).
   * `dns`: one of the host's resolvers (TCP only; for datagrams see `dnsQuery`).
   */
  kind: "internet" | "loopback" | "dns";
  family: 4 | 6;
  /** 4 or 16 bytes, network order; the receiver copies what it keeps. */
  address: Uint8Array;
  port: number;
}

/**
 * A frame on its way to the guest: `header`, then `payload`. The stack owns the object and uses it again; whoever gets it
 * has done with it when the call returns. 16 bytes before `headerStart` are free for a header of the device's own.
 */
export class OutFrame {
  /** From Ethernet to the transport's last option. */
  header: Uint8Array<ArrayBuffer> = new Uint8Array(new ArrayBuffer(256));
  headerStart = 16;
  headerLength = 0;
  payload: Uint8Array<ArrayBuffer> = this.header;
  payloadStart = 0;
  /** 0: the header is all. */
  payloadLength = 0;
  /**
   * With offload: where the transport's header begins, in bytes from `headerStart`. Its checksum field then holds the sum
   * over the pseudo-header, and the guest's kernel takes the packet as sound (`VIRTIO_NET_HDR_F_NEEDS_CSUM`, `csum_start`).
   * 0 where all checksums are complete.
   */
  checksumStart = 0;
  /** Where the checksum field lies, in bytes from `checksumStart` (virtio's `csum_offset`): 16 in TCP, 6 in UDP. */
  checksumOffset = 0;
  /**
   * With offload: the bytes of payload to a segment, when the frame stands for several of TCP (TSO) or, with
   * `udpSegments`, for several datagrams (USO; `checksumOffset` tells the two apart); 0 for one.
   */
  segmentSize = 0;
  family: 4 | 6 = 4;
}

export interface Outside {
  /** Sends a frame to the guest. What the device can't take is lost, as on any wire. */
  emit(frame: OutFrame): void;

  /** A TCP socket that begins to connect. Its end is told as WRITABLE. Gives the handle, or a negative errno. */
  connectTcp(to: Destination): Handle;
  /** A UDP socket connected to `to`; flows of one guest endpoint (`guestKey`) share one local port (RFC 4787, 4.1). */
  openUdp(to: Destination, guestKey: string): Handle;
  /** A socket for ICMP echo to `to.address` (icmp(7)); the kernel chooses the identifier. -EACCES where it is forbidden. */
  openPing(to: Destination): Handle;

  /** Bytes taken (TCP), or the datagram's length; -EAGAIN when none can be taken: WRITABLE follows once there is room. */
  send(handle: Handle, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number;
  /** Bytes read; TCP: 0 at the peer's end. A datagram's length may be 0. -EAGAIN: READABLE follows once there is more. */
  receive(handle: Handle, buffer: Uint8Array<ArrayBuffer>, start: number, length: number): number;
  /** A datagram from a published UDP socket (`Stack.datagramArrived`) to one of its clients. */
  sendTo(
    handle: Handle,
    to: Destination,
    buffer: Uint8Array<ArrayBuffer>,
    start: number,
    length: number,
  ): number;
  /** The socket's pending error as a positive errno, 0 for none; taking it clears it (SO_ERROR, or the error queue). */
  takeError(handle: Handle): number;
  /** The path MTU that the kernel knows for a connected socket, in bytes of IP packet (IP_MTU); 0 when unknown. */
  pathMtu(handle: Handle): number;
  /** No more will be sent (FIN). */
  shutdownWrite(handle: Handle): void;
  close(handle: Handle): void;
  /** Closes so that the peer sees a reset (SO_LINGER 0). */
  reset(handle: Handle): void;

  /** A DNS message that the guest sent to its DNS address; answered by `Stack.dnsAnswered` with the same token, or never. */
  dnsQuery(token: number, message: Uint8Array): void;
}
