import { describe, expect, test } from "bun:test";
import { endpoint, icmp, join, packet, u16, udp, udpMessage, World } from "../../test/support/guest.ts";
import { text } from "../../test/support/stack.ts";
import type { StackConfig } from "./config.ts";
import { ERRNO } from "./errno.ts";
import { READY } from "./outside.ts";

const GUEST = "10.0.2.100:4000";
const PEER = "192.0.2.7:9";
const decode = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

/** A world in which the guest has a flow to PEER, with handle 0. */
function withFlow(): World {
  const world = new World();
  world.guest(udp(GUEST, PEER, "first"));
  return world;
}

describe("UDP flows of the guest", () => {
  test("a datagram opens a connected socket; what it brings goes back to the guest", () => {
    const world = withFlow();
    const socket = world.outside.socket(0);
    expect([socket.kind, socket.to, socket.guestKey]).toEqual([
      "udp",
      "internet 192.0.2.7:9",
      "10.0.2.100:4000",
    ]);
    world.guest(udp(GUEST, PEER, "second"));
    expect(socket.sent.map(decode)).toEqual(["first", "second"]);
    socket.incoming.push(join("an"), join("swer"), join(""));
    world.stack.socketReady(world.now, 0, READY.READABLE);
    expect(world.take()).toEqual([
      "udp 192.0.2.7:9 > 10.0.2.100:4000 an",
      "udp 192.0.2.7:9 > 10.0.2.100:4000 swer",
      "udp 192.0.2.7:9 > 10.0.2.100:4000 ",
    ]);
  });

  test("over IPv6, and to the host's loopback by the gateway's address", () => {
    const world = new World();
    world.guest(udp("[fd00::64]:4000", "[2001:db8::7]:9", "six"));
    world.guest(udp("[fd00::64]:4000", "[fd00::2]:9", "gateway"));
    world.guest(udp(GUEST, "10.0.2.2:9", "gateway"));
    expect(world.outside.open.map(socket => [socket.to, socket.guestKey])).toEqual([
      ["internet [2001:db8::7]:9", "253.0.0.0.0.0.0.0.0.0.0.0.0.0.0.100:4000"],
      ["loopback [::1]:9", "253.0.0.0.0.0.0.0.0.0.0.0.0.0.0.100:4000"],
      ["loopback 127.0.0.1:9", GUEST],
    ]);
    world.outside.socket(2).incoming.push(join("from loopback"));
    world.stack.socketReady(world.now, 2, READY.READABLE);
    expect(world.take()).toEqual(["udp 10.0.2.2:9 > 10.0.2.100:4000 from loopback"]);
  });

  test("datagrams of no bytes and of 65,507 bytes both ways, in fragments where the wire is narrow", () => {
    const world = new World({ mtu: 65_520 });
    world.guest(udp(GUEST, PEER, ""));
    const large = new Uint8Array(65_507).fill(7);
    const message = udpMessage(GUEST, PEER, large);
    const cut = 65_480;
    world.guest(packet(17, "10.0.2.100", "192.0.2.7", message.subarray(0, cut), { fragment: 0x2000 }));
    world.guest(packet(17, "10.0.2.100", "192.0.2.7", message.subarray(cut), { fragment: cut / 8 }));
    const socket = world.outside.socket(0);
    expect(socket.sent.map(one => one.length)).toEqual([0, 65_507]);
    expect(socket.sent[1]).toEqual(large);
    socket.incoming.push(large);
    world.stack.socketReady(world.now, 0, READY.READABLE);
    expect(world.takeFrames().map(frame => frame.length)).toEqual([14 + 20 + 65_496, 14 + 20 + 19]);
  });

  test("a wrong checksum is dropped; none is well in IPv4 only; the guest's kernel is trusted", () => {
    const world = new World();
    const wrong = udp(GUEST, PEER, "wrong");
    wrong[wrong.length - 1]! ^= 1;
    world.guest(wrong);
    expect(world.outside.open.length).toBe(0);
    world.guest(wrong, true);
    expect(world.outside.open.length).toBe(1);
    const none = udp(GUEST, PEER, "none");
    none.set([0, 0], 40);
    world.guest(none);
    const six = udp("[fd00::64]:1", "[2001:db8::7]:9", "none");
    six.set([0, 0], 60);
    world.guest(six);
    expect(world.outside.open.length).toBe(1);
    expect(world.outside.socket(0).sent.map(decode)).toEqual(["wronf", "none"]);
  });

  test("a length that lies is dropped, and padding behind the datagram is no part of it", () => {
    const world = new World();
    const long = udpMessage(GUEST, PEER, "long");
    long.set(u16(13), 4);
    world.guest(packet(17, "10.0.2.100", "192.0.2.7", long), true);
    long.set(u16(7), 4);
    world.guest(packet(17, "10.0.2.100", "192.0.2.7", long), true);
    expect(world.outside.open.length).toBe(0);
    world.guest(join(udp(GUEST, PEER, "ab"), [1, 2, 3, 4, 5, 6]));
    expect(world.outside.socket(0).sent.map(decode)).toEqual(["ab"]);
  });

  test("flows end after two minutes of silence, those to port 53 after half a minute", () => {
    const world = withFlow();
    world.guest(udp(GUEST, "192.0.2.7:53", "dns elsewhere"));
    world.pass(29_999);
    expect(world.outside.open.length).toBe(2);
    world.pass(1);
    expect(world.outside.open.map(socket => socket.to)).toEqual(["internet 192.0.2.7:9"]);
    world.guest(udp(GUEST, PEER, "still here"));
    world.pass(119_999);
    expect(world.outside.open.length).toBe(1);
    world.pass(1);
    expect(world.outside.open.length).toBe(0);
    // What comes too late for the closed socket does no harm.
    world.stack.socketReady(world.now, 0, READY.READABLE | READY.ERROR);
    world.guest(udp(GUEST, PEER, "again"));
    expect(world.outside.open.length).toBe(1);
  });

  test("the idlest flow gives way when there are too many", () => {
    const world = new World({ limits: { ...new World().config.limits, udpFlows: 3 } });
    for (const port of [1, 2, 3]) {
      world.guest(udp(GUEST, `192.0.2.7:${port}`, ""));
      world.now += 10;
    }
    world.guest(udp(GUEST, "192.0.2.7:1", ""));
    world.guest(udp(GUEST, "192.0.2.7:4", ""));
    expect(world.outside.open.map(socket => socket.to.slice(-2))).toEqual([":1", ":3", ":4"]);
  });

  test("when the host has no more descriptors a flow gives way as well", () => {
    const world = withFlow();
    world.outside.refusal = -ERRNO.EMFILE;
    world.guest(udp(GUEST, "192.0.2.7:10", "no room"));
    expect(world.outside.open.length).toBe(0);
    world.outside.refusal = 0;
    world.guest(udp(GUEST, "192.0.2.7:10", "room"));
    expect(world.outside.open.length).toBe(1);
  });

  test("a socket that brings much gives others their turn, and is heard to the end", () => {
    const world = withFlow();
    for (let count = 0; count < 200; count++) world.outside.socket(0).incoming.push(join(`${count}`));
    world.stack.socketReady(world.now, 0, READY.READABLE);
    expect(world.take().length).toBe(64);
    expect(world.stack.nextTimeout()).toBeLessThanOrEqual(world.now);
    world.pass(0);
    expect(world.take().length).toBe(136);
    expect(world.stack.nextTimeout()).toBeGreaterThan(world.now);
  });

  test("a socket that only fails is given up, and costs no more", () => {
    const world = withFlow();
    world.outside.receive = () => -ERRNO.ENETDOWN;
    world.stack.socketReady(world.now, 0, READY.READABLE);
    expect(world.outside.open).toEqual([]);
    expect(world.stack.nextTimeout()).toBeGreaterThan(world.now);
  });

  test("close closes every socket", () => {
    const world = withFlow();
    world.guest(udp(GUEST, "192.0.2.8:9", ""));
    world.stack.close(world.now);
    expect(world.outside.open).toEqual([]);
  });
});

