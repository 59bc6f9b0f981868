/** A connection whose peer is gone does not stay for ever: the host's sockets ask in the kernel's own time. */
import { expect, test } from "bun:test";
import { TestSocket } from "./test-socket.ts";
import { GUEST, OUTSIDE, World } from "./world.ts";

test("sockets of the guest's connections and of published ports have a keepalive timer", async () => {
  await using world = await World.create();
  using server = TestSocket.bound(world.outside, OUTSIDE);
  using client = TestSocket.connected(world.guest, OUTSIDE, server.port);
  using peer = server.accept().socket;
  using inside = TestSocket.bound(world.guest, GUEST);
  await world.publish({ protocol: "tcp", host: "0.0.0.0", hostPort: 8080, guestPort: inside.port });
  using caller = TestSocket.connected(world.outside, "192.0.2.1", 8080);
  using called = inside.accept().socket;
  for (const [from, to] of [
    [client, peer],
    [caller, called],
  ] as const) {
    from.send("hello");
    expect(to.text()).toBe("hello");
  }
  const sockets = world.host.sh("ss", "-tnoH", "state", "established").trim().split("\n");
  expect(sockets.length).toBe(2);
  for (const line of sockets) expect(line).toContain("timer:(keepalive");
});
