/** Datagrams and pings from a guest, at every size. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { bytes } from "../../src/sys/mem.ts";
import { SOCK } from "../../src/sys/socket.ts";
import { show, TestSocket } from "./test-socket.ts";
import { HOST, OUTSIDE, OUTSIDE6, World } from "./world.ts";

const datagram = (size: number) => {
  const data = bytes(Math.max(size, 1));
  for (let index = 0; index < size; index++) data[index] = (index * 7 + size) & 0xff;
  return data.subarray(0, size);
};

for (const mtu of [1500, 65_520])
  describe(`MTU ${mtu}`, () => {
    let world: World;
    beforeAll(async () => {
      world = await World.create({ mtu });
    });
    afterAll(() => world[Symbol.asyncDispose]());

    for (const address of [OUTSIDE, OUTSIDE6])
      test(`datagrams of 0 to 60,000 bytes there and back: ${address}`, () => {
        using server = TestSocket.bound(world.outside, address, 0, SOCK.DGRAM);
        using client = TestSocket.connected(world.guest, address, server.port, SOCK.DGRAM);
        for (const size of [0, 1, 512, 1372, 1432, 1472, 1473, 4000, 9000, 20_000, 60_000]) {
          client.send(datagram(size));
          const { data, io } = server.receiveFrom();
          expect(data).toEqual(datagram(size));
          server.sendTo(io.peer, datagram(size));
          expect(client.receive()).toEqual(datagram(size));
        }
      });

    test("bursts arrive as they were sent: every datagram, its size, its order", () => {
      using server = TestSocket.bound(world.outside, OUTSIDE, 0, SOCK.DGRAM);
      using other = TestSocket.bound(world.outside, OUTSIDE, 0, SOCK.DGRAM);
      using client = TestSocket.connected(world.guest, OUTSIDE, server.port, SOCK.DGRAM);
      using second = TestSocket.connected(world.guest, OUTSIDE, other.port, SOCK.DGRAM);
      const bursts = [
        Array.from({ length: 40 }, () => 1200),
        Array.from({ length: 40 }, (_, index) => 1000 + (index % 5)),
        Array.from({ length: 40 }, (_, index) => (index % 7 === 6 ? 0 : 900)),
        Array.from({ length: 12 }, () => 3000),
      ];
      for (const sizes of bursts) {
        for (const [index, size] of sizes.entries()) {
          client.send(datagram(size));
          if (index % 4 === 0) second.send(datagram(size));
        }
        for (const [index, size] of sizes.entries()) {
          expect(server.receiveFrom().data).toEqual(datagram(size));
          if (index % 4 === 0) expect(other.receiveFrom().data).toEqual(datagram(size));
        }
      }
    });

    test("a port where nobody listens refuses", () => {
      for (const address of [OUTSIDE, OUTSIDE6]) {
        using client = TestSocket.connected(world.guest, address, 9, SOCK.DGRAM);
        client.send("anybody?");
        expect(() => client.receive()).toThrow("refused");
      }
    });

    test("a guest's port is one port of the host, whomever it speaks to (RFC 4787, 4.1)", () => {
      using first = TestSocket.bound(world.outside, OUTSIDE, 0, SOCK.DGRAM);
      using second = TestSocket.bound(world.outside, OUTSIDE, 0, SOCK.DGRAM);
      using client = TestSocket.bound(world.guest, "10.0.2.100", 0, SOCK.DGRAM);
      const callers = [first, second].map(server => {
        client.sendTo(server.local, "hello");
        return server.receiveFrom().io.peer;
      });
      expect(show(callers[0]!)).toBe(show(callers[1]!));
      expect(show(callers[0]!)).toStartWith(`${HOST} `);
      for (const [index, server] of [first, second].entries()) {
        server.sendTo(callers[index]!, `answer ${index}`);
        const { data, io } = client.receiveFrom();
        expect(new TextDecoder().decode(data)).toBe(`answer ${index}`);
        expect(show(io.peer)).toBe(show(server.local));
      }
    });

    test("the gateway is the host's loopback for datagrams too", () => {
      using server = TestSocket.bound(world.host, "127.0.0.1", 0, SOCK.DGRAM);
      using client = TestSocket.connected(world.guest, "10.0.2.2", server.port, SOCK.DGRAM);
      client.send("hello");
      expect(new TextDecoder().decode(server.receiveFrom().data)).toBe("hello");
    });

    test("ping: the gateway, the outside, IPv6, and large ones", () => {
      for (const [address, size] of [
        ["10.0.2.2", 56],
        [OUTSIDE, 56],
        [OUTSIDE6, 56],
        [OUTSIDE, 8000],
        [OUTSIDE6, 8000],
      ] as const)
        expect(
          world.guest.sh("ping", "-c", "3", "-i", "0.01", "-W", "5", "-s", `${size}`, address),
        ).toContain(" 0% packet loss");
    });

    test("a ping that nobody can answer comes back as the error it met", () => {
      world.host.sh("ip", "route", "replace", "unreachable", "198.51.100.0/24");
      expect(() => world.guest.sh("ping", "-c", "1", "-W", "2", "198.51.100.1")).toThrow();
    });
  });
