/** Urgent data (telnet's Ctrl-C sends it) is data like any other: in its place, and nothing behind it waits. */
import { expect, test } from "bun:test";
import { LEVEL, SO, setInt } from "../../src/sys/inet.ts";
import { MSG, send } from "../../src/sys/socket.ts";
import { encoded, TestSocket } from "./test-socket.ts";
import { GUEST, OUTSIDE, World } from "./world.ts";

test("from the server to the guest, and from the guest to the server", async () => {
  await using world = await World.create();
  using server = TestSocket.bound(world.outside, OUTSIDE);
  using client = TestSocket.connected(world.guest, OUTSIDE, server.port);
  const { socket: peer } = server.accept();
  using _ = peer;
  setInt(client.fd, LEVEL.SOCKET, SO.OOBINLINE, 1);
  setInt(peer.fd, LEVEL.SOCKET, SO.OOBINLINE, 1);
  for (const [from, to] of [
    [peer, client],
    [client, peer],
  ] as const) {
    from.send("before");
    send(from.fd, encoded("!"), MSG.OOB);
    from.send("behind");
    let text = "";
    while (text.length < 13) text += to.text();
    expect(text).toBe("before!behind");
  }
});

test("to a published port", async () => {
  await using world = await World.create();
  using server = TestSocket.bound(world.guest, GUEST);
  await world.publish({ protocol: "tcp", host: "0.0.0.0", hostPort: 8080, guestPort: server.port });
  using client = TestSocket.connected(world.outside, "192.0.2.1", 8080);
  const { socket: peer } = server.accept();
  using _ = peer;
  send(client.fd, encoded("a!"), MSG.OOB);
  client.send("b");
  let text = "";
  while (text.length < 3) text += peer.text();
  expect(text).toBe("a!b");
});