describe("errors of the world about UDP", () => {
  test("port, host and net unreachable as a router or the peer would tell them", () => {
    const world = withFlow();
    for (const [errno, line] of [
      [ERRNO.ECONNREFUSED, "icmp 192.0.2.7 > 10.0.2.100 type 3 code 3"],
      [ERRNO.EHOSTUNREACH, "icmp 10.0.2.2 > 10.0.2.100 type 3 code 1"],
      [ERRNO.ENETUNREACH, "icmp 10.0.2.2 > 10.0.2.100 type 3 code 0"],
      [ERRNO.EACCES, "icmp 10.0.2.2 > 10.0.2.100 type 3 code 13"],
    ] as const) {
      world.outside.socket(0).errors.push(errno);
      world.stack.socketReady(world.now, 0, READY.ERROR);
      expect(world.take()).toEqual([line]);
    }
  });

  test("literal bytes: port unreachable quotes addresses and ports of the guest's datagram", () => {
    const world = withFlow();
    world.outside.socket(0).errors.push(ERRNO.ECONNREFUSED);
    world.stack.socketReady(world.now, 0, READY.ERROR);
    const [frame] = world.takeFrames();
    expect(text(frame!.subarray(34))).toBe(
      "03 03 ed 4b 00 00 00 00 " +
        "45 00 00 1c 00 00 40 00 40 11 6c 66 0a 00 02 64 c0 00 02 07 0f a0 00 09 00 08 00 00",
    );
  });

  test("over IPv6", () => {
    const world = new World();
    world.guest(udp("[fd00::64]:4000", "[2001:db8::7]:9", "six"));
    for (const [errno, line] of [
      [ERRNO.ECONNREFUSED, "icmp6 2001:db8::7 > fd00::64 type 1 code 4"],
      [ERRNO.EHOSTUNREACH, "icmp6 fd00::2 > fd00::64 type 1 code 3"],
      [ERRNO.ENETUNREACH, "icmp6 fd00::2 > fd00::64 type 1 code 0"],
    ] as const) {
      world.outside.socket(0).errors.push(errno);
      world.stack.socketReady(world.now, 0, READY.ERROR);
      expect(world.take()).toEqual([line]);
    }
  });

  test("what one datagram met is told when the next is sent, and that one is sent all the same", () => {
    const world = withFlow();
    let first = true;
    const send = world.outside.send.bind(world.outside);
    world.outside.send = (...args) => {
      if (!first) return send(...args);
      first = false;
      return -ERRNO.ECONNREFUSED;
    };
    world.guest(udp(GUEST, PEER, "second"));
    expect(world.take()).toEqual(["icmp 192.0.2.7 > 10.0.2.100 type 3 code 3"]);
    expect(world.outside.socket(0).sent.map(decode)).toEqual(["first", "second"]);
  });

  test("too large for the path: fragmentation needed with the path's MTU, packet too big in IPv6", () => {
    const world = withFlow();
    world.outside.socket(0).mtu = 1400;
    world.outside.blocked = -ERRNO.EMSGSIZE;
    world.guest(udp(GUEST, PEER, new Uint8Array(1450)));
    const [frame] = world.takeFrames();
    expect(text(frame!.subarray(34, 36))).toBe("03 04");
    expect(text(frame!.subarray(38, 42))).toBe("00 00 05 78");
    expect(frame!.length).toBe(14 + 576);
    world.outside.blocked = 0;
    world.guest(udp("[fd00::64]:4000", "[2001:db8::7]:9", "six"));
    world.outside.socket(1).mtu = 1300;
    world.outside.socket(1).errors.push(ERRNO.EMSGSIZE);
    world.stack.socketReady(world.now, 1, READY.ERROR);
    const [six] = world.takeFrames();
    expect(text(six!.subarray(54, 56))).toBe("02 00");
    expect(text(six!.subarray(58, 62))).toBe("00 00 05 14");
  });

  test("no way to the destination: told at once, no socket kept", () => {
    const world = new World({ hostLoopback: false });
    world.outside.refusal = -ERRNO.ENETUNREACH;
    world.guest(udp(GUEST, PEER, "no route"));
    world.outside.refusal = 0;
    world.guest(udp(GUEST, "10.0.2.2:80", "loopback is off"));
    world.guest(udp(GUEST, "10.0.2.77:80", "nobody"));
    world.guest(udp(GUEST, "10.0.2.3:80", "not a resolver"));
    expect(world.take()).toEqual([
      "icmp 10.0.2.2 > 10.0.2.100 type 3 code 0",
      "icmp 10.0.2.2 > 10.0.2.100 type 3 code 0",
      "icmp 10.0.2.2 > 10.0.2.100 type 3 code 1",
      "icmp 10.0.2.3 > 10.0.2.100 type 3 code 3",
    ]);
    expect(world.outside.open).toEqual([]);
  });

  test("errors are limited in rate", () => {
    const world = new World();
    for (let count = 0; count < 500; count++) world.guest(udp(GUEST, `10.0.2.77:${count + 1}`, ""));
    expect(world.take().length).toBe(50);
    world.now += 10;
    for (let count = 0; count < 500; count++) world.guest(udp(GUEST, `10.0.2.77:${count + 1}`, ""));
    expect(world.take().length).toBe(10);
  });

  test("the guest closes its port: the socket goes, so that the peer sees it too", () => {
    const world = withFlow();
    world.outside.socket(0).incoming.push(join("late"));
    world.stack.socketReady(world.now, 0, READY.READABLE);
    const [frame] = world.takeFrames();
    world.guest(icmp("10.0.2.100", "192.0.2.7", 3, 3, 0, frame!.subarray(14)));
    expect(world.outside.open).toEqual([]);
  });
});

