/** Taps with and without offload, persistent ones, and descriptors on their way from process to process. */
import { expect, test } from "bun:test";
import { closeFd, O, openFd, pipe, readFd, writeFd } from "../../src/sys/fd.ts";
import { receiveFds, sendFds } from "../../src/sys/scm-rights.ts";
import { SOCK, socketPair } from "../../src/sys/socket.ts";
import { adoptTap, openTap, setPersistent, VNET_HEADER } from "../../src/sys/tun.ts";
import { TestNetns } from "../support/netns.ts";

type IpTap = {
  ifname: string;
  linkinfo: { info_data: { type: string; persist: boolean; vnet_hdr: boolean } };
};
const taps = (place: TestNetns) => place.json<IpTap[]>("ip", "-j", "-d", "link", "show", "type", "tun");

test("a tap has a virtio header and offload, and goes with its descriptor", () => {
  using place = new TestNetns();
  const tap = place.run(() => openTap("tap0"));
  expect(tap).toMatchObject({ name: "tap0", headerSize: VNET_HEADER, offload: true });
  expect(taps(place).map(one => [one.ifname, one.linkinfo.info_data])).toEqual([
    ["tap0", expect.objectContaining({ type: "tap", vnet_hdr: true, persist: false })],
  ]);
  closeFd(tap.fd);
  expect(taps(place)).toEqual([]);
});

test("a persistent tap is opened again, also one that somebody made without headers", () => {
  using place = new TestNetns();
  place.sh("ip", "tuntap", "add", "dev", "tap0", "mode", "tap");
  expect(taps(place)[0]!.linkinfo.info_data.vnet_hdr).toBe(false);
  const first = place.run(() => openTap("tap0"));
  expect(first.offload).toBe(true);
  expect(() => place.run(() => openTap("tap0"))).toThrow("TUNSETIFF tap0: device or resource busy");
  closeFd(first.fd);
  const second = place.run(() => openTap("tap0"));
  setPersistent(second.fd, false);
  closeFd(second.fd);
  expect(taps(place)).toEqual([]);
});

test("a tap of others is taken as it is", () => {
  using place = new TestNetns();
  const fd = openFd("/dev/net/tun", O.RDWR);
  place.sh("ip", "tuntap", "add", "dev", "tap0", "mode", "tap");
  expect(() => adoptTap(fd)).toThrow("TUNGETIFF");
  closeFd(fd);
  const tap = place.run(() => openTap("tap0"));
  expect(adoptTap(tap.fd)).toEqual(tap);
  closeFd(tap.fd);
});

test("names that no device can have are refused", () => {
  using place = new TestNetns();
  expect(() => place.run(() => openTap("a-name-too-long-for-it"))).toThrow("file name too long");
});

for (const type of [SOCK.STREAM, SOCK.SEQPACKET])
  test(`descriptors pass over a Unix socket of type ${type}`, () => {
    const [ours, theirs] = socketPair(type);
    const [reader, writer] = pipe();
    sendFds(ours, [reader, writer], new TextEncoder().encode("tap0"));
    const received = receiveFds(theirs);
    expect(new TextDecoder().decode(received.data)).toBe("tap0");
    expect(received.fds).toHaveLength(2);
    writeFd(received.fds[1]!, Uint8Array.of(42));
    const byte = new Uint8Array(new ArrayBuffer(1));
    expect([readFd(reader, byte), byte[0]]).toEqual([1, 42]);
    sendFds(ours, [reader, writer, reader]);
    expect(() => receiveFds(theirs, 1)).toThrow("more descriptors");
    closeFd(ours);
    expect(receiveFds(theirs)).toEqual({ data: new Uint8Array(0), fds: [] });
    for (const fd of [theirs, reader, writer, ...received.fds]) closeFd(fd);
  });
