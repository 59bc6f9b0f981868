import { describe, expect, test } from "bun:test";
import {
  dissect,
  echo,
  icmp,
  join,
  packet,
  show,
  summed,
  u16,
  u32,
  udp,
  World,
} from "../../test/support/guest.ts";
import { text } from "../../test/support/stack.ts";
import { ERRNO } from "./errno.ts";
import { READY } from "./outside.ts";

const GUEST = "10.0.2.100";
const PEER = "192.0.2.7";
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe("echo", () => {
  test("literal bytes: the gateway answers, with the guest's identifier, sequence number and data", () => {
    const world = new World();
    world.guest(echo(GUEST, "10.0.2.2", 0x1234, 7, "abcde"));
    const [frame] = world.takeFrames();
    expect(show(frame!)).toBe("icmp 10.0.2.2 > 10.0.2.100 type 0 code 0");
    expect(text(frame!.subarray(34))).toBe("00 00 c3 fd 12 34 00 07 61 62 63 64 65");
    expect(world.outside.open).toEqual([]);
  });

  test("so does the DNS address, and both in IPv6, the router's link-local address too", () => {
    const world = new World();
    world.guest(echo(GUEST, "10.0.2.3", 1, 1, ""));
    world.guest(echo("fd00::64", "fd00::2", 1, 1, ""));
    world.guest(echo("fe80::9", "fe80::5055:aff:fe00:202", 1, 1, ""));
    expect(world.take()).toEqual([
      "icmp 10.0.2.3 > 10.0.2.100 type 0 code 0",
      "icmp6 fd00::2 > fd00::64 type 129 code 0",
      "icmp6 fe80::5055:aff:fe00:202 > fe80::9 type 129 code 0",
    ]);
  });

  test("the gateway is there to be pinged even when host loopback is off", () => {
    const world = new World({ hostLoopback: false });
    world.guest(echo(GUEST, "10.0.2.2", 1, 1, ""));
    expect(world.take()).toEqual(["icmp 10.0.2.2 > 10.0.2.100 type 0 code 0"]);
  });

  test("others are pinged by a socket; its own identifier is put back to the guest's", () => {
    const world = new World();
    world.guest(echo(GUEST, PEER, 0x1234, 1, "ping"));
    world.guest(echo(GUEST, PEER, 0x1234, 2, "ping"));
    const socket = world.outside.socket(0);
    expect([socket.kind, socket.to, socket.sent.length]).toEqual(["ping", "internet 192.0.2.7:0", 2]);
    expect(text(socket.sent[1]!.subarray(0, 2))).toBe("08 00");
    expect(decode(socket.sent[1]!.subarray(8))).toBe("ping");
    socket.incoming.push(join([0, 0, 9, 9], u16(777), u16(2), "ping"));
    world.stack.socketReady(world.now, 0, READY.READABLE);
    const [frame] = world.takeFrames();
    expect(show(frame!)).toBe("icmp 192.0.2.7 > 10.0.2.100 type 0 code 0");
    expect(text(dissect(frame!).message.subarray(4))).toBe("12 34 00 02 70 69 6e 67");
  });

  test("each identifier has its socket, also in IPv6; they end after a minute of silence", () => {
    const world = new World();
    world.guest(echo("fd00::64", "2001:db8::7", 1, 1, ""));
    world.guest(echo("fd00::64", "2001:db8::7", 2, 1, ""));
    world.guest(echo(GUEST, PEER, 2, 1, ""));
    expect(world.outside.open.map(socket => socket.to)).toEqual([
      "internet [2001:db8::7]:0",
      "internet [2001:db8::7]:0",
      "internet 192.0.2.7:0",
    ]);
    world.outside.socket(1).incoming.push(join([129, 0, 0, 0], u16(9), u16(1), "six"));
    world.stack.socketReady(world.now, 1, READY.READABLE);
    const [frame] = world.takeFrames();
    expect(text(dissect(frame!).message.subarray(4))).toBe("00 02 00 01 73 69 78");
    world.pass(59_999);
    expect(world.outside.open.length).toBe(3);
    world.pass(1);
    expect(world.outside.open.length).toBe(0);
  });

  test("a reply of 65,507 bytes comes in fragments", () => {
    const world = new World();
    world.guest(echo(GUEST, PEER, 1, 1, ""));
    world.outside.socket(0).incoming.push(join([0, 0, 0, 0, 0, 0, 0, 0], new Uint8Array(65_507)));
    world.stack.socketReady(world.now, 0, READY.READABLE);
    expect(world.takeFrames().length).toBe(45);
  });

  test("unreachable destinations are told with the echo that met them", () => {
    const world = new World();
    world.guest(echo(GUEST, PEER, 0x1234, 7, ""));
    world.outside.socket(0).errors.push(ERRNO.EHOSTUNREACH);
    world.stack.socketReady(world.now, 0, READY.ERROR);
    const [frame] = world.takeFrames();
    expect(show(frame!)).toBe("icmp 10.0.2.2 > 10.0.2.100 type 3 code 1");
    expect(text(frame!.subarray(42 + 20))).toBe("08 00 00 00 12 34 00 07");
  });

  test("where ping sockets are forbidden there is silence", () => {
    const world = new World();
    world.outside.refusal = -ERRNO.EACCES;
    world.guest(echo(GUEST, PEER, 1, 1, ""));
    expect(world.take()).toEqual([]);
    world.outside.refusal = 0;
    world.guest(echo(GUEST, PEER, 1, 1, ""));
    expect(world.outside.open.length).toBe(1);
  });

  test("the idlest gives way when there are too many", () => {
    const world = new World({ limits: { ...new World().config.limits, pingFlows: 2 } });
    for (const identifier of [1, 2, 3]) {
      world.guest(echo(GUEST, PEER, identifier, 1, ""));
      world.now += 1;
    }
    expect(world.outside.open.length).toBe(2);
    expect(world.outside.sockets.get(0)!.state).toBe("closed");
  });

  test("broken, broadcast and multicast echoes are not answered", () => {
    const world = new World();
    const broken = echo(GUEST, "10.0.2.2", 1, 1, "abc");
    broken[40]! ^= 1;
    world.guest(broken);
    const all = { to: "ff:ff:ff:ff:ff:ff" };
    world.guest(icmp(GUEST, "10.0.2.255", 8, 0, 0, "", all));
    world.guest(icmp(GUEST, "255.255.255.255", 8, 0, 0, "", all));
    world.guest(icmp(GUEST, "224.0.0.1", 8, 0, 0, "", { to: "01:00:5e:00:00:01" }));
    world.guest(icmp("0.0.0.0", "10.0.2.2", 8, 0, 0, ""));
    world.guest(icmp("::", "fd00::2", 128, 0, 0, ""));
    expect(world.take()).toEqual([]);
    expect(world.outside.open).toEqual([]);
  });
});