describe("published UDP ports", () => {
  const arrive = (world: World, handle: number, from: string, data: string, to = "10.0.2.100:53") => {
    const buffer = join("..", data);
    world.stack.datagramArrived(
      world.now,
      handle,
      endpoint(from),
      endpoint(to),
      buffer,
      2,
      buffer.length - 2,
    );
  };

  test("the guest sees the client's address, its answer goes to the client by the published socket", () => {
    const world = new World();
    // The guest is known by its ARP; nothing else was heard of it.
    world.guest(udp("10.0.2.100:53", "10.0.2.2:1", ""));
    world.takeFrames();
    arrive(world, 50, "198.51.100.9:7777", "question");
    expect(world.take()).toEqual(["udp 198.51.100.9:7777 > 10.0.2.100:53 question"]);
    world.guest(udp("10.0.2.100:53", "198.51.100.9:7777", "answer"));
    expect(world.outside.replies.map(one => [one.handle, one.to, decode(one.data)])).toEqual([
      [50, "internet 198.51.100.9:7777", "answer"],
    ]);
    expect(world.outside.open.length).toBe(1);
  });

  test("loopback clients are the gateway, and are told apart by their ports", () => {
    const world = new World();
    world.guest(udp("10.0.2.100:9", "192.0.2.7:1", ""));
    arrive(world, 50, "127.0.0.1:7777", "one");
    arrive(world, 50, "127.0.0.2:7777", "two");
    arrive(world, 51, "[::1]:7777", "three");
    arrive(world, 50, "127.0.0.1:7777", "one again");
    expect(world.take()).toEqual([
      "udp 10.0.2.2:7777 > 10.0.2.100:53 one",
      "udp 10.0.2.2:7778 > 10.0.2.100:53 two",
      "udp 10.0.2.2:7779 > 10.0.2.100:53 three",
      "udp 10.0.2.2:7777 > 10.0.2.100:53 one again",
    ]);
    world.guest(udp("10.0.2.100:53", "10.0.2.2:7779", "answer three"));
    world.guest(udp("10.0.2.100:53", "10.0.2.2:7778", "answer two"));
    expect(world.outside.replies.map(one => [one.handle, one.to, decode(one.data)])).toEqual([
      [51, "internet [::1]:7777", "answer three"],
      [50, "internet 127.0.0.2:7777", "answer two"],
    ]);
  });

  test("with its socket the clients are forgotten", () => {
    const world = new World();
    world.guest(udp("10.0.2.100:9", "192.0.2.7:1", ""));
    arrive(world, 50, "198.51.100.9:7777", "question");
    world.stack.datagramsClosed(world.now, 50);
    world.guest(udp("10.0.2.100:53", "198.51.100.9:7777", "answer"));
    expect(world.outside.replies).toEqual([]);
    expect(world.outside.open.map(socket => socket.to)).toEqual([
      "internet 192.0.2.7:1",
      "internet 198.51.100.9:7777",
    ]);
  });

  test("a guest that was never heard is asked for its hardware address, and then gets what waited", () => {
    const world = new World({ ipv6: undefined });
    arrive(world, 50, "198.51.100.9:7777", "question");
    expect(world.take()).toEqual(["arp who has 10.0.2.100 tell 10.0.2.2"]);
    const reply = join(
      [0x52, 0x55, 0x0a, 0, 2, 2, 2, 0, 0, 0, 0, 9, 8, 6],
      [0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9, 10, 0, 2, 100],
      [0x52, 0x55, 0x0a, 0, 2, 2, 10, 0, 2, 2],
    );
    world.guest(reply);
    expect(world.take()).toEqual(["udp 198.51.100.9:7777 > 10.0.2.100:53 question"]);
  });
});

