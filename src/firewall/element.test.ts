import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  addCommands,
  concat,
  type Element,
  keyBytes,
  owner,
  parseElements,
  ports,
  prefix,
} from "./element.ts";
import { overlaps, type PublishedPort, publish } from "./ports.ts";

const target = { version: 4, address: "10.88.0.5", network: { address: "10.88.0.0", length: 16 } } as const;

test("elements come back from what libnftables lists", () => {
  const reply = {
    nftables: [
      { metainfo: { version: "1.0.6" } },
      { table: { family: "inet", name: "portolan" } },
      { set: { name: "isolated", elem: ["cni0"] } },
      {
        set: {
          name: "hairpin4",
          elem: [
            {
              elem: {
                val: { concat: [{ prefix: { addr: "10.88.0.0", len: 16 } }, "10.88.0.5"] },
                comment: "a:eth0",
              },
            },
          ],
        },
      },
      {
        map: {
          name: "range4",
          elem: [[{ elem: { val: { concat: [6, { range: [80, 90] }] }, comment: "a:eth0" } }, "10.88.0.5"]],
        },
      },
      { map: { name: "port6" } },
    ],
  };
  expect(parseElements(JSON.stringify(reply))).toEqual([
    { set: "isolated", key: "cni0", data: undefined, owner: "" },
    { set: "hairpin4", key: concat(prefix("10.88.0.0", 16), "10.88.0.5"), data: undefined, owner: "a:eth0" },
    { set: "range4", key: concat(6, ports(80, 90)), data: "10.88.0.5", owner: "a:eth0" },
  ]);
});

test("an owner always fits into a comment, and two owners never look the same", () => {
  const id = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,300}$/);
  const name = fc.stringMatching(/^[a-z0-9.]{1,15}$/);
  fc.assert(
    fc.property(id, name, id, name, (a, ifA, b, ifB) => {
      expect(owner(a, ifA).length).toBeLessThan(128);
      expect(owner(a, ifA) === owner(b, ifB)).toBe(a === b && ifA === ifB);
    }),
  );
});

test("published ports overlap exactly when they share a port, a protocol and an address", () => {
  const port = fc.record({
    protocol: fc.constantFrom("tcp" as const, "udp" as const),
    hostPort: fc.integer({ min: 1, max: 40 }),
    containerPort: fc.integer({ min: 1, max: 40 }),
    count: fc.integer({ min: 1, max: 10 }),
    host: fc.constantFrom(
      undefined,
      { version: 4 as const },
      { version: 4 as const, address: "192.0.2.1" },
      { version: 4 as const, address: "192.0.2.2" },
    ),
  });
  const mapped = (owner: string, one: PublishedPort) =>
    publish(owner, target, [one]).filter(element => element.data !== undefined);
  fc.assert(
    fc.property(port, port, (a, b) => {
      const expected =
        a.protocol === b.protocol &&
        (!a.host?.address || !b.host?.address || a.host.address === b.host.address) &&
        a.hostPort < b.hostPort + b.count &&
        b.hostPort < a.hostPort + a.count;
      const found = mapped("a", a).some(one => mapped("b", b).some(other => overlaps(one, other)));
      expect(found).toBe(expected);
    }),
  );
});

test("a straight range is one element, a shifted one has its ports one by one", () => {
  const elements = (containerPort: number): Element[] =>
    publish("a", target, [{ protocol: "tcp", hostPort: 8000, containerPort, count: 100 }]).filter(
      one => one.data,
    );
  expect(elements(8000)).toHaveLength(1);
  expect(elements(9000)).toHaveLength(100);
  expect(elements(9000)[99]).toMatchObject({
    set: "port4",
    key: concat(6, 8099),
    data: concat("10.88.0.5", 9099),
  });
});

test("one command a set", () => {
  const list = publish("a", target, [
    { protocol: "tcp", hostPort: 1, containerPort: 2, count: 1 },
    { protocol: "udp", hostPort: 1, containerPort: 2, count: 1 },
  ]);
  expect(addCommands(list)).toHaveLength(2);
});

test("keys are the kernel's bytes: networks by their first address and their last, interfaces padded", () => {
  const hex = (key: Parameters<typeof keyBytes>[0]) =>
    keyBytes(key).map(one => Buffer.from(one).toString("hex"));
  expect(hex(concat("10.88.0.5", prefix("10.88.0.0", 16)))).toEqual(["0a5800050a580000", "0a5800050a58ffff"]);
  expect(hex("fd00::1")).toEqual(Array(2).fill(`fd00${"00".repeat(13)}01`));
  expect(hex(concat("be0", "10.0.0.1"))).toEqual(Array(2).fill(`626530${"00".repeat(13)}0a000001`));
});