describe("packets that the stack does not take", () => {
  test("senders that have no place on this wire", () => {
    const world = new World();
    for (const from of [
      "10.0.3.1",
      "192.0.2.1",
      "127.0.0.1",
      "10.0.2.2",
      "10.0.2.3",
      "10.0.2.255",
      "0.0.0.0",
    ])
      world.guest(udp(`${from}:1`, "192.0.2.7:9", "spoofed"));
    for (const from of ["fd00::2", "fd00::3", "2001:db8::1", "::1", "::", "ff02::1", "::ffff:10.0.2.100"])
      world.guest(udp(`[${from}]:1`, "[2001:db8::7]:9", "spoofed"));
    expect(world.outside.open).toEqual([]);
    expect(world.take()).toEqual([]);
  });

  test("any address of the network is a guest's", () => {
    const world = new World();
    world.guest(udp("10.0.2.15:1", "192.0.2.7:9", ""));
    world.guest(udp("10.0.2.200:1", "192.0.2.7:9", "", { from: "02:00:00:00:00:0a" }));
    expect(world.outside.open.map(socket => socket.guestKey)).toEqual(["10.0.2.15:1", "10.0.2.200:1"]);
    world.outside.socket(0).incoming.push(join("to the first"));
    world.stack.socketReady(world.now, 0, READY.READABLE);
    expect(dissect(world.takeFrames()[0]!).to).toBe("02:00:00:00:00:09");
  });

  test("frames for other machines, packets for one in a frame for all, dead hop counts, wrong headers", () => {
    const world = new World();
    world.guest(udp("10.0.2.100:1", "192.0.2.7:9", "", { to: "02:00:00:00:00:77" }));
    world.guest(udp("10.0.2.100:1", "192.0.2.7:9", "", { to: "ff:ff:ff:ff:ff:ff" }));
    world.guest(udp("10.0.2.100:1", "192.0.2.7:9", "", { from: "03:00:00:00:00:01" }));
    world.guest(udp("10.0.2.100:1", "192.0.2.7:9", "", { ttl: 0 }));
    const wrongSum = udp("10.0.2.100:1", "192.0.2.7:9", "");
    wrongSum[24]! ^= 1;
    world.guest(wrongSum);
    const long = udp("[fd00::64]:1", "[2001:db8::7]:9", "");
    long.set(u16(9), 18);
    world.guest(long);
    expect(world.outside.open).toEqual([]);
  });

  test("options are passed over, source routes are not", () => {
    const world = new World();
    const message = join(u16(1), u16(9), u16(8), [0, 0]);
    const send = (options: number[]) =>
      world.guest(packet(17, GUEST, PEER, message, { options: Uint8Array.from(options) }));
    send([131, 7, 4, 192, 0, 2, 1, 0]);
    send([137, 7, 4, 192, 0, 2, 1, 0]);
    send([1, 1, 148, 5]);
    send([7, 0, 0, 0]);
    expect(world.outside.open).toEqual([]);
    send([148, 4, 0, 0]);
    send([1, 1, 1, 0]);
    expect(world.outside.socket(0).sent.length).toBe(2);
  });

  test("one hop ends at the gateway, and reaches what lives there", () => {
    const world = new World();
    world.guest(udp("10.0.2.100:1", "192.0.2.7:33434", "", { ttl: 1 }));
    world.guest(udp("[fd00::64]:1", "[2001:db8::7]:33434", "", { ttl: 1 }));
    world.guest(icmp(GUEST, "10.0.2.2", 8, 0, 1, "", { ttl: 1 }));
    expect(world.take()).toEqual([
      "icmp 10.0.2.2 > 10.0.2.100 type 11 code 0",
      "icmp6 fd00::2 > fd00::64 type 3 code 0",
      "icmp 10.0.2.2 > 10.0.2.100 type 0 code 0",
    ]);
    expect(world.outside.open).toEqual([]);
    world.guest(udp("10.0.2.100:1", "192.0.2.7:33434", "", { ttl: 2 }));
    expect(world.outside.open.length).toBe(1);
  });

  test("unknown protocols are refused", () => {
    const world = new World();
    world.guest(packet(132, GUEST, PEER, join([1, 2, 3, 4, 5, 6, 7, 8])));
    world.guest(packet(132, "fd00::64", "2001:db8::7", join([1, 2, 3, 4, 5, 6, 7, 8])));
    const frames = world.takeFrames();
    expect(frames.map(show)).toEqual([
      "icmp 10.0.2.2 > 10.0.2.100 type 3 code 2",
      "icmp6 fd00::2 > fd00::64 type 4 code 1",
    ]);
    expect(text(frames[1]!.subarray(58, 62))).toBe("00 00 00 06");
    // IGMP and MLD are every kernel's small talk.
    world.guest(packet(2, GUEST, "224.0.0.22", new Uint8Array(8), { to: "01:00:5e:00:00:16", ttl: 1 }));
    world.guest(icmp("fe80::9", "ff02::16", 143, 0, 0, "", { to: "33:33:00:00:00:16" }));
    expect(world.take()).toEqual([]);
  });

  test("errors about errors are never sent", () => {
    const world = new World();
    world.guest(icmp(GUEST, "10.0.2.50", 3, 3, 0, new Uint8Array(28)));
    world.guest(icmp("fd00::64", "fd00::50", 1, 4, 0, new Uint8Array(48)));
    world.guest(icmp("fd00::64", "fd00::50", 100, 0, 0, new Uint8Array(48)));
    expect(world.take()).toEqual([]);
  });
});

