/** User-mode networks of containers, given by root and by an ordinary user: what the container sees, and what passes. */
import { expect, test } from "bun:test";
import type { UserModePlan } from "../../src/network/user-mode.ts";
import { greet, server } from "./programs.ts";
import { type Container, HOST, HOST6, NetworkWorld, OUTSIDE, OUTSIDE6 } from "./world.ts";

interface IpAddress {
  ifname: string;
  mtu: number;
  addr_info: { local: string; prefixlen: number; scope: string }[];
}
interface IpRoute {
  dst: string;
  gateway?: string;
}

/** The container's addresses but for the link-local one. */
async function given(container: Container): Promise<string[]> {
  const [tap] = await container.json<IpAddress[]>("ip", "-j", "address", "show", "tap0");
  return tap!.addr_info
    .filter(({ scope }) => scope === "global")
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

for (const kind of ["root", "user"] as const)
  test(`${kind}: a container on slirp4netns has its addresses at once and speaks with the outside`, async () => {
    await using world = await NetworkWorld.create(kind);
    await using _outside = await server(world.outside.words(), 7000);
    const { container } = await world.userMode("one", "slirp4netns:mtu=1500");
    expect(await given(container)).toEqual(["10.0.2.100/24", "fd00::100/64"]);
    const [tap] = await container.json<IpAddress[]>("ip", "-j", "address", "show", "tap0");
    expect(tap!.mtu).toBe(1500);
    const routes = await container.json<IpRoute[]>("ip", "-j", "route", "show", "default");
    expect(routes).toMatchObject([{ gateway: "10.0.2.2" }]);
    for (const protocol of ["tcp", "udp"] as const) {
      expect(await greet(container.words(), protocol, OUTSIDE, 7000)).toBe(HOST);
      expect(await greet(container.words(), protocol, OUTSIDE6, 7000)).toBe(HOST6);
    }
    // Two containers of one command, each on a network of its own.
    const { container: other } = await world.userMode("two", "slirp4netns");
    expect(await given(other)).toEqual(["10.0.2.100/24", "fd00::100/64"]);
    await world.ask({ do: "leave", name: "one" });
    expect(await greet(other.words(), "tcp", OUTSIDE, 7000)).toBe(HOST);
  });

test("callers of published ports are seen as who they are, by either family and protocol", async () => {
  await using world = await NetworkWorld.create("user");
  const published = { hostPort: 8080, containerPort: 7000, range: 1 };
  const ports = (["tcp", "udp"] as const).map(protocol => ({ ...published, protocol, hostIp: "" }));
  const { container } = await world.userMode("one", "slirp4netns", ports);
  await using _inside = await server(container.words(), 7000);
  for (const protocol of ["tcp", "udp"] as const) {
    expect(await greet(world.outside.words(), protocol, HOST, 8080)).toBe(OUTSIDE);
    expect(await greet(world.outside.words(), protocol, HOST6, 8080)).toBe(OUTSIDE6);
    expect(await greet(world.host.words(), protocol, "127.0.0.1", 8080)).toBe("10.0.2.2");
  }
});

test("a network of the host's in the way moves the container's", async () => {
  await using world = await NetworkWorld.create("user");
  world.host.sh("ip", "address", "add", "10.0.2.15/24", "dev", "eth0");
  world.host.sh("ip", "address", "add", "fd00::2/64", "dev", "eth0", "nodad");
  const { settings } = await world.ask<UserModePlan>({ do: "plan", word: "slirp4netns" });
  expect(settings.ipv4.subnet).toBe("10.0.3.0/24");
  expect(settings.ipv6!.prefix).not.toBe("fd00::/64");
  const { container, plan } = await world.userMode("moved", "slirp4netns");
  expect(await given(container)).toEqual(plan.addresses);
});

test("a network whose data plane was lost is mended by joining it again", async () => {
  await using world = await NetworkWorld.create("user");
  const { container, plan } = await world.userMode("mended", "slirp4netns");
  const again = () => world.ask({ do: "join", name: "mended", plan });
  await expect(again()).rejects.toThrow("can't make the container's network interface: tap0 is in use");
  await world.ask({ do: "lose", name: "mended" });
  // Meanwhile programs in the container find addresses and routes as they were.
  expect(await given(container)).toEqual(["10.0.2.100/24", "fd00::100/64"]);
  await again();
  expect(await container.sh("ping", "-c1", "-W5", "10.0.2.2")).toContain(" 0% packet loss");
});

test.each([
  ["600", "/dev/net/tun is closed to this user (let users open it (as root: chmod 666 /dev/net/tun)"],
  ["none", "/dev/net/tun is not there (ENOENT) (load the kernel's module (as root: modprobe tun)"],
] as const)("a tun device of mode %s is told of, with what to do", async (mode, message) => {
  await using world = await NetworkWorld.create("user", mode);
  await expect(world.userMode("none", "slirp4netns")).rejects.toThrow(message);
});
