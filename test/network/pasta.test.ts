/** `--network pasta` of an ordinary user: the container is the host's twin, and reaches what the host reaches. */
import { expect, test } from "bun:test";
import { greet, server } from "./programs.ts";
import { HOST, HOST6, NetworkWorld, OUTSIDE, OUTSIDE6 } from "./world.ts";

interface IpAddress {
  mtu: number;
  address: string;
  addr_info: { local: string; prefixlen: number; scope: string }[];
}

test("a container on pasta has the host's addresses, and its neighbours are the host's", async () => {
  await using world = await NetworkWorld.create("user");
  await using _outside = await server(world.outside.words(), 7000);
  const port = { hostIp: "", hostPort: 8080, containerPort: 7000, range: 1 };
  const { container } = await world.userMode("twin", "pasta:--ns-mac-addr,02:00:00:00:00:07", [
    { ...port, protocol: "tcp" },
    { ...port, protocol: "udp" },
  ]);
  const [eth0] = await container.json<IpAddress[]>("ip", "-j", "address", "show", "eth0");
  expect(eth0).toMatchObject({ mtu: 65520, address: "02:00:00:00:00:07" });
  expect(
    eth0!.addr_info.filter(one => one.scope === "global").map(one => `${one.local}/${one.prefixlen}`),
  ).toEqual([`${HOST}/24`, `${HOST6}/64`]);
  expect(await container.sh("ip", "route", "show", "default")).toContain(`default via ${OUTSIDE} dev eth0`);
  expect(await container.sh("ip", "-6", "route", "show", "default")).toContain(
    `default via ${OUTSIDE6} dev eth0`,
  );

  await using _inside = await server(container.words(), 7000);
  for (const protocol of ["tcp", "udp"] as const) {
    // The outside is on the host's wire, and is the gateway.
    expect(await greet(container.words(), protocol, OUTSIDE, 7000)).toBe(HOST);
    expect(await greet(container.words(), protocol, OUTSIDE6, 7000)).toBe(HOST6);
    expect(await greet(world.outside.words(), protocol, HOST, 8080)).toBe(OUTSIDE);
    expect(await greet(world.outside.words(), protocol, HOST6, 8080)).toBe(OUTSIDE6);
    // The host itself has the container's address, and so another to it.
    expect(await greet(world.host.words(), protocol, HOST, 8080)).toBe("169.254.1.2");
    expect(await greet(world.host.words(), protocol, "127.0.0.1", 8080)).toBe("169.254.1.2");
  }
});

test("the host is reached by the addresses that stand for it", async () => {
  await using world = await NetworkWorld.create("user");
  await using _host = await server(world.host.words(), 7001);
  const { container: twin } = await world.userMode("twin", "pasta");
  expect(await greet(twin.words(), "tcp", "169.254.1.2", 7001)).toBe(HOST);
  const { container: mapped } = await world.userMode(
    "mapped",
    "pasta:--map-gw,--map-host-loopback,192.0.2.77",
  );
  for (const protocol of ["tcp", "udp"] as const) {
    expect(await greet(mapped.words(), protocol, OUTSIDE, 7001)).toBe("127.0.0.1");
    expect(await greet(mapped.words(), protocol, OUTSIDE6, 7001)).toBe("::1");
    expect(await greet(mapped.words(), protocol, "192.0.2.77", 7001)).toBe("127.0.0.1");
  }
});

test("addresses of the caller's choice", async () => {
  await using world = await NetworkWorld.create("user");
  await using _outside = await server(world.outside.words(), 7000);
  const { container } = await world.userMode("chosen", "pasta:-4,-a,10.1.2.3,-n,24,-g,10.1.2.1,-I,wan");
  expect(await container.sh("ip", "-4", "-o", "address", "show", "wan")).toContain("inet 10.1.2.3/24");
  expect(await greet(container.words(), "tcp", OUTSIDE, 7000)).toBe(HOST);
});