describe("IPv6 extension headers", () => {
  const FROM = "fd00::64";
  const TO = "2001:db8::7";
  const message = summed(17, FROM, TO, join(u16(1), u16(9), u16(8), [0, 0]), 6);
  const send = (world: World, first: number, ...headers: (readonly number[])[]) =>
    world.guest(packet(first, FROM, TO, join(...headers, message)));

  test("are passed over", () => {
    const world = new World();
    send(
      world,
      0,
      [60, 0, 5, 2, 0, 0, 1, 0],
      [43, 1, 1, 12, ...new Array<number>(12).fill(0)],
      [17, 0, 9, 0, 0, 0, 0, 0],
    );
    send(world, 44, [17, 0, 0, 0, ...u32(5)]);
    expect(world.outside.socket(0).sent.length).toBe(2);
  });

  test("routes yet to be taken, unknown options and misplaced headers are answered where the culprit is", () => {
    const world = new World();
    const problem = (first: number, ...headers: (readonly number[])[]) => {
      send(world, first, ...headers);
      const [frame] = world.takeFrames();
      return frame && `${show(frame)} at ${new DataView(frame.buffer, frame.byteOffset).getUint32(58)}`;
    };
    const answer = "icmp6 fd00::2 > fd00::64 type 4 code";
    expect(problem(43, [17, 0, 0, 1, 0, 0, 0, 0])).toBe(`${answer} 0 at 42`);
    expect(problem(60, [17, 0, 0x80, 4, 0, 0, 0, 0])).toBe(`${answer} 2 at 42`);
    expect(problem(60, [0, 0, 1, 4, 0, 0, 0, 0], [17, 0, 1, 4, 0, 0, 0, 0])).toBe(`${answer} 1 at 40`);
    expect(problem(60, [17, 0, 0x40, 4, 0, 0, 0, 0])).toBeUndefined();
    expect(problem(60, [17, 4, 1, 4, 0, 0, 0, 0])).toBeUndefined();
    expect(problem(60, [17, 0, 1, 9, 0, 0, 0, 0])).toBeUndefined();
    expect(problem(59)).toBeUndefined();
    expect(world.outside.open).toEqual([]);
  });

  test("a long chain leads nowhere", () => {
    const world = new World();
    send(world, 60, ...new Array<number[]>(20).fill([60, 0, 1, 4, 0, 0, 0, 0]));
    expect(world.take()).toEqual([]);
    expect(world.outside.open).toEqual([]);
  });
});