describe("DNS", () => {
  const query = join([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], [1, 97, 0, 0, 1, 0, 1]);

  test("a question to the DNS address goes to the host's resolvers, its answer to whom asked", () => {
    const world = new World();
    world.guest(udp(GUEST, "10.0.2.3:53", query));
    world.guest(udp("[fd00::64]:4001", "[fd00::3]:53", query));
    expect(world.outside.queries.map(one => [one.token, text(one.message)])).toEqual([
      [0, text(query)],
      [1, text(query)],
    ]);
    world.stack.dnsAnswered(world.now, 1, join("answer 1"));
    world.stack.dnsAnswered(world.now, 0, join("answer 0"));
    world.stack.dnsAnswered(world.now, 0, join("once more"));
    world.stack.dnsAnswered(world.now, 512, join("never asked"));
    expect(world.take()).toEqual([
      "udp [fd00::3]:53 > [fd00::64]:4001 answer 1",
      "udp 10.0.2.3:53 > 10.0.2.100:4000 answer 0",
    ]);
    expect(world.outside.open).toEqual([]);
  });

  test("what is no question is not passed on; without DNS the port is closed", () => {
    const world = new World();
    world.guest(udp(GUEST, "10.0.2.3:53", "short"));
    const answer = query.slice();
    answer[2]! |= 0x80;
    world.guest(udp(GUEST, "10.0.2.3:53", answer));
    expect(world.outside.queries).toEqual([]);
    const without = new World({ dns: false });
    without.guest(udp(GUEST, "10.0.2.3:53", query));
    expect(without.outside.queries).toEqual([]);
    expect(without.take()).toEqual(["icmp 10.0.2.3 > 10.0.2.100 type 3 code 3"]);
  });

  test("more questions than are kept: the oldest go unanswered", () => {
    const world = new World();
    for (let port = 1; port <= 513; port++) world.guest(udp(`10.0.2.100:${port}`, "10.0.2.3:53", query));
    world.stack.dnsAnswered(world.now, 0, join("oldest"));
    world.stack.dnsAnswered(world.now, 512, join("newest"));
    expect(world.take()).toEqual(["udp 10.0.2.3:53 > 10.0.2.100:513 newest"]);
  });
});

