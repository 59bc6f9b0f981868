import { expect, test } from "bun:test";
import { echo, join, packet, summed, u16, u32, udp, World } from "../../test/support/guest.ts";
import { ERRNO } from "./errno.ts";

/** A SYN from the guest's port 5000. */
function syn(to: string, port: number): Uint8Array {
  const message = join(u16(5000), u16(port), u32(1), u32(0), [0x50, 2], u16(65_535), [0, 0, 0, 0]);
  return packet(6, "10.0.2.100", to, summed(6, "10.0.2.100", to, message, 16));
}

test("a connection takes the descriptor of an idle UDP flow when the host has no other", () => {
  const world = new World();
  const { outside } = world;
  world.guest(udp("10.0.2.100:1", "192.0.2.7:9", "older"));
  world.now += 1000;
  world.guest(udp("10.0.2.100:2", "192.0.2.7:9", "newer"));
  const connect = outside.connectTcp.bind(outside);
  outside.connectTcp = to => (outside.open.length < 2 ? connect(to) : -ERRNO.EMFILE);
  world.guest(syn("192.0.2.7", 80));
  expect(outside.open.map(socket => `${socket.kind} ${socket.guestKey}`)).toEqual([
    "udp 10.0.2.100:2",
    "tcp ",
  ]);
});

test("connections that may not be, and the errors they meet", () => {
  const world = new World({ hostLoopback: false });
  world.guest(syn("10.0.2.2", 80));
  world.guest(syn("10.0.2.50", 80));
  expect(world.take()).toEqual([
    "icmp 10.0.2.2 > 10.0.2.100 type 3 code 0",
    "icmp 10.0.2.2 > 10.0.2.100 type 3 code 1",
  ]);
  world.guest(syn("10.0.2.3", 80));
  const [reset] = world.takeFrames();
  expect(reset![47]! & 0x04).toBe(0x04);
  world.guest(syn("127.0.0.1", 80));
  world.guest(syn("224.0.0.1", 80));
  expect(world.takeFrames()).toEqual([]);
  expect(world.outside.open).toEqual([]);
  world.guest(syn("10.0.2.3", 53));
  expect(world.outside.open.map(socket => socket.to)).toEqual(["dns 10.0.2.3:53"]);
});

test("a published connection reaches a guest that was never heard, with the client's address", () => {
  const world = new World({ ipv6: undefined });
  const { outside } = world;
  const handle = outside.connectTcp({ kind: "internet", family: 4, address: new Uint8Array(4), port: 1 });
  const end = (address: number[], port: number) => ({
    family: 4 as const,
    address: Uint8Array.from(address),
    port,
  });
  world.stack.tcpAccepted(world.now, handle, end([127, 0, 0, 1], 7000), end([10, 0, 2, 100], 80));
  expect(world.take()).toEqual(["arp who has 10.0.2.100 tell 10.0.2.2"]);
  world.guest(udp("10.0.2.100:1", "192.0.2.7:9", "I am here"));
  expect(world.take()).toEqual(["ip 10.0.2.2 > 10.0.2.100 protocol 6"]);
});

test("what a network goes without is taken without a word", () => {
  const sent = (world: World) => {
    world.guest(syn("192.0.2.7", 80));
    world.guest(udp("10.0.2.100:1", "192.0.2.7:9", "hello"));
    world.guest(echo("10.0.2.100", "192.0.2.7", 1, 1, "hello"));
    world.guest(echo("10.0.2.100", "10.0.2.2", 1, 1, "hello"));
    return [...world.outside.open.map(socket => socket.kind), ...world.take()];
  };
  const gateway = "icmp 10.0.2.2 > 10.0.2.100 type 0 code 0";
  expect(sent(new World())).toEqual(["tcp", "udp", "ping", gateway]);
  expect(sent(new World({ without: ["tcp"] }))).toEqual(["udp", "ping", gateway]);
  expect(sent(new World({ without: ["udp"] }))).toEqual(["tcp", "ping", gateway]);
  expect(sent(new World({ without: ["icmp"] }))).toEqual(["tcp", "udp"]);
  expect(new World().greeting).toHaveLength(1);
  expect(new World({ without: ["ra"] }).greeting).toEqual([]);
});

test("on the host's own network an echo to the gateway goes on to the gateway", () => {
  const pinged = (hostLoopback: boolean) => {
    const world = new World({ shared: true, hostLoopback });
    world.guest(echo("10.0.2.100", "10.0.2.2", 1, 1, "hello"));
    return [...world.outside.open.map(socket => socket.to), ...world.take()];
  };
  expect(pinged(false)).toEqual(["internet 10.0.2.2:0"]);
  expect(pinged(true)).toEqual(["icmp 10.0.2.2 > 10.0.2.100 type 0 code 0"]);
});
