/** Non-blocking sockets, epoll and what stands beside a datagram, on the loopback of a namespace of the test's own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { DatagramIo, takeQueuedError, wantErrors, wantLocalAddress } from "../../src/sys/datagram.ts";
import { EPOLL, Epoll } from "../../src/sys/epoll.ts";
import { ERRNO } from "../../src/sys/errno.ts";
import { EventFd } from "../../src/sys/eventfd.ts";
import { waitReadable } from "../../src/sys/fd.ts";
import {
  acceptSocket,
  bindSocket,
  closeSocket,
  connectSocket,
  getInt,
  IP_OPTION,
  IPPROTO,
  LEVEL,
  localAddress,
  openSocket,
  receivePart,
  replaceSocket,
  resetOnClose,
  SO,
  SocketAddress,
  sendPart,
  shutdownSending,
} from "../../src/sys/inet.ts";
import { bytes } from "../../src/sys/mem.ts";
import { raiseDescriptorLimit } from "../../src/sys/rlimit.ts";
import { listen, SOCK } from "../../src/sys/socket.ts";
import { parseIP } from "../../src/wire/addr.ts";
import { TestNetns } from "../support/netns.ts";

let place: TestNetns;
beforeAll(() => {
  place = new TestNetns();
  place.sh("ip", "link", "set", "lo", "up");
  place.sh("ip", "address", "add", "192.0.2.7/32", "dev", "lo");
});
afterAll(() => place[Symbol.dispose]());

const at = (text: string, port: number) => {
  const ip = parseIP(text)!;
  return new SocketAddress().set(ip.family, ip.bytes, port);
};
const text = (buffer: Uint8Array, length: number) => new TextDecoder().decode(buffer.subarray(0, length));
const data = (value: string) => {
  const encoded = new TextEncoder().encode(value);
  const buffer = bytes(encoded.length);
  buffer.set(encoded);
  return buffer;
};
/** Waits until there is something to receive. */
const arrival = (fd: number) => expect(waitReadable(fd, 5000)).toBe(true);
const udp = (family: 4 | 6) => place.run(() => openSocket(family, SOCK.DGRAM, IPPROTO.UDP));
const tcp = (family: 4 | 6) => place.run(() => openSocket(family, SOCK.STREAM, IPPROTO.TCP));

for (const [family, address] of [
  [4, "127.0.0.1"],
  [6, "::1"],
] as const)
  test(`TCP over IPv${family}: edges, parts of buffers, half-close, reset`, () => {
    using epoll = new Epoll();
    const listener = tcp(family);
    expect(bindSocket(listener, at(address, 0))).toBe(0);
    listen(listener, 16);
    const local = new SocketAddress();
    expect(localAddress(listener, local)).toBe(0);
    const client = tcp(family);
    expect([0, -ERRNO.EINPROGRESS]).toContain(connectSocket(client, local));
    expect(epoll.add(client, EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP | EPOLL.ET, 0xfffffff1)).toBe(0);
    expect(epoll.wait(1000)).toBe(1);
    expect([epoll.fdAt(0), epoll.eventsAt(0), epoll.tagAt(0)]).toEqual([client, EPOLL.OUT, 0xfffffff1]);
    expect(epoll.wait(0)).toBe(0);
    const peer = new SocketAddress();
    const server = acceptSocket(listener, peer);
    expect(peer.address).toEqual(parseIP(address)!.bytes);
    expect(acceptSocket(listener, peer)).toBe(-ERRNO.EAGAIN);

    expect(sendPart(server, data("..hello.."), 2, 5)).toBe(5);
    shutdownSending(server);
    expect(epoll.wait(1000)).toBe(1);
    expect(epoll.eventsAt(0)).toBe(EPOLL.IN | EPOLL.OUT | EPOLL.RDHUP);
    const buffer = bytes(32);
    expect(receivePart(client, buffer, 4, 28)).toBe(5);
    expect(text(buffer.subarray(4), 5)).toBe("hello");
    expect(receivePart(client, buffer, 0, 32)).toBe(0);
    expect(sendPart(client, data("yet"), 0, 3)).toBe(3);
    expect(receivePart(server, buffer, 0, 32)).toBe(3);
    expect(resetOnClose(server)).toBe(0);
    closeSocket(server);
    expect(epoll.wait(1000)).toBe(1);
    expect(epoll.eventsAt(0) & EPOLL.ERR).toBe(EPOLL.ERR);
    expect(getInt(client, LEVEL.SOCKET, SO.ERROR)).toBe(ERRNO.EPIPE);
    closeSocket(client);
    closeSocket(listener);
  });

test("a refused connection is an edge and an error", () => {
  using epoll = new Epoll();
  const client = tcp(4);
  connectSocket(client, at("127.0.0.1", 9));
  epoll.add(client, EPOLL.OUT | EPOLL.ET, 1);
  expect(epoll.wait(1000)).toBe(1);
  expect(epoll.eventsAt(0) & EPOLL.ERR).toBe(EPOLL.ERR);
  expect(getInt(client, LEVEL.SOCKET, SO.ERROR)).toBe(ERRNO.ECONNREFUSED);
  closeSocket(client);
});