describe("datagrams in one frame, where the device takes UDP super-frames", () => {
  /** Lengths and segment sizes of the frames that carry datagrams of these lengths, which wait in one socket. */
  const frames = (lengths: number[], changes: Partial<StackConfig> = {}) => {
    const world = new World({ offload: true, udpSegments: true, ...changes });
    world.guest(udp(GUEST, PEER, ""));
    const data = lengths.map((length, index) => new Uint8Array(length).fill(index));
    world.outside.socket(0).incoming.push(...data.map(one => one.slice()));
    world.outside.offloads.length = 0;
    world.stack.socketReady(world.now, 0, READY.READABLE);
    world.pass(0);
    const sent = world.outside.frames.splice(0);
    const payloads = sent.map(frame => frame.subarray(42));
    expect(join(...payloads)).toEqual(join(...data));
    return payloads.map((payload, index) => [payload.length, world.outside.offloads[index]!.segmentSize]);
  };

  test("those of one length go together, a shorter one ends the frame", () => {
    expect(frames([1400, 1400, 1400])).toEqual([[4200, 1400]]);
    expect(frames([1400, 1400, 7, 1400, 1400])).toEqual([
      [2807, 1400],
      [2800, 1400],
    ]);
    expect(frames([7, 1400, 1400])).toEqual([
      [7, 0],
      [2800, 1400],
    ]);
    expect(frames([0, 0, 5, 5, 0, 5])).toEqual([
      [0, 0],
      [0, 0],
      [10, 5],
      [0, 0],
      [5, 0],
    ]);
  });

  test("no more than 64, and no more bytes than an IP packet holds", () => {
    expect(frames(new Array<number>(130).fill(10))).toEqual([
      [640, 10],
      [640, 10],
      [20, 10],
    ]);
    expect(frames(new Array<number>(50).fill(1472))).toEqual([
      [44 * 1472, 1472],
      [6 * 1472, 1472],
    ]);
  });

  test("those that need fragments go alone, and all do where the device can't", () => {
    expect(frames([1473, 1473, 1472, 1472], { mtu: 65_520 }).map(([, size]) => size)).toEqual([1473, 0]);
    const world = new World({ offload: true, udpSegments: true });
    world.guest(udp(GUEST, PEER, ""));
    world.outside.socket(0).incoming.push(...[1473, 1473, 1472, 1472].map(length => new Uint8Array(length)));
    world.stack.socketReady(world.now, 0, READY.READABLE);
    expect(world.takeFrames().map(frame => frame.length - 34)).toEqual([1480, 1, 1480, 1, 8 + 2944]);
    expect(frames([1400, 1400], { udpSegments: false })).toEqual([
      [1400, 0],
      [1400, 0],
    ]);
    expect(frames([1400, 1400], { offload: false })).toEqual([
      [1400, 0],
      [1400, 0],
    ]);
  });

  test("the guest's own super-frames are taken apart, wherever they go", () => {
    const world = new World({ offload: true, udpSegments: true });
    world.guest(udp(GUEST, PEER, "abcdefghij"), true, 4);
    world.guest(udp(GUEST, PEER, "abcd"), true, 4);
    expect(world.outside.socket(0).sent.map(decode)).toEqual(["abcd", "efgh", "ij", "abcd"]);
    world.stack.datagramArrived(world.now, 50, endpoint("198.51.100.9:7"), endpoint(GUEST), join("x"), 0, 1);
    world.guest(udp(GUEST, "198.51.100.9:7", "abcdefghij"), true, 5);
    expect(world.outside.replies.map(one => decode(one.data))).toEqual(["abcde", "fghij"]);
  });

  test("literal bytes: lengths and the partial checksum are the whole frame's", () => {
    const world = new World({ offload: true, udpSegments: true });
    world.guest(udp(GUEST, PEER, ""));
    world.outside.offloads.length = 0;
    world.outside.socket(0).incoming.push(join("abcd"), join("efgh"), join("ij"));
    world.stack.socketReady(world.now, 0, READY.READABLE);
    const [frame] = world.takeFrames();
    expect(world.outside.offloads).toEqual([{ checksumStart: 34, checksumOffset: 6, segmentSize: 4 }]);
    expect(text(frame!.subarray(16, 18))).toBe("00 26");
    expect(text(frame!.subarray(34))).toBe("00 09 0f a0 00 12 ce 8e 61 62 63 64 65 66 67 68 69 6a");
  });
});
