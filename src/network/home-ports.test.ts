import { expect, test } from "bun:test";
import fc from "fast-check";
import { homePorts, numberIn, portOf } from "./home-ports.ts";

const port = (hostIp: string, hostPort: number, containerPort = 80, range = 1) => ({
  hostIp,
  hostPort,
  containerPort,
  protocol: "tcp" as const,
  range,
});
const order = (containerId: string, hostAddr: string, hostPort: number, guestPort: number, count = 1) => ({
  containerId,
  settings: { proto: "tcp" as const, hostAddr, hostPort, guestAddr: "10.0.2.100", guestPort, count },
});

test("a port keeps its number where nobody else has it", () => {
  expect(homePorts([port("", 8080), port("127.0.0.1", 9090, 90)], "one", [])).toEqual([
    port("", 8080),
    port("", 9090, 90),
  ]);
  expect(homePorts([port("192.0.2.1", 8080)], "two", [order("one", "127.0.0.1", 8080, 8080)])).toEqual([
    port("", 20_000),
  ]);
});

test("two addresses of the host's with the same port are one port, or two where they lead elsewhere", () => {
  const ports = [port("127.0.0.1", 8080), port("192.0.2.1", 8080), port("192.0.2.2", 8080, 81)];
  const inside = homePorts(ports, "one", []);
  expect(inside).toEqual([port("", 8080), port("", 8080), port("", 20_000, 81)]);
  expect(portOf(ports, { ...order("one", "192.0.2.2", 8080, 0).settings })).toBe(2);
});

test("what is ordered already stays where it is", () => {
  const orders = [
    order("two", "192.0.2.1", 8080, 20_000, 250),
    order("two", "192.0.2.1", 8330, 20_250, 50),
    order("one", "127.0.0.1", 8080, 8080, 300),
  ];
  expect(homePorts([port("192.0.2.1", 8080, 80, 300)], "two", orders)).toEqual([port("", 20_000, 80, 300)]);
});

test("after orders were lost, the numbers are those of what is published inside", () => {
  const inside = [
    { hostPort: 20_000, containerPort: 80, protocol: "tcp", range: 3 },
    { hostPort: 9090, containerPort: 80, protocol: "tcp" },
    { hostPort: 53, containerPort: 53, protocol: "udp" },
  ];
  const number = (hostPort: number, guestPort: number) =>
    numberIn(inside, { proto: "tcp", hostAddr: "127.0.0.1", hostPort, guestPort, count: 1 });
  expect([number(8080, 80), number(8082, 82), number(9090, 80), number(53, 53)]).toEqual([
    20_000, 20_002, 9090, 53,
  ]);
});

test("no two containers' ports are one", () => {
  const some = fc.array(
    fc.record({
      address: fc.constantFrom("127.0.0.1", "192.0.2.1", "192.0.2.2"),
      first: fc.integer({ min: 1, max: 40 }),
      range: fc.integer({ min: 1, max: 8 }),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(some, list => {
      const orders: ReturnType<typeof order>[] = [];
      for (const [index, { address, first, range }] of list.entries()) {
        const [inside] = homePorts([port(address, first, 80, range)], `${index}`, orders);
        const last = inside!.hostPort + range - 1;
        for (const { settings } of orders)
          expect(inside!.hostPort >= settings.guestPort + settings.count || last < settings.guestPort).toBe(
            true,
          );
        orders.push(order(`${index}`, address, first, inside!.hostPort, range));
      }
    }),
  );
});
