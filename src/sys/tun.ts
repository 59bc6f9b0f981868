/**
 * Tap devices (the kernel's Documentation/networking/tuntap.rst; linux/if_tun.h): Ethernet frames by read(2) and write(2),
 * each behind a `struct virtio_net_hdr` where the kernel agrees to it.
 */
import { hasCode } from "../base/errors.ts";
import { check, ERRNO, sysError } from "./errno.ts";
import { closeFd, O, openFd, setNonBlocking } from "./fd.ts";
import { errnoNow, libc } from "./libc.ts";
import { bytes, textOf } from "./mem.ts";
import { packetLibc } from "./packet-libc.ts";

/** Requests of ioctl(2) that take a structure. */
const REQUEST = {
  TUNSETIFF: 0x400454ca,
  TUNGETIFF: 0x800454d2,
  TUNGETVNETHDRSZ: 0x800454d7,
  TUNSETVNETHDRSZ: 0x400454d8,
} as const;
/** Requests that take a number in the pointer's place. */
const TUNSETPERSIST = 0x400454cb;
const TUNSETOWNER = 0x400454cc;
const TUNSETGROUP = 0x400454ce;
const TUNSETOFFLOAD = 0x400454d0;

const IFF = { TUN: 0x0001, TAP: 0x0002, MULTI_QUEUE: 0x0100, NO_PI: 0x1000, VNET_HDR: 0x4000 } as const;
const TUN_F = { CSUM: 0x01, TSO4: 0x02, TSO6: 0x04, USO4: 0x20, USO6: 0x40 } as const;

/** `sizeof(struct virtio_net_hdr)`: the form without the count of merged buffers. */
export const VNET_HEADER = 10;

export interface TapDevice {
  /** Non-blocking, close-on-exec; the owner closes it. */
  fd: number;
  name: string;
  /** Bytes of `virtio_net_hdr` before each frame, both ways: `VNET_HEADER`, or 0 without. */
  headerSize: number;
  /** The guest's kernel hands over partial checksums and TCP super-frames, and takes them. */
  offload: boolean;
  /** So it does with UDP super-frames (Linux 6.2). */
  udpSegments: boolean;
}

export interface OpenTapOptions {
  /** Whether it is to be persistent; left as it is where nothing is said. */
  persist?: boolean;
  /** False: no headers and no offload. */
  offload?: boolean;
}

/**
 * Opens the tap `name` in the calling thread's network namespace, with headers and offload where the kernel has them;
 * makes it when it is not there. A persistent one outlives its last descriptor and can be opened again.
 */
export function openTap(name: string, options: OpenTapOptions = {}): TapDevice {
  const fd = openFd("/dev/net/tun", O.RDWR | O.NONBLOCK);
  try {
    const flags = IFF.TAP | IFF.NO_PI;
    const wanted = options.offload === false ? flags : flags | IFF.VNET_HDR;
    try {
      ask(fd, "TUNSETIFF", interfaceRequest(name, wanted), name);
    } catch (error) {
      if (!hasCode(error, "EINVAL")) throw error;
      ask(fd, "TUNSETIFF", interfaceRequest(name, flags), name);
    }
    if (options.persist !== undefined) setPersistent(fd, options.persist);
    return adoptTap(fd);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** Makes a persistent tap for others to open, in the calling thread's namespace; EBUSY where the name is taken. */
export function makeTap(
  name: string,
  options: { owner?: number; group?: number; multiQueue?: boolean } = {},
): void {
  const fd = openFd("/dev/net/tun", O.RDWR);
  try {
    const flags = IFF.TAP | IFF.NO_PI | (options.multiQueue ? IFF.MULTI_QUEUE : 0);
    ask(fd, "TUNSETIFF", interfaceRequest(name, flags), name);
    for (const [request, id] of [
      [TUNSETOWNER, options.owner],
      [TUNSETGROUP, options.group],
    ] as const)
      if (id !== undefined) check(packetLibc.ioctl(fd, request, id), "set the owner of tap", name);
    setPersistent(fd, true);
  } finally {
    closeFd(fd);
  }
}

/**
 * A tap that somebody else opened: learns what it can do (TUNGETIFF) and asks for offload. Throws EINVAL for a TUN
 * device or one that puts packet information before its frames.
 */
export function adoptTap(fd: number): TapDevice {
  const request = bytes(40);
  ask(fd, "TUNGETIFF", request);
  const flags = new DataView(request.buffer).getUint16(16, true);
  const name = textOf(request.subarray(0, 16));
  if (!(flags & IFF.TAP) || !(flags & IFF.NO_PI)) throw sysError("TUNGETIFF", ERRNO.EINVAL, name);
  setNonBlocking(fd, true);
  if (!(flags & IFF.VNET_HDR)) return { fd, name, headerSize: 0, offload: false, udpSegments: false };
  const size = headerSize(fd);
  const udpSegments = setOffload(fd, TUN_F.USO4 | TUN_F.USO6);
  return { fd, name, headerSize: size, offload: udpSegments || setOffload(fd), udpSegments };
}

/** TUNSETPERSIST: whether the device stays when nobody holds it open. */
export function setPersistent(fd: number, on: boolean): void {
  check(packetLibc.ioctl(fd, TUNSETPERSIST, on ? 1 : 0), "TUNSETPERSIST");
}

/** Settles on the short header; what the device has already where it can't be set. */
function headerSize(fd: number): number {
  const size = bytes(4);
  const view = new DataView(size.buffer);
  view.setInt32(0, VNET_HEADER, true);
  try {
    ask(fd, "TUNSETVNETHDRSZ", size);
  } catch {
    ask(fd, "TUNGETVNETHDRSZ", size);
  }
  return view.getInt32(0, true);
}

/** True when the kernel took it; without, every frame is whole and has its checksums. */
function setOffload(fd: number, more = 0): boolean {
  const features = TUN_F.CSUM | TUN_F.TSO4 | TUN_F.TSO6 | more;
  if (packetLibc.ioctl(fd, TUNSETOFFLOAD, features) >= 0) return true;
  const errno = errnoNow();
  if (errno === ERRNO.EINVAL) return false;
  throw sysError("TUNSETOFFLOAD", errno);
}

function ask(fd: number, request: keyof typeof REQUEST, argument: Uint8Array, subject = ""): void {
  check(libc.ioctl(fd, REQUEST[request], argument), request, subject);
}

/** A `struct ifreq` with a name and flags. */
function interfaceRequest(name: string, flags: number): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length > 15) throw sysError("TUNSETIFF", ERRNO.ENAMETOOLONG, name);
  const request = bytes(40);
  request.set(encoded);
  new DataView(request.buffer).setUint16(16, flags, true);
  return request;
}
