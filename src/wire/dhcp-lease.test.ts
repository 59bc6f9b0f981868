import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseCidr, parseIP } from "./addr.ts";
import { DHCP_OPTION, type DhcpMessage, emitDhcp, parseDhcp } from "./dhcp.ts";
import { readLease } from "./dhcp-lease.ts";
import { emitDomains } from "./domain.ts";

const ip = (text: string) => parseIP(text)!.bytes;
const seconds = (count: number) => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, count);
  return bytes;
};
const text = (word: string) => new TextEncoder().encode(word);
const ROUTES = Uint8Array.of(0, 192, 0, 2, 1, 12, 10, 16, 192, 0, 2, 9, 24, 10, 2, 3, 0, 0, 0, 0);

function answer(options: [number, Uint8Array][], your = "192.0.2.7"): DhcpMessage {
  const none = new Uint8Array(4);
  return {
    operation: 2,
    transaction: 1,
    seconds: 0,
    flags: 0,
    client: none,
    your: ip(your),
    server: none,
    relay: none,
    mac: new Uint8Array(6),
    options: new Map(options),
  };
}

test("address, mask, router, names and times of a full answer", () => {
  const lease = readLease(
    answer([
      [DHCP_OPTION.SUBNET_MASK, ip("255.255.254.0")],
      [DHCP_OPTION.ROUTER, Uint8Array.of(192, 0, 2, 1, 192, 0, 2, 2)],
      [DHCP_OPTION.DNS, Uint8Array.of(192, 0, 2, 53, 192, 0, 2, 54)],
      [DHCP_OPTION.DOMAIN_NAME, text("example.test\0")],
      [DHCP_OPTION.SEARCH, emitDomains(["a.test", "b.test"])],
      [DHCP_OPTION.LEASE_TIME, seconds(1000)],
      [DHCP_OPTION.RENEWAL_TIME, seconds(100)],
      [DHCP_OPTION.REBINDING_TIME, seconds(900)],
    ]),
  );
  expect(lease).toEqual({
    address: "192.0.2.7",
    prefix: 23,
    router: "192.0.2.1",
    routes: [{ dst: "0.0.0.0/0", gateway: "192.0.2.1" }],
    dns: ["192.0.2.53", "192.0.2.54"],
    domain: "example.test",
    search: ["a.test", "b.test"],
    lease: 1000,
    renewal: 100,
    rebinding: 900,
  });
});

test("classless routes stand in for the router and for routes by class", () => {
  const router: [number, Uint8Array] = [DHCP_OPTION.ROUTER, ip("192.0.2.1")];
  const byClass: [number, Uint8Array] = [
    DHCP_OPTION.STATIC_ROUTES,
    Uint8Array.of(10, 1, 2, 3, 192, 0, 2, 8, 172, 20, 1, 1, 192, 0, 2, 8, 0, 0, 0, 0, 192, 0, 2, 8),
  ];
  expect(readLease(answer([router, byClass, [DHCP_OPTION.CLASSLESS_ROUTES, ROUTES]]))!.routes).toEqual([
    { dst: "0.0.0.0/0", gateway: "192.0.2.1" },
    { dst: "10.16.0.0/12", gateway: "192.0.2.9" },
    { dst: "10.2.3.0/24", gateway: "0.0.0.0" },
  ]);
  const old = [
    { dst: "10.0.0.0/8", gateway: "192.0.2.8" },
    { dst: "172.20.0.0/16", gateway: "192.0.2.8" },
    { dst: "0.0.0.0/0", gateway: "192.0.2.1" },
  ];
  expect(readLease(answer([router, byClass]))!.routes).toEqual(old);
  const cut: [number, Uint8Array] = [DHCP_OPTION.CLASSLESS_ROUTES, ROUTES.subarray(0, 9)];
  expect(readLease(answer([router, byClass, cut]))!.routes).toEqual(old);
});

test("times that are missing, endless or out of order", () => {
  const times = (...options: [number, number][]) => {
    const { lease, renewal, rebinding } = readLease(
      answer(options.map(([type, count]) => [type, seconds(count)])),
    )!;
    return [lease, renewal, rebinding];
  };
  const { LEASE_TIME, RENEWAL_TIME, REBINDING_TIME } = DHCP_OPTION;
  expect(times()).toEqual([3600, 1800, 3150]);
  expect(times([LEASE_TIME, 0xffffffff])).toEqual([Infinity, Infinity, Infinity]);
  expect(times([LEASE_TIME, 80], [RENEWAL_TIME, 79], [REBINDING_TIME, 90])).toEqual([80, 40, 70]);
  expect(times([LEASE_TIME, 80], [RENEWAL_TIME, 0], [REBINDING_TIME, 20])).toEqual([80, 20, 20]);
});

test("what no machine can have is no lease, what is no name or mask is none", () => {
  for (const your of ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"])
    expect(readLease(answer([], your))).toBeUndefined();
  const odd = readLease(
    answer([
      [DHCP_OPTION.SUBNET_MASK, ip("255.0.255.0")],
      [DHCP_OPTION.DOMAIN_NAME, text("evil.test\nnameserver 203.0.113.1")],
      [DHCP_OPTION.SEARCH, emitDomains(["good.test", "a b.test"])],
    ]),
  )!;
  expect([odd.prefix, odd.domain, odd.search]).toEqual([undefined, undefined, ["good.test"]]);
});

test("whatever an answer holds, a lease from it is one that can be used", () => {
  const known = Object.values(DHCP_OPTION).filter(
    one => one > 0 && one < 255 && one !== DHCP_OPTION.OVERLOAD,
  );
  const option = fc.tuple(fc.constantFrom(...known), fc.uint8Array({ maxLength: 60 }));
  const address = fc.uint8Array({ minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(option, { maxLength: 12 }), address, (options, your) => {
      const message = parseDhcp(emitDhcp({ ...answer(options), your }));
      const lease = message && readLease(message);
      if (!lease) return;
      expect(parseIP(lease.address)).toBeDefined();
      for (const { dst, gateway } of lease.routes) {
        expect(parseCidr(dst)).toBeDefined();
        expect(parseIP(gateway)).toBeDefined();
      }
      for (const one of lease.dns) expect(parseIP(one)).toBeDefined();
      for (const one of [...lease.search, lease.domain ?? "x"]) expect(one).toMatch(/^[\w.-]+$/);
      expect(lease.renewal).toBeGreaterThan(0);
      expect(lease.renewal).toBeLessThanOrEqual(lease.rebinding);
      expect(lease.rebinding).toBeLessThanOrEqual(lease.lease);
    }),
  );
});
