/** TCP from a guest: streams whole at every size of frame, and the ends, refusals and errors that a cable would show. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import type { TestNetns } from "../support/netns.ts";
import { exchange, patternSum } from "./streams.ts";
import { encoded, show, TestSocket } from "./test-socket.ts";
import { OUTSIDE, OUTSIDE6, World } from "./world.ts";

const MEGABYTES = 1 << 20;

for (const [mtu, offload] of [
  [1500, true],
  [65_520, true],
  [1500, false],
] as const)
  describe(`MTU ${mtu}, offload ${offload ? "on" : "off"}`, () => {
    let world: World;
    beforeAll(async () => {
      world = await World.create({ mtu, offload });
    });
    afterAll(() => world[Symbol.asyncDispose]());

    for (const address of [OUTSIDE, OUTSIDE6])
      test(`streams out, in, and both at once, whole: ${address}`, () => {
        for (const [out, back] of [
          [64 * MEGABYTES, 0],
          [0, 64 * MEGABYTES],
          [32 * MEGABYTES + 1, 32 * MEGABYTES + 7],
        ] as const) {
          using server = TestSocket.bound(world.outside, address);
          using client = TestSocket.connected(world.guest, address, server.port);
          using peer = server.accept().socket;
          expect(exchange(client, peer, out, back)).toEqual({
            client: patternSum(back),
            server: patternSum(out),
          });
        }
      });

    test("half a connection lives on: the guest ends first, then hears the answer", () => {
      using server = TestSocket.bound(world.outside, OUTSIDE);
      using client = TestSocket.connected(world.guest, OUTSIDE, server.port);
      const { socket: peer } = server.accept();
      using _ = peer;
      client.send("question");
      client.end();
      expect(new TextDecoder().decode(peer.rest())).toBe("question");
      peer.send("answer");
      expect(client.text()).toBe("answer");
      peer.end();
      expect(client.rest()).toHaveLength(0);
    });

    test("half a connection lives on: the server ends first, and hears the guest out", () => {
      using server = TestSocket.bound(world.outside, OUTSIDE);
      using client = TestSocket.connected(world.guest, OUTSIDE, server.port);
      const { socket: peer } = server.accept();
      using _ = peer;
      peer.end();
      expect(client.rest()).toHaveLength(0);
      const long = new Uint8Array(new ArrayBuffer(100_000)).fill(7);
      client.send(long);
      client.end();
      expect(peer.rest()).toEqual(long);
    });

    test("a reset is a reset, both ways", () => {
      using server = TestSocket.bound(world.outside, OUTSIDE);
      using client = TestSocket.connected(world.guest, OUTSIDE, server.port);
      server.accept().socket.reset();
      expect(() => client.receive()).toThrow("ECONNRESET");
      const second = TestSocket.connected(world.guest, OUTSIDE, server.port);
      const { socket: peer } = server.accept();
      using _ = peer;
      second.reset();
      expect(() => peer.receive()).toThrow("ECONNRESET");
    });

    test("an answer ahead of a reset is heard, though the server has not heard the guest out", async () => {
      using server = TestSocket.bound(world.outside, OUTSIDE);
      using client = TestSocket.connected(world.guest, OUTSIDE, server.port);
      const { socket: peer } = server.accept();
      client.send(new Uint8Array(new ArrayBuffer(100_000)));
      peer.send("too much");
      // Closed over unread data a socket resets; had it read all that has come so far, it would say FIN first.
      await until(
        () => peer.waits(),
        () => "nothing of the guest's data comes",
      );
      peer[Symbol.dispose]();
      expect(client.text()).toBe("too much");
      expect(() => client.receive()).toThrow("ECONNRESET");
    });

    test("one byte at a time", () => {
      using server = TestSocket.bound(world.outside, OUTSIDE);
      using client = TestSocket.connected(world.guest, OUTSIDE, server.port);
      const { socket: peer } = server.accept();
      using _ = peer;
      for (const letter of "hello") {
        client.send(letter);
        expect(peer.text()).toBe(letter);
        peer.send(letter.toUpperCase());
        expect(client.text()).toBe(letter.toUpperCase());
      }
    });
  });

describe("what a connection can meet", () => {
  let world: World;
  beforeAll(async () => {
    world = await World.create();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test("nobody listens: refused", () => {
    for (const address of [OUTSIDE, OUTSIDE6])
      expect(() => TestSocket.connected(world.guest, address, 9)).toThrow("connection refused");
  });

  test("no way there: what the host's own connect(2) says", () => {
    world.host.sh("ip", "route", "add", "unreachable", "198.51.100.0/25");
    world.host.sh("ip", "route", "add", "prohibit", "198.51.100.128/25");
    for (const address of ["198.51.100.1", "203.0.113.1"]) {
      let direct = "";
      try {
        TestSocket.connected(world.host, address, 80);
      } catch (error) {
        direct = (error as Error).message;
      }
      expect(direct).toMatch(/no route to host|network is unreachable/);
      expect(() => TestSocket.connected(world.guest, address, 80)).toThrow(direct);
    }
    // A guest has no errno for EACCES of an administrator's own host; the network's word for it is "unreachable".
    expect(() => TestSocket.connected(world.guest, "198.51.100.200", 80)).toThrow(
      /unreachable|no route to host/,
    );
  });

  test("the gateway is the host's loopback; 127.0.0.1 stays the guest's own", () => {
    using server = TestSocket.bound(world.host, "127.0.0.1");
    using client = TestSocket.connected(world.guest, "10.0.2.2", server.port);
    const { socket, from } = server.accept();
    using _ = socket;
    expect(show(from)).toStartWith("127.0.0.1 ");
    client.send("hello");
    expect(socket.text()).toBe("hello");
    expect(() => TestSocket.connected(world.guest, "127.0.0.1", server.port)).toThrow("refused");
    using server6 = TestSocket.bound(world.host, "::1");
    using client6 = TestSocket.connected(world.guest, "fd00::2", server6.port);
    client6.send("six");
    using peer6 = server6.accept().socket;
    expect(peer6.text()).toBe("six");
  });

  test("two thousand connections at once, each with its own bytes", async () => {
    const count = 2000;
    const server = world.outside.run(() =>
      Bun.listen({
        hostname: OUTSIDE,
        port: 0,
        socket: {
          data(socket, data) {
            socket.write(data);
          },
        },
      }),
    );
    let open = 0;
    let most = 0;
    const asked = Array.from(
      { length: count },
      (_, index) =>
        new Promise<string>((resolve, reject) =>
          world.guest.run(() => {
            let answer = "";
            Bun.connect({
              hostname: OUTSIDE,
              port: server.port,
              socket: {
                open() {
                  most = Math.max(most, ++open);
                },
                data(socket, data) {
                  // A stream may bring a line in pieces.
                  answer += data.toString();
                  if (!answer.endsWith("\n")) return;
                  open--;
                  socket.end();
                  resolve(answer);
                },
                connectError: (_, error) => reject(error),
                error: (_, error) => reject(error),
              },
            })
              .then(async socket => {
                sockets.push(socket);
                if (sockets.length === count)
                  for (const [at, one] of sockets.entries()) one.write(`n${at}\n`);
              })
              .catch(reject);
            return index;
          }),
        ),
    );
    const sockets: Bun.Socket[] = [];
    const answers = await Promise.all(asked);
    expect(new Set(answers).size).toBe(count);
    expect(most).toBe(count);
    server.stop(true);
  }, 60_000);
});

test("host loopback that is not allowed is unreachable", async () => {
  await using world = await World.create({ hostLoopback: false });
  using server = TestSocket.bound(world.host, "127.0.0.1");
  expect(() => TestSocket.connected(world.guest, "10.0.2.2", server.port)).toThrow("network is unreachable");
});

test("what goes out leaves from the address that was chosen; the loopback does not", async () => {
  await using world = await World.create({ outbound4: "192.0.2.77", outbound6: "2001:db8::77" });
  world.host.sh("ip", "address", "add", "192.0.2.77/24", "dev", "eth0");
  world.host.sh("ip", "address", "add", "2001:db8::77/64", "dev", "eth0", "nodad");
  for (const [address, from] of [
    [OUTSIDE, "192.0.2.77"],
    [OUTSIDE6, "2001:db8::77"],
  ] as const) {
    using server = TestSocket.bound(world.outside, address);
    using _client = TestSocket.connected(world.guest, address, server.port);
    const caller = server.accept();
    expect(show(caller.from)).toStartWith(`${from} `);
    caller.socket[Symbol.dispose]();
  }
  using local = TestSocket.bound(world.host, "127.0.0.1");
  using client = TestSocket.connected(world.guest, "10.0.2.2", local.port);
  client.send("hello");
  using peer = local.accept().socket;
  expect(peer.text()).toBe("hello");
});

test("with an address of its own to leave from, a port is free for each destination anew", async () => {
  await using world = await World.create({ outbound4: "192.0.2.1" });
  world.host.sh("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40009");
  using one = TestSocket.bound(world.outside, OUTSIDE);
  using other = TestSocket.bound(world.outside, OUTSIDE);
  const sockets = [one, other].flatMap(server =>
    Array.from({ length: 8 }, () => {
      const client = TestSocket.connected(world.guest, OUTSIDE, server.port);
      const { socket, from } = server.accept();
      expect(from.port).toBeWithin(40_000, 40_010);
      return [client, socket];
    }),
  );
  for (const socket of sockets.flat()) socket[Symbol.dispose]();
});

test("what goes out leaves by the interface that was chosen; the loopback needs none", async () => {
  await using world = await World.create({ outboundDevice: "eth0" });
  world.host.sh("ip", "link", "add", "other", "type", "veth", "peer", "name", "nowhere");
  world.host.sh("ip", "link", "set", "other", "up");
  world.host.sh("ip", "route", "add", `${OUTSIDE}/32`, "dev", "other");
  expect(world.host.sh("ip", "route", "get", OUTSIDE)).toContain("dev other");
  using server = TestSocket.bound(world.outside, OUTSIDE);
  using client = TestSocket.connected(world.guest, OUTSIDE, server.port);
  client.send("by eth0");
  using peer = server.accept().socket;
  expect(peer.text()).toBe("by eth0");
  using local = TestSocket.bound(world.host, "127.0.0.1");
  using second = TestSocket.connected(world.guest, "10.0.2.2", local.port);
  second.send("hello");
  using near = local.accept().socket;
  expect(near.text()).toBe("hello");
});

test("a guest whose namespace ends takes its tap along, and the plane goes on with the others", async () => {
  await using world = await World.create({}, 2);
  const [, second] = world.guests as [TestNetns, TestNetns];
  world.guest.sh("ip", "link", "delete", "tap0");
  using server = TestSocket.bound(world.outside, OUTSIDE);
  using client = TestSocket.connected(second, OUTSIDE, server.port);
  using peer = server.accept().socket;
  client.send(encoded("still here"));
  expect(peer.text()).toBe("still here");
});

test("more connections than are allowed: refused, until one of those that are there has ended", async () => {
  await using world = await World.create({ tcpFlows: 2 });
  using server = TestSocket.bound(world.outside, OUTSIDE);
  using first = TestSocket.connected(world.guest, OUTSIDE, server.port);
  using peer = server.accept().socket;
  const second = TestSocket.connected(world.guest, OUTSIDE, server.port);
  const { socket: other } = server.accept();
  expect(() => TestSocket.connected(world.guest, OUTSIDE, server.port)).toThrow("connection refused");
  first.send("still here");
  expect(peer.text()).toBe("still here");
  second.end();
  expect(other.rest()).toHaveLength(0);
  other.end();
  expect(second.rest()).toHaveLength(0);
  second[Symbol.dispose]();
  other[Symbol.dispose]();
  using third = TestSocket.connected(world.guest, OUTSIDE, server.port);
  third.send("in its place");
  using last = server.accept().socket;
  expect(last.text()).toBe("in its place");
});
