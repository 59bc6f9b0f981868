/** How a guest's own kernel and clients configure themselves from what the stack says, and who may live behind one tap. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/await.ts";
import { TestNetns } from "../support/netns.ts";
import { OUTSIDE, OUTSIDE6, World } from "./world.ts";

/** What udhcpc(8) tells its script, one variable to a line. */
const SCRIPT =
  '#!/bin/sh\n[ "$1" = bound ] && set | grep -E "^(ip|subnet|router|dns|mtu|lease|serverid)="\nexit 0\n';

interface Addresses {
  addr_info: { family: string; local: string; scope: string; dynamic?: boolean; tentative?: boolean }[];
}
interface Route {
  dst: string;
  gateway?: string;
  protocol?: string;
}

let world: World;
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "portolan-dhcp-"));
  writeFileSync(join(scratch, "script"), SCRIPT);
  chmodSync(join(scratch, "script"), 0o755);
  world = await World.create();
  world.guest.sh("ip", "address", "flush", "dev", "tap0");
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true });
});

/** Runs BusyBox' DHCP client until it has a lease. */
function lease(): Record<string, string> {
  const words = [
    "busybox",
    "udhcpc",
    "-i",
    "tap0",
    "-n",
    "-q",
    "-f",
    "-O",
    "mtu",
    "-s",
    join(scratch, "script"),
  ];
  const text = world.guest.sh(...words);
  return Object.fromEntries(
    text
      .trim()
      .split("\n")
      .map(line => line.replaceAll("'", "").split("=") as [string, string]),
  );
}

describe("DHCP", () => {
  test("a real client gets the guest's address, mask, router, resolver and MTU", () => {
    expect(lease()).toMatchObject({
      ip: "10.0.2.100",
      subnet: "255.255.255.0",
      router: "10.0.2.2",
      dns: "10.0.2.3",
      mtu: "1500",
      lease: "86400",
      serverid: "10.0.2.2",
    });
  });

  test("another machine gets the first of the pool", () => {
    world.guest.sh("ip", "link", "set", "tap0", "address", "02:00:00:00:00:77");
    expect(lease().ip).toBe("10.0.2.15");
  });
});

test("the guest's kernel makes its IPv6 address and route from the router's advertisement", async () => {
  const { guest } = world;
  guest.sh("ip", "link", "set", "tap0", "down");
  guest.sh("sysctl", "-qw", "net.ipv6.conf.tap0.accept_ra=2", "net.ipv6.conf.tap0.autoconf=1");
  guest.sh("sysctl", "-qw", "net.ipv6.conf.tap0.accept_dad=0");
  guest.sh("ip", "link", "set", "tap0", "up");
  const global = () =>
    guest
      .json<Addresses[]>("ip", "-json", "-6", "address", "show", "dev", "tap0")[0]
      ?.addr_info.find(one => one.scope === "global" && !one.tentative);
  await until(
    () => global() !== undefined,
    () => "no address was made",
  );
  expect(global()!.local).toStartWith("fd00::");
  expect(global()!.dynamic).toBe(true);
  const routes = guest.json<Route[]>("ip", "-json", "-6", "route", "show", "default");
  expect(routes.find(route => route.protocol === "ra")?.gateway).toBe("fe80::5055:aff:fe00:202");
  expect(guest.sh("ping", "-6", "-n", "-c", "1", "-W", "5", OUTSIDE6)).toContain("1 received");
});

test("traceroute finds the gateway, then the destination", () => {
  world.guest.sh("ip", "address", "replace", "10.0.2.100/24", "dev", "tap0");
  world.guest.sh("ip", "route", "replace", "default", "via", "10.0.2.2");
  const text = world.guest.sh("busybox", "traceroute", "-n", "-q", "1", "-m", "4", OUTSIDE);
  const hops = [...text.matchAll(/^ *(\d+) +([\d.]+)/gm)].map(match => match[2]);
  expect(hops).toEqual(["10.0.2.2", OUTSIDE]);
});

test("machines bridged to one tap reach the world and each other, and nobody takes another's address", () => {
  const { guest } = world;
  using one = new TestNetns("one");
  using two = new TestNetns("two");
  const ip = (...words: string[]) => guest.sh("ip", ...words);
  ip("link", "add", "br0", "type", "bridge");
  ip("link", "set", "tap0", "master", "br0");
  ip("link", "set", "br0", "up");
  for (const [machine, address] of [
    [one, "10.0.2.101"],
    [two, "10.0.2.102"],
  ] as const) {
    const port = `v${address.at(-1)}`;
    ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", machine.path.split("/").at(-1)!);
    ip("link", "set", port, "master", "br0", "up");
    machine.sh("ip", "address", "add", `${address}/24`, "dev", "eth0");
    machine.sh("ip", "link", "set", "eth0", "up");
    machine.sh("ip", "route", "add", "default", "via", "10.0.2.2");
  }
  const ping = (machine: TestNetns, to: string) =>
    machine.sh("ping", "-n", "-c", "2", "-i", "0.2", "-W", "5", to);
  for (const machine of [one, two])
    for (const to of ["10.0.2.2", OUTSIDE]) expect(ping(machine, to)).toContain("2 received");
  expect(ping(one, "10.0.2.102")).toContain("2 received");
  expect(ping(two, "10.0.2.101")).toContain("2 received");
  const neighbour = one.json<{ dst: string; lladdr: string }[]>(
    "ip",
    "-json",
    "neighbour",
    "show",
    "10.0.2.102",
  );
  const own = two.json<{ address: string }[]>("ip", "-json", "link", "show", "eth0");
  expect(neighbour[0]!.lladdr).toBe(own[0]!.address);
});
