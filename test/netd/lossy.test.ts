/** The guest's kernel and our TCP over a wire that loses frames: every byte arrives, at a pace that recovery explains. */
import { expect, test } from "bun:test";
import { exchange, patternSum } from "./streams.ts";
import { TestSocket } from "./test-socket.ts";
import { OUTSIDE, OUTSIDE6, World } from "./world.ts";

for (const [mtu, offload, loss, megabytes] of [
  [1500, false, 0.01, 8],
  [1500, true, 0.02, 16],
  [65_520, true, 0.05, 16],
] as const)
  test(`MTU ${mtu}, offload ${offload ? "on" : "off"}, ${loss * 100} % of frames lost`, async () => {
    await using world = await World.create({ mtu, offload, loss });
    for (const address of [OUTSIDE, OUTSIDE6]) {
      using server = TestSocket.bound(world.outside, address);
      using client = TestSocket.connected(world.guest, address, server.port);
      using peer = server.accept().socket;
      const count = megabytes << 20;
      expect(exchange(client, peer, count, count)).toEqual({
        client: patternSum(count),
        server: patternSum(count),
      });
    }
  }, 120_000);
