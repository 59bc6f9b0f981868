/** Many guests in one process, and what happens when descriptors run out. */
import { expect, test } from "bun:test";
import { SOCK } from "../../src/sys/socket.ts";
import { until } from "../support/await.ts";
import { exchange, patternSum } from "./streams.ts";
import { TestSocket } from "./test-socket.ts";
import { GUEST, HOST, OUTSIDE, World } from "./world.ts";

test("twenty guests of one address each have their own network", async () => {
  const guests = 20;
  await using world = await World.create({}, guests);
  using server = TestSocket.bound(world.outside, OUTSIDE);
  const clients = world.guests.map(guest => TestSocket.connected(guest, OUTSIDE, server.port));
  const peers = clients.map((client, index) => {
    client.send(`guest ${index}`);
    return server.accept().socket;
  });
  const heard = peers.map(peer => {
    const text = peer.text();
    peer.send(`hello ${text}`);
    return text;
  });
  expect(new Set(heard).size).toBe(guests);
  for (const [index, client] of clients.entries()) expect(client.text()).toBe(`hello guest ${index}`);
  const servers = world.guests.map(guest => TestSocket.bound(guest, GUEST, 80));
  for (let guest = 0; guest < guests; guest++)
    await world.publish({ guest, protocol: "tcp", host: "0.0.0.0", hostPort: 7000 + guest, guestPort: 80 });
  for (const [index, one] of servers.entries()) {
    using caller = TestSocket.connected(world.outside, HOST, 7000 + index);
    using accepted = one.accept().socket;
    caller.send(`for ${index}`);
    expect(accepted.text()).toBe(`for ${index}`);
  }
  // A busy neighbour does not stop the others.
  const size = 16 << 20;
  expect(exchange(clients[0]!, peers[heard.indexOf("guest 0")]!, size, size)).toEqual({
    client: patternSum(size),
    server: patternSum(size),
  });
  for (const one of [...clients, ...peers, ...servers]) one[Symbol.dispose]();
}, 60_000);

test("a mistake in one guest's stack resets that guest's flows and nobody else's", async () => {
  await using world = await World.create({ fatalLength: 14 + 20 + 8 + 777 }, 2);
  using server = TestSocket.bound(world.outside, OUTSIDE);
  const [victim, neighbour] = world.guests.map(guest => {
    const client = TestSocket.connected(guest, OUTSIDE, server.port);
    return { client, peer: server.accept().socket };
  });
  using fatal = TestSocket.connected(world.guest, OUTSIDE, 9, SOCK.DGRAM);
  fatal.send("x".repeat(777));
  expect(() => victim!.peer.receive()).toThrow("ECONNRESET");
  expect(() => {
    victim!.client.send("anybody?");
    victim!.client.receive();
  }).toThrow("ECONNRESET");
  neighbour!.client.send("what happened?");
  expect(neighbour!.peer.text()).toBe("what happened?");
  using again = TestSocket.connected(world.guest, OUTSIDE, server.port);
  using heard = server.accept().socket;
  again.send("as before");
  expect(heard.text()).toBe("as before");
  for (const { client, peer } of [victim!, neighbour!])
    for (const one of [client, peer]) one[Symbol.dispose]();
});

test("out of descriptors: those that are there go on, new ones wait and get their turn", async () => {
  const wanted = 150;
  await using world = await World.create({ descriptors: 120 });
  using server = TestSocket.bound(world.outside, OUTSIDE);
  using inside = TestSocket.bound(world.guest, GUEST);
  await world.publish({ protocol: "tcp", host: "0.0.0.0", hostPort: 8080, guestPort: inside.port });
  using first = TestSocket.connected(world.guest, OUTSIDE, server.port);
  using peer = server.accept().socket;
  const clients = Array.from({ length: wanted }, () =>
    TestSocket.connecting(world.guest, OUTSIDE, server.port),
  );
  const peers: TestSocket[] = [];
  const acceptAll = () => {
    while (server.waits()) peers.push(server.accept().socket);
    return peers.length;
  };
  await until(
    () => acceptAll() > 50,
    () => `only ${peers.length} connections`,
  );
  expect(peers.length).toBeLessThan(120);
  first.send("still here");
  expect(peer.text()).toBe("still here");
  using caller = TestSocket.connected(world.outside, HOST, 8080);
  caller.send("patience");
  for (const one of [...clients.splice(0, 100), ...peers]) one[Symbol.dispose]();
  using accepted = inside.accept().socket;
  expect(accepted.text()).toBe("patience");
  await until(
    () => acceptAll() === wanted,
    () => `${peers.length} of ${wanted} connections`,
    30,
  );
  for (const one of [...clients, ...peers]) one[Symbol.dispose]();
}, 60_000);
