import { describe, expect, test } from "bun:test";
import {
  address,
  arp,
  dissect,
  ethernet,
  GUEST_MAC,
  icmp,
  join,
  show,
  udp,
  World,
} from "../../test/support/guest.ts";
import { text } from "../../test/support/stack.ts";
import { READY } from "./outside.ts";

const OTHER_MAC = "02:00:00:00:00:0a";

describe("ARP", () => {
  test("literal bytes: the gateway's address", () => {
    const world = new World();
    world.guest(arp(1, GUEST_MAC, "10.0.2.100", "10.0.2.2"));
    const [frame] = world.takeFrames();
    expect(text(frame!)).toBe(
      "02 00 00 00 00 09 52 55 0a 00 02 02 08 06 00 01 08 00 06 04 00 02 52 55 0a 00 02 02 0a 00 02 02 " +
        "02 00 00 00 00 09 0a 00 02 64",
    );
  });

  test("every address is answered for but those of guests", () => {
    const world = new World();
    const answered = (target: string, mac = GUEST_MAC, sender = "10.0.2.100") => {
      world.guest(arp(1, mac, sender, target));
      return world.take().length === 1;
    };
    for (const target of ["10.0.2.2", "10.0.2.3", "10.0.2.50", "192.0.2.7"])
      expect(answered(target)).toBe(true);
    expect(answered("10.0.2.100", OTHER_MAC, "10.0.2.101")).toBe(false);
    expect(answered("10.0.2.101")).toBe(false);
    expect(answered("10.0.2.255")).toBe(false);
    expect(answered("224.0.0.1")).toBe(false);
  });

  test("whoever looks whether an address is free hears of ours only (RFC 5227)", () => {
    const world = new World();
    world.guest(arp(1, GUEST_MAC, "0.0.0.0", "10.0.2.15"));
    world.guest(arp(1, GUEST_MAC, "10.0.2.15", "10.0.2.15"));
    expect(world.take()).toEqual([]);
    world.guest(arp(1, GUEST_MAC, "0.0.0.0", "10.0.2.2"));
    expect(world.take()).toEqual(["arp 10.0.2.2 is at 52:55:0a:00:02:02"]);
  });

  test("what is no ARP for Ethernet and IPv4 is not answered", () => {
    const world = new World();
    const good = arp(1, GUEST_MAC, "10.0.2.100", "10.0.2.2").subarray(14);
    world.guest(ethernet(0x0806, good.subarray(0, 27)));
    for (const [at, byte] of [
      [1, 6],
      [3, 6],
      [4, 8],
      [5, 16],
      [7, 3],
    ] as const) {
      const bad = good.slice();
      bad[at] = byte;
      world.guest(ethernet(0x0806, bad));
    }
    expect(world.take()).toEqual([]);
  });

  test("a machine that moves to another hardware address is followed", () => {
    const world = new World();
    world.guest(udp("10.0.2.100:1", "192.0.2.7:9", ""));
    world.guest(arp(1, OTHER_MAC, "10.0.2.100", "10.0.2.100"));
    world.outside.socket(0).incoming.push(join("x"));
    world.stack.socketReady(world.now, 0, READY.READABLE);
    expect(dissect(world.takeFrames()[0]!).to).toBe(OTHER_MAC);
  });
});

