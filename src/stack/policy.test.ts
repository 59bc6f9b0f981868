import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { configFor } from "../../test/support/stack.ts";
import { formatIP, parseCidr, parseIP } from "../wire/addr.ts";
import type { StackConfig } from "./config.ts";
import { ERRNO } from "./errno.ts";
import { Policy } from "./policy.ts";

function route(address: string, port: number, changes: Partial<StackConfig> = {}): string | number {
  const ip = parseIP(address)!;
  const answer = new Policy(configFor(changes)).route(ip.family, ip.bytes, 0, port);
  if (typeof answer === "number") return answer;
  return `${answer.kind} ${formatIP({ family: answer.family, bytes: answer.address })} ${answer.port}`;
}

describe("where a flow goes", () => {
  test("the gateway is the host's loopback where that is allowed, else there is no way", () => {
    expect(route("10.0.2.2", 80)).toBe("loopback 127.0.0.1 80");
    expect(route("fd00::2", 80)).toBe("loopback ::1 80");
    expect(route("fe80::5055:aff:fe00:202", 80)).toBe("loopback ::1 80");
    for (const gateway of ["10.0.2.2", "fd00::2", "fe80::5055:aff:fe00:202"])
      expect(route(gateway, 80, { hostLoopback: false })).toBe(ERRNO.ENETUNREACH);
  });

  test("the DNS address answers on port 53, with or without host loopback, and on no other port", () => {
    expect(route("10.0.2.3", 53, { hostLoopback: false })).toBe("dns 10.0.2.3 53");
    expect(route("fd00::3", 53)).toBe("dns fd00::3 53");
    expect(route("10.0.2.3", 80)).toBe(ERRNO.ECONNREFUSED);
    expect(route("10.0.2.3", 53, { dns: false })).toBe(ERRNO.ECONNREFUSED);
  });

  test("nobody else lives on the guest's wire; the rest is the internet", () => {
    expect(route("10.0.2.50", 80)).toBe(ERRNO.EHOSTUNREACH);
    expect(route("fd00::50", 80)).toBe(ERRNO.EHOSTUNREACH);
    expect(route("fe80::1", 80)).toBe(ERRNO.EHOSTUNREACH);
    expect(route("10.0.3.50", 80)).toBe("internet 10.0.3.50 80");
    expect(route("2001:db8::50", 443)).toBe("internet 2001:db8::50 443");
  });

  test("what is no host's address is dropped, in any disguise", () => {
    for (const address of [
      ...["127.0.0.1", "127.1.2.3", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1"],
      ...[
        "10.0.2.255",
        "10.0.2.0",
        "::1",
        "::",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
      ],
    ])
      expect([address, route(address, 80)]).toEqual([address, 0]);
  });

  test("no address of the guest's choice reaches the host's loopback when that is forbidden", () => {
    const policy = new Policy(configFor({ hostLoopback: false }));
    const check = (family: 4 | 6) => (address: Uint8Array, port: number) => {
      const answer = policy.route(family, address, 0, port);
      if (typeof answer === "number") return;
      const text = formatIP({ family, bytes: answer.address });
      expect(answer.kind).not.toBe("loopback");
      expect(text).not.toMatch(/^(127\.|::1$|::ffff:\d+\.|0\.)/);
    };
    const bytes = (size: number) =>
      fc
        .uint8Array({ minLength: size, maxLength: size })
        .map(list => list.map(byte => (byte < 128 ? 0 : byte)));
    fc.assert(fc.property(bytes(4), fc.nat(65_535), check(4)));
    fc.assert(fc.property(bytes(16), fc.nat(65_535), check(6)));
  });
});

describe("who a guest may be", () => {
  test("any address of the network that is not ours and no broadcast", () => {
    const policy = new Policy(configFor());
    const isGuest = (address: string) => {
      const ip = parseIP(address)!;
      return policy.isGuest(ip.family, ip.bytes, 0);
    };
    for (const guest of ["10.0.2.100", "10.0.2.15", "10.0.2.1", "fd00::1234", "fe80::1"])
      expect([guest, isGuest(guest)]).toEqual([guest, true]);
    for (const other of [
      ...["10.0.2.2", "10.0.2.3", "10.0.2.0", "10.0.2.255", "10.0.3.1", "127.0.0.1", "0.0.0.0"],
      ...["fd00::2", "fd00::3", "2001:db8::1", "::1", "::", "ff02::1"],
    ])
      expect([other, isGuest(other)]).toEqual([other, false]);
  });

  test("prefixes that end inside a byte", () => {
    const subnet = parseCidr("10.64.0.0/11")!;
    const policy = new Policy(configFor({ ipv4: { ...configFor().ipv4, subnet } }));
    const onLink = (address: string) => policy.isOnLink(4, parseIP(address)!.bytes, 0);
    expect(onLink("10.95.255.254")).toBe(true);
    expect(onLink("10.96.0.1")).toBe(false);
    expect(policy.isRoutable(4, parseIP("10.95.255.255")!.bytes, 0)).toBe(false);
  });
});

describe("a guest on the host's own network", () => {
  const shared: Partial<StackConfig> = {
    ipv4: {
      subnet: parseCidr("192.0.2.0/24")!,
      gateway: parseIP("192.0.2.254")!,
      dns: parseIP("169.254.1.1")!,
      guest: parseIP("192.0.2.1")!,
    },
    ipv6: {
      prefix: parseCidr("2001:db8::/64")!,
      gateway: parseIP("fe80::1")!,
      dns: parseIP("fd00::3")!,
      guest: parseIP("2001:db8::1")!,
    },
    hostLoopback: false,
    shared: true,
    aliases: [
      { address: parseIP("169.254.1.2")!, to: parseIP("192.0.2.1")! },
      { address: parseIP("192.0.2.99")!, to: "loopback" },
    ],
  };

  test("reaches its neighbours and the gateway as everybody else", () => {
    expect(route("192.0.2.50", 80, shared)).toBe("internet 192.0.2.50 80");
    expect(route("192.0.2.254", 80, shared)).toBe("internet 192.0.2.254 80");
    expect(route("2001:db8::50", 80, shared)).toBe("internet 2001:db8::50 80");
    expect(route("198.51.100.1", 80, shared)).toBe("internet 198.51.100.1 80");
  });

  test("reaches the gateway as the host's loopback where that is wanted", () => {
    expect(route("192.0.2.254", 80, { ...shared, hostLoopback: true })).toBe("loopback 127.0.0.1 80");
    expect(route("fe80::1", 80, { ...shared, hostLoopback: true })).toBe("loopback ::1 80");
  });

  test("reaches the host by the addresses that stand for it, and no other way", () => {
    expect(route("169.254.1.2", 80, shared)).toBe("internet 192.0.2.1 80");
    expect(route("192.0.2.99", 80, shared)).toBe("loopback 127.0.0.1 80");
    expect(route("169.254.1.1", 53, shared)).toBe("dns 169.254.1.1 53");
    for (const address of ["192.0.2.1", "2001:db8::1", "fe80::1", "fe80::7"])
      expect([address, route(address, 80, shared)]).toEqual([address, ERRNO.EHOSTUNREACH]);
    for (const address of ["127.0.0.1", "::1", "192.0.2.255", "192.0.2.0"])
      expect([address, route(address, 80, shared)]).toEqual([address, 0]);
  });

  test("sees clients as they are, and the host as what stands for it", () => {
    const policy = new Policy(configFor(shared));
    const seen = (from: string, to: string) => {
      const [client, guest] = [parseIP(from)!, parseIP(to)!];
      const address = policy.clientAddress(
        { family: client.family, address: client.bytes, port: 1 },
        { family: guest.family, address: guest.bytes, port: 2 },
      );
      return formatIP({ family: guest.family, bytes: address });
    };
    expect(seen("192.0.2.50", "192.0.2.1")).toBe("192.0.2.50");
    expect(seen("198.51.100.1", "192.0.2.1")).toBe("198.51.100.1");
    expect(seen("192.0.2.1", "192.0.2.1")).toBe("169.254.1.2");
    expect(seen("127.0.0.1", "192.0.2.1")).toBe("169.254.1.2");
    expect(seen("2001:db8::50", "2001:db8::1")).toBe("2001:db8::50");
    expect(seen("2001:db8::1", "2001:db8::1")).toBe("fe80::1");
  });
});

test("clients of published ports keep their address unless it means something else to the guest", () => {
  const policy = new Policy(configFor());
  const seen = (from: string, to = "10.0.2.100") => {
    const [client, guest] = [parseIP(from)!, parseIP(to)!];
    const address = policy.clientAddress(
      { family: client.family, address: client.bytes, port: 1 },
      { family: guest.family, address: guest.bytes, port: 2 },
    );
    return formatIP({ family: guest.family, bytes: address });
  };
  expect(seen("192.0.2.7")).toBe("192.0.2.7");
  expect(seen("127.0.0.1")).toBe("10.0.2.2");
  expect(seen("10.0.2.100")).toBe("10.0.2.2");
  expect(seen("2001:db8::7")).toBe("10.0.2.2");
  expect(seen("2001:db8::7", "fd00::64")).toBe("2001:db8::7");
  expect(seen("::1", "fd00::64")).toBe("fd00::2");
  expect(seen("192.0.2.7", "fd00::64")).toBe("fd00::2");
});
