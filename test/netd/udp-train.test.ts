/** Many datagrams in one frame: those that wait in a socket of the host, and those that a guest sends as one. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeFd } from "../../src/sys/fd.ts";
import { setInt } from "../../src/sys/inet.ts";
import { bytes } from "../../src/sys/mem.ts";
import { SOCK } from "../../src/sys/socket.ts";
import { openTap } from "../../src/sys/tun.ts";
import { TestSocket } from "./test-socket.ts";
import { OUTSIDE, OUTSIDE6, World } from "./world.ts";

const SOL_UDP = 17;
const UDP_SEGMENT = 103;

let world: World;
beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world[Symbol.asyncDispose]());

const datagram = (length: number, fill: number) => bytes(Math.max(length, 1)).fill(fill).subarray(0, length);

interface LinkStatistics {
  stats64: Record<"rx" | "tx", { packets: number }>;
}
/** Frames that the guest's kernel has got, or sent. */
const frames = (direction: "rx" | "tx") =>
  world.guest.json<LinkStatistics[]>("ip", "-json", "-s", "link", "show", "tap0")[0]!.stats64[direction]
    .packets;

/** Whether this kernel's taps take UDP super-frames. */
function canCouple(): boolean {
  const device = world.guest.run(() => openTap("probe0"));
  closeFd(device.fd);
  return device.udpSegments;
}

for (const address of [OUTSIDE, OUTSIDE6])
  test(`what a guest sends as one (UDP_SEGMENT) arrives as the datagrams that it is: ${address}`, () => {
    using server = TestSocket.bound(world.outside, address, 0, SOCK.DGRAM);
    using client = TestSocket.connected(world.guest, address, server.port, SOCK.DGRAM);
    setInt(client.fd, SOL_UDP, UDP_SEGMENT, 1000);
    const data = bytes(40_500).map((_, index) => index % 251);
    const before = frames("tx");
    client.send(data);
    expect(frames("tx") - before).toBeLessThanOrEqual(canCouple() ? 5 : 50);
    for (let at = 0; at < data.length; at += 1000)
      expect(server.receiveFrom().data).toEqual(data.subarray(at, Math.min(at + 1000, data.length)));
  });

for (const address of [OUTSIDE, OUTSIDE6])
  test(`all of them arrive, each as it was sent: ${address}`, () => {
    using server = TestSocket.bound(world.outside, address, 0, SOCK.DGRAM);
    using client = TestSocket.connected(world.guest, address, server.port, SOCK.DGRAM);
    client.send("here I am");
    const { io } = server.receiveFrom();
    const lengths = [
      ...new Array<number>(30).fill(1400),
      ...[900, 1400, 1400, 0, 1, 1, 1, 1440, 1440, 3000, 3000, 20],
      ...new Array<number>(10).fill(1432),
    ];
    const before = frames("rx");
    process.kill(world.pid, "SIGSTOP");
    try {
      for (const [index, length] of lengths.entries()) server.sendTo(io.peer, datagram(length, index));
    } finally {
      process.kill(world.pid, "SIGCONT");
    }
    for (const [index, length] of lengths.entries())
      expect(client.receive()).toEqual(datagram(length, index));
    // Where the kernel can't take them together (before Linux 6.2) there is a frame, or a few fragments, to each.
    expect(frames("rx") - before).toBeLessThanOrEqual(canCouple() ? 20 : lengths.length + 10);
  });