test("a socket takes the place of another, and epoll forgets that one", () => {
  using epoll = new Epoll();
  const first = udp(4);
  const second = udp(4);
  epoll.add(first, EPOLL.OUT, 1);
  bindSocket(second, at("127.0.0.1", 0));
  expect(replaceSocket(second, first)).toBe(0);
  expect(epoll.wait(0)).toBe(0);
  const local = new SocketAddress();
  localAddress(first, local);
  expect(local.port).toBeGreaterThan(0);
  expect(getInt(second, LEVEL.SOCKET, SO.ERROR)).toBe(-ERRNO.EBADF);
  closeSocket(first);
});

test("a datagram tells which address it was sent to, and the answer leaves from there", () => {
  const server = udp(4);
  wantLocalAddress(server, 4);
  bindSocket(server, at("0.0.0.0", 5353));
  const client = udp(4);
  connectSocket(client, at("192.0.2.7", 5353));
  expect(sendPart(client, data("who?"), 0, 4)).toBe(4);
  const io = new DatagramIo();
  const buffer = bytes(64);
  arrival(server);
  expect(io.receive(server, buffer, 0, 64)).toBe(4);
  expect(io.local?.address).toEqual(Uint8Array.of(192, 0, 2, 7));
  const before = io.local;
  expect(io.send(server, io.peer, io.local, data("me"), 0, 2)).toBe(2);
  arrival(client);
  // The client is connected to 192.0.2.7 and would not get it from 127.0.0.1.
  expect(receivePart(client, buffer, 0, 64)).toBe(2);
  sendPart(client, buffer, 0, 0);
  arrival(server);
  expect(io.receive(server, buffer, 0, 64)).toBe(0);
  expect(io.local).toBe(before);
  expect(io.receive(server, buffer, 0, 64)).toBe(-ERRNO.EAGAIN);
  closeSocket(client);
  closeSocket(server);
});

test("IPv6 datagrams tell it too", () => {
  const server = udp(6);
  wantLocalAddress(server, 6);
  bindSocket(server, at("::", 5353));
  const client = udp(6);
  connectSocket(client, at("::1", 5353));
  sendPart(client, data("who?"), 0, 4);
  const io = new DatagramIo();
  const buffer = bytes(64);
  arrival(server);
  expect(io.receive(server, buffer, 0, 64)).toBe(4);
  expect(io.local?.address).toEqual(parseIP("::1")!.bytes);
  expect(io.send(server, io.peer, io.local, buffer, 0, 4)).toBe(4);
  arrival(client);
  expect(receivePart(client, buffer, 0, 64)).toBe(4);
  closeSocket(client);
  closeSocket(server);
});

for (const [family, address] of [
  [4, "127.0.0.1"],
  [6, "::1"],
] as const)
  test(`what ICMPv${family} says of a closed port is on the error queue, once`, () => {
    const client = udp(family);
    expect(wantErrors(client, family)).toBe(0);
    connectSocket(client, at(address, 9));
    sendPart(client, data("x"), 0, 1);
    using epoll = new Epoll();
    epoll.add(client, 0, 1);
    expect([epoll.wait(5000), epoll.eventsAt(0)]).toEqual([1, EPOLL.ERR]);
    expect(takeQueuedError(client)).toBe(ERRNO.ECONNREFUSED);
    expect(takeQueuedError(client)).toBe(0);
    closeSocket(client);
  });

test("the path MTU of a connected socket can be asked", () => {
  const client = udp(4);
  connectSocket(client, at("192.0.2.7", 9));
  expect(getInt(client, LEVEL.IP, IP_OPTION.MTU)).toBe(65_535);
  closeSocket(client);
});

test("an eventfd wakes epoll until it is cleared", () => {
  using epoll = new Epoll();
  using event = new EventFd();
  epoll.add(event.fd, EPOLL.IN, 7);
  expect(epoll.wait(0)).toBe(0);
  event.signal();
  expect([epoll.wait(0), epoll.tagAt(0)]).toEqual([1, 7]);
  expect([event.clear(), event.clear()]).toEqual([true, false]);
  expect(epoll.wait(0)).toBe(0);
});

test("the limit of open files is raised to what is allowed", () => {
  const child = Bun.spawnSync([
    "sh",
    "-c",
    `ulimit -Sn 64; exec ${process.execPath} -e '
      const { raiseDescriptorLimit } = require("./src/sys/rlimit.ts");
      console.log(raiseDescriptorLimit(), require("fs").readFileSync("/proc/self/limits", "utf8").match(/Max open files +(\\d+)/)[1]);'`,
  ]);
  const [told, seen] = child.stdout.toString().trim().split(" ").map(Number);
  expect(told).toBeGreaterThan(64);
  expect(seen).toBe(told!);
  expect(raiseDescriptorLimit()).toBe(told!);
});
