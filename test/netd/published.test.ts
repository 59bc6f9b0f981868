/** Published ports: who calls arrives as who it is, by TCP and UDP, IPv4 and IPv6, one port or many. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { SOCK } from "../../src/sys/socket.ts";
import { exchange, patternSum } from "./streams.ts";
import { show, TestSocket } from "./test-socket.ts";
import { GUEST, GUEST6, HOST, HOST6, OUTSIDE, OUTSIDE6, World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await World.create({ mtu: 1500 });
});
afterAll(() => world[Symbol.asyncDispose]());

const address = (text: string) => text.split(" ")[0];

for (const [host, guest, dial, caller] of [
  ["0.0.0.0", GUEST, HOST, OUTSIDE],
  ["::", GUEST6, HOST6, OUTSIDE6],
] as const) {
  test(`TCP to ${host}: a client from outside keeps its address`, async () => {
    using server = TestSocket.bound(world.guest, guest);
    await world.publish({
      protocol: "tcp",
      host,
      hostPort: 8080,
      guestAddress: guest,
      guestPort: server.port,
    });
    using client = TestSocket.connected(world.outside, dial, 8080);
    const { socket, from } = server.accept();
    using _ = socket;
    expect(show(from)).toBe(show(client.local));
    expect(address(show(from))).toBe(caller);
    client.send("question");
    expect(socket.text()).toBe("question");
    socket.send("answer");
    socket.end();
    expect(new TextDecoder().decode(client.rest())).toBe("answer");
  });

  test(`UDP to ${host}: clients keep their addresses, answers leave from the address that was asked`, async () => {
    const second = host === "::" ? "2001:db8::11" : "192.0.2.11";
    world.host.sh(
      "ip",
      "address",
      "add",
      `${second}/${host === "::" ? 64 : 24}`,
      "dev",
      "eth0",
      ...(host === "::" ? ["nodad"] : []),
    );
    using server = TestSocket.bound(world.guest, guest, 0, SOCK.DGRAM);
    await world.publish({
      protocol: "udp",
      host,
      hostPort: 5300,
      guestAddress: guest,
      guestPort: server.port,
    });
    for (const asked of [dial, second]) {
      using one = TestSocket.connected(world.outside, asked, 5300, SOCK.DGRAM);
      using two = TestSocket.connected(world.outside, asked, 5300, SOCK.DGRAM);
      for (const client of [one, two, one]) {
        client.send("question");
        const { io } = server.receiveFrom();
        expect(show(io.peer)).toBe(show(client.local));
        server.sendTo(io.peer, "answer");
        // The socket is connected to the address that it asked, and gets nothing from another.
        expect(client.text()).toBe("answer");
      }
    }
  });
}

test("clients of the host itself appear as the gateway, each with a port of its own", async () => {
  using server = TestSocket.bound(world.guest, GUEST);
  using datagrams = TestSocket.bound(world.guest, GUEST, 0, SOCK.DGRAM);
  for (const hostPort of [8090, 8091])
    await world.publish({ protocol: "tcp", host: "127.0.0.1", hostPort, guestPort: server.port });
  await world.publish({ protocol: "udp", host: "127.0.0.1", hostPort: 5390, guestPort: datagrams.port });
  // One local port towards two published ones: to the guest these would be one.
  using first = TestSocket.connected(world.host, "127.0.0.1", 8090);
  using second = TestSocket.connected(world.host, "127.0.0.1", 8091, SOCK.STREAM, first.local);
  const callers = [server.accept(), server.accept()];
  const ports = callers.map(caller => show(caller.from));
  expect(new Set(ports).size).toBe(2);
  for (const port of ports) expect(port).toStartWith("10.0.2.2 ");
  expect(second.local.port).toBe(first.local.port);
  for (const [index, socket] of [first, second].entries()) {
    socket.send(`caller ${index}`);
    expect(callers[index]!.socket.text()).toBe(`caller ${index}`);
    callers[index]!.socket[Symbol.dispose]();
  }

  using client = TestSocket.connected(world.host, "127.0.0.1", 5390, SOCK.DGRAM);
  client.send("question");
  const { io } = datagrams.receiveFrom();
  expect(show(io.peer)).toBe(`10.0.2.2 ${client.local.port}`);
  datagrams.sendTo(io.peer, "answer");
  expect(client.text()).toBe("answer");
});

test("a client by IPv6 of a guest that is published by IPv4 appears as the gateway", async () => {
  using server = TestSocket.bound(world.guest, GUEST);
  await world.publish({ protocol: "tcp", host: "::", hostPort: 8066, guestPort: server.port });
  using _client = TestSocket.connected(world.outside, HOST6, 8066);
  const { socket, from } = server.accept();
  using _ = socket;
  expect(address(show(from))).toBe("10.0.2.2");
});

test("nothing is delivered to the guest's loopback, and nobody in the guest is refused", async () => {
  using server = TestSocket.bound(world.guest, "127.0.0.1");
  await world.publish({ protocol: "tcp", host: "0.0.0.0", hostPort: 8070, guestPort: server.port });
  using client = TestSocket.connected(world.outside, HOST, 8070);
  expect(() => client.receive()).toThrow("ECONNRESET");
});

test("a range is there as a whole or not at all", async () => {
  await world.publish({ protocol: "tcp", host: "0.0.0.0", hostPort: 9000, count: 100, guestPort: 9000 });
  using server = TestSocket.bound(world.guest, GUEST, 9099);
  using _client = TestSocket.connected(world.outside, HOST, 9099);
  server.accept().socket[Symbol.dispose]();
  using taken = TestSocket.bound(world.host, "192.0.2.1", 9210);
  expect(taken.port).toBe(9210);
  const answer = await world.ask({
    do: "publish",
    protocol: "tcp",
    host: "0.0.0.0",
    hostPort: 9200,
    count: 20,
    guestPort: 80,
  });
  expect(answer).toEqual({ error: "can't listen on tcp 0.0.0.0:9210: address already in use" });
  expect(() => TestSocket.connected(world.outside, HOST, 9200)).toThrow("refused");
});

test("what can't be published is said in one line", async () => {
  const ask = (host: string, hostPort: number, count = 1) =>
    world.ask({ do: "publish", protocol: "udp", host, hostPort, count, guestPort: 53 });
  expect(await ask("203.0.113.9", 53)).toEqual({
    error: "can't listen on udp 203.0.113.9:53: cannot assign requested address",
  });
  expect((await ask("0.0.0.0", 65_530, 10)).error).toContain("ports end at 65535");
});

test("unpublished: no new clients, and those that are there stay", async () => {
  using server = TestSocket.bound(world.guest, GUEST);
  const id = await world.publish({
    protocol: "tcp",
    host: "0.0.0.0",
    hostPort: 8100,
    guestPort: server.port,
  });
  using client = TestSocket.connected(world.outside, HOST, 8100);
  using peer = server.accept().socket;
  expect(await world.ask({ do: "unpublish", id })).toEqual({ removed: true });
  expect(await world.ask({ do: "unpublish", id })).toEqual({ removed: false });
  expect(() => TestSocket.connected(world.outside, HOST, 8100)).toThrow("refused");
  client.send("still here");
  expect(peer.text()).toBe("still here");
  expect(
    await world.publish({ protocol: "tcp", host: "0.0.0.0", hostPort: 8100, guestPort: server.port }),
  ).toBeGreaterThan(id);
});

test("streams in and out by a published port, whole", async () => {
  const size = 32 << 20;
  using server = TestSocket.bound(world.guest, GUEST);
  await world.publish({ protocol: "tcp", host: "0.0.0.0", hostPort: 8200, guestPort: server.port });
  using client = TestSocket.connected(world.outside, HOST, 8200);
  using peer = server.accept().socket;
  expect(exchange(client, peer, size, size)).toEqual({ client: patternSum(size), server: patternSum(size) });
});
