/** Datagrams that wait in a socket of the host while the plane is busy, and come to the guest many in a frame. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeFd } from "../../src/sys/fd.ts";
import { bytes } from "../../src/sys/mem.ts";
import { SOCK } from "../../src/sys/socket.ts";
import { openTap } from "../../src/sys/tun.ts";
import { TestSocket } from "./test-socket.ts";
import { OUTSIDE, OUTSIDE6, World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await World.create();
});
afterAll(() => world[Symbol.asyncDispose]());

const datagram = (length: number, fill: number) => bytes(Math.max(length, 1)).fill(fill).subarray(0, length);

interface LinkStatistics {
  stats64: { rx: { packets: number } };
}
const framesIn = () =>
  world.guest.json<LinkStatistics[]>("ip", "-json", "-s", "link", "show", "tap0")[0]!.stats64.rx.packets;

/** Whether this kernel's taps take UDP super-frames. */
function canCouple(): boolean {
  const device = world.guest.run(() => openTap("probe0"));
  closeFd(device.fd);
  return device.udpSegments;
}

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
    const before = framesIn();
    process.kill(world.pid, "SIGSTOP");
    try {
      for (const [index, length] of lengths.entries()) server.sendTo(io.peer, datagram(length, index));
    } finally {
      process.kill(world.pid, "SIGCONT");
    }
    for (const [index, length] of lengths.entries())
      expect(client.receive()).toEqual(datagram(length, index));
    // Where the kernel can't take them together (before Linux 6.2) there is a frame, or a few fragments, to each.
    expect(framesIn() - before).toBeLessThanOrEqual(canCouple() ? 20 : lengths.length + 10);
  });