describe("IPv6 neighbours and routers", () => {
  const solicit = (from: string, target: string, options: number[] = [1, 1, 2, 0, 0, 0, 0, 9], ttl = 255) =>
    icmp(from, "ff02::1:ff00:2", 135, 0, 0, join(address(target), options), {
      ttl,
      to: "33:33:ff:00:00:02",
    });

  test("literal bytes: the router's advertisement", () => {
    const world = new World({ searchDomains: ["a.test"] });
    const [greeting] = world.greeting;
    expect(text(greeting!.subarray(0, 14))).toBe("33 33 00 00 00 01 52 55 0a 00 02 02 86 dd");
    const { from, destination, hops, message } = dissect(greeting!);
    expect([from, destination, hops]).toEqual(["fe80::5055:aff:fe00:202", "ff02::1", 255]);
    expect(text(message.subarray(4))).toBe(
      [
        "40 40 07 08 00 00 00 00 00 00 00 00",
        "01 01 52 55 0a 00 02 02",
        "05 01 00 00 00 00 05 dc",
        "03 04 40 c0 00 01 51 80 00 00 38 40 00 00 00 00 fd 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        "19 03 00 00 00 00 07 08 fd 00 00 00 00 00 00 00 00 00 00 00 00 00 00 03",
        "1f 02 00 00 00 00 07 08 01 61 04 74 65 73 74 00",
      ].join(" "),
    );
  });

  test("is sent every five minutes and to whom asks", () => {
    const world = new World();
    world.pass(299_999);
    expect(world.take().length).toBe(0);
    world.pass(1001);
    expect(world.take()).toEqual(["icmp6 fe80::5055:aff:fe00:202 > ff02::1 type 134 code 0"]);
    const all = { ttl: 255, to: "33:33:00:00:00:02" };
    world.guest(icmp("fe80::9", "ff02::2", 133, 0, 0, join([1, 1, 2, 0, 0, 0, 0, 9]), all));
    world.guest(icmp("::", "ff02::2", 133, 0, 0, "", all));
    expect(world.take()).toEqual([
      "icmp6 fe80::5055:aff:fe00:202 > fe80::9 type 134 code 0",
      "icmp6 fe80::5055:aff:fe00:202 > ff02::1 type 134 code 0",
    ]);
  });

  test("solicitations for our addresses are answered, the gateway as a router", () => {
    const world = new World();
    const answer = (target: string) => {
      world.guest(solicit("fd00::64", target));
      const [frame] = world.takeFrames();
      const { from, destination, hops, message } = dissect(frame!);
      expect([from, destination, hops]).toEqual([target, "fd00::64", 255]);
      return text(message.subarray(4));
    };
    const mac = "02 01 52 55 0a 00 02 02";
    expect(answer("fd00::2")).toBe(`e0 00 00 00 ${text(address("fd00::2"))} ${mac}`);
    expect(answer("fd00::3")).toBe(`60 00 00 00 ${text(address("fd00::3"))} ${mac}`);
    expect(answer("fe80::5055:aff:fe00:202").slice(0, 2)).toBe("e0");
  });

  test("duplicate address detection hears of our addresses only", () => {
    const world = new World();
    world.guest(solicit("::", "fd00::64", []));
    expect(world.take()).toEqual([]);
    world.guest(solicit("::", "fd00::2", []));
    const [frame] = world.takeFrames();
    expect(show(frame!)).toBe("icmp6 fd00::2 > ff02::1 type 136 code 0");
    expect(dissect(frame!).message[4]).toBe(0xa0);
  });

  test("messages from beyond the link, and void ones, are ignored (RFC 4861, 7.1)", () => {
    const world = new World();
    world.guest(solicit("fd00::64", "fd00::2", [], 64));
    world.guest(solicit("fd00::64", "fd00::2", [1, 0, 0, 0, 0, 0, 0, 0]));
    world.guest(solicit("fd00::64", "fd00::2", [1, 2, 0, 0, 0, 0, 0, 0]));
    world.guest(solicit("fd00::64", "fd00::2", [1]));
    world.guest(icmp("fd00::64", "fd00::2", 135, 0, 0, address("fd00::2").subarray(0, 15), { ttl: 255 }));
    world.guest(icmp("fd00::64", "fd00::2", 135, 1, 0, address("fd00::2"), { ttl: 255 }));
    expect(world.take()).toEqual([]);
  });

  test("a guest that was never heard is solicited, and then gets what waited", () => {
    const world = new World();
    const data = join("hello");
    world.stack.datagramArrived(
      world.now,
      50,
      { family: 6, address: address("2001:db8::9"), port: 7 },
      { family: 6, address: address("fd00::64"), port: 8 },
      data,
      0,
      5,
    );
    const [frame] = world.takeFrames();
    expect(show(frame!)).toBe("icmp6 fe80::5055:aff:fe00:202 > ff02::1:ff00:64 type 135 code 0");
    world.guest(
      icmp(
        "fd00::64",
        "fe80::5055:aff:fe00:202",
        136,
        0,
        0x60000000,
        join(address("fd00::64"), [2, 1, 2, 0, 0, 0, 0, 9]),
        {
          ttl: 255,
        },
      ),
    );
    expect(world.take()).toEqual(["udp [2001:db8::9]:7 > [fd00::64]:8 hello"]);
  });

  test("what waits for somebody who does not answer is dropped after three seconds", () => {
    const world = new World({ ipv6: undefined });
    const data = join("stale");
    const end = (text: string) => ({ family: 4 as const, address: address(text), port: 7 });
    world.stack.datagramArrived(world.now, 50, end("192.0.2.7"), end("10.0.2.100"), data, 0, 5);
    world.stack.flush(world.now);
    expect(world.take()).toEqual(["arp who has 10.0.2.100 tell 10.0.2.2"]);
    world.pass(3000);
    world.guest(arp(1, GUEST_MAC, "10.0.2.100", "10.0.2.100"));
    expect(world.take()).toEqual([]);
  });

  test("without IPv6 the guest speaks to nobody", () => {
    const world = new World({ ipv6: undefined });
    expect(world.greeting).toEqual([]);
    world.guest(solicit("fd00::64", "fd00::2"));
    world.guest(udp("[fd00::64]:1", "[2001:db8::7]:9", ""));
    expect(world.take()).toEqual([]);
    expect(world.outside.open).toEqual([]);
  });
});
