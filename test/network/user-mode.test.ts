/** User-mode networks of containers, given by root and by an ordinary user: what the container sees, and what passes. */
import { expect, test } from "bun:test";
import type { UserModePlan } from "../../src/network/user-mode.ts";
import { type Container, NetworkWorld, OUTSIDE, OUTSIDE6 } from "./world.ts";

interface IpAddress {
  ifname: string;
  mtu: number;
  addr_info: { local: string; prefixlen: number; scope: string; dynamic?: boolean }[];
}
interface IpRoute {
  dst: string;
  gateway?: string;
}

/** Addresses that the container was given, without those that the kernel makes. */
async function given(container: Container): Promise<string[]> {
  const [tap] = await container.json<IpAddress[]>("ip", "-j", "address", "show", container.plan.ifName);
  return tap!.addr_info
    .filter(({ scope, dynamic }) => scope === "global" && !dynamic)
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

/** Sends a line to a server on the outside by each protocol and family; gives what came back. */
const TALK = `
import socket, sys
for kind, address, port in (("tcp", sys.argv[1], 7001), ("tcp", sys.argv[2], 7001), ("udp", sys.argv[1], 7002), ("udp", sys.argv[2], 7002)):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(10)
    s.connect((address, port))
    s.sendall(b"hello")
    print(kind, address, s.recv(100).decode())
`;

/** Answers each line with who has sent it. */
const SERVE = `
import selectors, socket
waiting = selectors.DefaultSelector()
for kind, port in ((socket.SOCK_STREAM, 7001), (socket.SOCK_DGRAM, 7002)):
    s = socket.socket(socket.AF_INET6, kind)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    if kind == socket.SOCK_STREAM: s.listen()
    waiting.register(s, selectors.EVENT_READ)
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        if key.fileobj.type == socket.SOCK_STREAM:
            with key.fileobj.accept()[0] as c:
                c.sendall(c.recv(100) + b" from " + c.getpeername()[0].encode())
        else:
            data, peer = key.fileobj.recvfrom(100)
            key.fileobj.sendto(data + b" from " + peer[0].encode(), peer)
`;

for (const kind of ["root", "user"] as const)
  test(`${kind}: a container on slirp4netns has its addresses at once and speaks with the outside`, async () => {
    await using world = await NetworkWorld.create(kind);
    const server = world.outside.run(() => Bun.spawn(["python3", "-c", SERVE], { stdout: "pipe" }));
    try {
      await server.stdout.getReader().read();
      const container = await world.container("one", "slirp4netns:mtu=1500");
      expect(await given(container)).toEqual(["10.0.2.100/24", "fd00::100/64"]);
      const [tap] = await container.json<IpAddress[]>("ip", "-j", "address", "show", "tap0");
      expect(tap!.mtu).toBe(1500);
      const routes = await container.json<IpRoute[]>("ip", "-j", "route", "show", "default");
      expect(routes).toMatchObject([{ gateway: "10.0.2.2" }]);
      expect((await container.sh("python3", "-c", TALK, OUTSIDE, OUTSIDE6)).trim().split("\n")).toEqual([
        `tcp ${OUTSIDE} hello from ::ffff:192.0.2.1`,
        `tcp ${OUTSIDE6} hello from 2001:db8::1`,
        `udp ${OUTSIDE} hello from ::ffff:192.0.2.1`,
        `udp ${OUTSIDE6} hello from 2001:db8::1`,
      ]);
      // Two containers of one command, each on a network of its own.
      const other = await world.container("two", "slirp4netns");
      expect(await given(other)).toEqual(["10.0.2.100/24", "fd00::100/64"]);
      await world.ask({ do: "leave", name: "one" });
      expect(await other.sh("python3", "-c", TALK, OUTSIDE, OUTSIDE6)).toContain(`udp ${OUTSIDE6} hello`);
    } finally {
      server.kill();
      await server.exited;
    }
  });

test("a network of the host's in the way moves the container's", async () => {
  await using world = await NetworkWorld.create("user");
  world.host.sh("ip", "address", "add", "10.0.2.15/24", "dev", "eth0");
  world.host.sh("ip", "address", "add", "fd00::2/64", "dev", "eth0", "nodad");
  const { settings } = await world.ask<UserModePlan>({ do: "plan", word: "slirp4netns" });
  expect(settings.ipv4.subnet).toBe("10.0.3.0/24");
  expect(settings.ipv6!.prefix).not.toBe("fd00::/64");
  const container = await world.container("moved", "slirp4netns");
  expect(await given(container)).toEqual(container.plan.addresses);
});

test("a network whose data plane was lost is mended by joining it again", async () => {
  await using world = await NetworkWorld.create("user");
  const container = await world.container("mended", "slirp4netns");
  const again = () => world.ask({ do: "join", name: "mended", plan: container.plan });
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
  await expect(world.container("none", "slirp4netns")).rejects.toThrow(message);
});
