/** Published ports with real sockets: a host, its containers and somebody outside, each in a namespace. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { PortMap } from "../../src/cni/types.ts";
import type { TestNetns } from "../support/netns.ts";
import { askTcp, serveTcp, serveUdp, stopSockets, udpClient } from "../support/sockets.ts";
import { World } from "./world.ts";

let world: World;
let outside: TestNetns;
let list: string;
let number = 0;
const DUAL = {
  ranges: [[{ subnet: "10.77.0.0/24" }], [{ subnet: "fd77::/64" }]],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
};

beforeAll(() => {
  world = new World();
  outside = world.outside();
  list = world.list("net", { ipam: DUAL });
});
afterAll(() => world[Symbol.dispose]());
afterEach(() => {
  stopSockets();
  expect(world.elements()).toBe("");
});

/** A container on the network with these ports; taken off and away at the end of the block. */
function join(...ports: PortMap[]) {
  const place = world.container();
  const attachment = world.attachment(`c${++number}`, place.path, ports);
  const result = world.step({ do: "add", list, attachment })!;
  const [four, six] = result.ips.map(one => one.address.split("/")[0]!);
  return {
    place,
    four: four!,
    six: six!,
    attachment,
    [Symbol.dispose]: () => void world.step({ do: "del", list, attachment }),
  };
}

test("a TCP port answers on localhost, on every host address, to outsiders, neighbours and the container itself", async () => {
  using web = join({ hostPort: 8080, containerPort: 80, protocol: "tcp" });
  using neighbour = join();
  serveTcp(web.place, "::", 80, "web");
  expect(await askTcp(world.host, "127.0.0.1", 8080)).toBe("web 10.77.0.1");
  expect(await askTcp(world.host, "127.0.0.53", 8080)).toBe("web 10.77.0.1");
  expect(await askTcp(world.host, "192.0.2.1", 8080)).toStartWith("web ");
  expect(await askTcp(world.host, "10.77.0.1", 8080)).toStartWith("web ");
  expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("web 192.0.2.2");
  expect(await askTcp(neighbour.place, "192.0.2.1", 8080)).toBe("web 10.77.0.1");
  expect(await askTcp(neighbour.place, "10.77.0.1", 8080)).toBe("web 10.77.0.1");
  expect(await askTcp(neighbour.place, web.four, 80)).toBe(`web ${neighbour.four}`);
  expect(await askTcp(web.place, "192.0.2.1", 8080)).toBe("web 10.77.0.1");
  expect(await askTcp(outside, "192.0.2.1", 80)).toBe("refused");
});

test("the same over IPv6", async () => {
  using web = join({ hostPort: 8080, containerPort: 80, protocol: "tcp" });
  using neighbour = join();
  serveTcp(web.place, "::", 80, "web");
  expect(await askTcp(outside, "fd00:2::1", 8080)).toBe("web fd00:2::2");
  expect(await askTcp(world.host, "fd00:2::1", 8080)).toStartWith("web ");
  expect(await askTcp(neighbour.place, "fd00:2::1", 8080)).toBe("web fd77::1");
  expect(await askTcp(web.place, "fd00:2::1", 8080)).toBe("web fd77::1");
  // Refused at once, so that whoever asks for "localhost" goes on to 127.0.0.1.
  expect(await askTcp(world.host, "::1", 8080)).toBe("refused");
});

test("a host address takes only what is sent to it, and a family's wildcard only its family", async () => {
  using web = join(
    { hostPort: 8081, containerPort: 80, protocol: "tcp", hostIP: "192.0.2.1" },
    { hostPort: 8082, containerPort: 80, protocol: "tcp", hostIP: "127.0.0.1" },
    { hostPort: 8083, containerPort: 80, protocol: "tcp", hostIP: "0.0.0.0" },
    { hostPort: 8084, containerPort: 80, protocol: "tcp", hostIP: "::" },
  );
  serveTcp(web.place, "::", 80, "web");
  expect(await askTcp(outside, "192.0.2.1", 8081)).toBe("web 192.0.2.2");
  expect(await askTcp(world.host, "127.0.0.1", 8081)).toBe("refused");
  expect(await askTcp(world.host, "127.0.0.1", 8082)).toBe("web 10.77.0.1");
  expect(await askTcp(outside, "192.0.2.1", 8082)).toBe("refused");
  expect(await askTcp(outside, "192.0.2.1", 8083)).toBe("web 192.0.2.2");
  expect(await askTcp(outside, "fd00:2::1", 8083)).toBe("refused");
  expect(await askTcp(outside, "fd00:2::1", 8084)).toBe("web fd00:2::2");
  expect(await askTcp(outside, "192.0.2.1", 8084)).toBe("refused");
});

test("ranges: each port goes to its own, straight or shifted, and a straight range is one element", async () => {
  using web = join(
    { hostPort: 9000, containerPort: 9000, protocol: "tcp", range: 1000 },
    { hostPort: 7000, containerPort: 7100, protocol: "tcp", range: 3 },
  );
  for (const port of [9000, 9500, 9999, 7100, 7102]) serveTcp(web.place, "0.0.0.0", port, `port${port}`);
  for (const port of [9000, 9500, 9999])
    expect(await askTcp(outside, "192.0.2.1", port)).toBe(`port${port} 192.0.2.2`);
  expect(await askTcp(outside, "192.0.2.1", 7000)).toBe("port7100 192.0.2.2");
  expect(await askTcp(world.host, "127.0.0.1", 7002)).toBe("port7102 10.77.0.1");
  expect(await askTcp(outside, "192.0.2.1", 7003)).toBe("refused");
  expect(world.elements().split("9000-9999").length - 1).toBe(2);
});

test("UDP: localhost, outsiders, the container itself", async () => {
  using dns = join({ hostPort: 5353, containerPort: 53, protocol: "udp" });
  await serveUdp(dns.place, "0.0.0.0", 53, "dns");
  expect(await (await udpClient(world.host, "127.0.0.1", 5353)).ask("a")).toBe("dns 10.77.0.1 a");
  expect(await (await udpClient(outside, "192.0.2.1", 5353)).ask("b")).toBe("dns 192.0.2.2 b");
  expect(await (await udpClient(dns.place, "192.0.2.1", 5353)).ask("c")).toBe("dns 10.77.0.1 c");
});

test("a UDP client that never stops follows the port from the host to a container, to the next, and back", async () => {
  await serveUdp(world.host, "0.0.0.0", 6000, "host");
  const client = await udpClient(outside, "192.0.2.1", 6000);
  expect(await client.ask("1")).toBe("host 192.0.2.2 1");
  {
    using one = join({ hostPort: 6000, containerPort: 60, protocol: "udp" });
    await serveUdp(one.place, "0.0.0.0", 60, "one");
    expect(await client.ask("2")).toBe("one 192.0.2.2 2");
  }
  {
    using two = join({ hostPort: 6000, containerPort: 60, protocol: "udp" });
    await serveUdp(two.place, "0.0.0.0", 60, "two");
    expect(await client.ask("3")).toBe("two 192.0.2.2 3");
  }
  expect(await client.ask("4")).toBe("host 192.0.2.2 4");
});

test("a port that another container has is refused by its number, and nothing is left of the attempt", async () => {
  using first = join({ hostPort: 8080, containerPort: 80, protocol: "tcp" });
  serveTcp(first.place, "0.0.0.0", 80, "first");
  const before = [world.elements(), world.files("networks/net").length, world.files("results")];
  const second = world.container();
  const [outcome] = world.steps({
    do: "add",
    list,
    attachment: world.attachment("second", second.path, [
      { hostPort: 8079, containerPort: 1, protocol: "tcp" },
      { hostPort: 8080, containerPort: 80, protocol: "tcp" },
    ]),
  });
  expect(outcome!.error).toBe(
    `port 8080/tcp is already published by container ${first.attachment.containerId}`,
  );
  expect([world.elements(), world.files("networks/net").length, world.files("results")]).toEqual(before);
  expect(second.json<{ ifname: string }[]>("ip", "-j", "link").map(one => one.ifname)).toEqual(["lo"]);
  expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("first 192.0.2.2");
});

test("a port publishes nothing else of the host's loopback: a container can't reach 127.0.0.1 through the bridge", async () => {
  using web = join({ hostPort: 8080, containerPort: 80, protocol: "tcp" });
  const secret = await serveUdp(world.host, "127.0.0.1", 7777, "secret");
  const open = await serveUdp(world.host, "10.77.0.1", 7778, "open");
  // What root in a container can do: send 127.0.0.1 out of the door.
  web.place.sh("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet");
  web.place.sh("ip", "route", "del", "table", "local", "127.0.0.1", "dev", "lo");
  web.place.sh("ip", "route", "del", "table", "local", "127.0.0.0/8", "dev", "lo");
  web.place.sh("ip", "route", "add", "127.0.0.1", "via", "10.77.0.1", "src", web.four);
  (await udpClient(web.place, "127.0.0.1", 7777)).send("knock");
  (await udpClient(web.place, "10.77.0.1", 7778)).send("hello");
  await open.until("hello");
  expect(secret.received).toEqual([]);
});

test("DEL: without the namespace, twice, and of what never was", () => {
  const place = world.container();
  const attachment = world.attachment("gone", place.path, [
    { hostPort: 8080, containerPort: 80, protocol: "tcp" },
  ]);
  world.step({ do: "add", list, attachment });
  place[Symbol.dispose]();
  const without = world.attachment("gone", "");
  world.step({ do: "del", list, attachment: without });
  world.step({ do: "del", list, attachment: without });
  world.step({ do: "del", list, attachment: world.attachment("never", "/run/netns/never") });
  expect(world.files("results")).toEqual([]);
});

test("options that contradict each other or the backend are refused by name", () => {
  const place = world.container();
  const ports = [{ hostPort: 80, containerPort: 80, protocol: "tcp" }];
  const attachment = world.attachment("bad", place.path, ports);
  for (const [options, message] of [
    [
      { backend: "nftables", conditionsV4: ["-s", "192.0.2.0/24"] },
      "nftables backend was requested but configuration contains iptables-specific options [conditionsV4]",
    ],
    [
      { backend: "iptables", conditionsV6: ["ip6 saddr fd00::/64"] },
      "iptables backend was requested but configuration contains nftables-specific options [conditionsV6]",
    ],
    [
      { backend: "nftables", externalSetMarkChain: "KUBE-MARK-MASQ" },
      "nftables backend was requested but configuration contains iptables-specific options [externalSetMarkChain]",
    ],
    [
      { conditionsV4: ["! -s 192.0.2.1"], conditionsV6: ["ip6 saddr fd00::/64"] },
      "conditionsV4 ask for iptables, and conditionsV6 for nftables",
    ],
    [{ externalSetMarkChain: "X", markMasqBit: 3 }, "Cannot specify externalSetMarkChain and markMasqBit"],
    [{ markMasqBit: 32 }, "MasqMarkBit must be between 0 and 31"],
    [
      { conditionsV4: ["tcp sport 1; flush ruleset"] },
      "a condition can't hold a semicolon or the end of a line",
    ],
    [{ backend: "pf" }, 'unrecognized backend "pf": backend can be nftables or iptables'],
  ] as const) {
    const portmap = { type: "portmap", capabilities: { portMappings: true }, ...options };
    const plugins = (JSON.parse(list).plugins as object[]).with(1, portmap);
    const [outcome] = world.steps({ do: "add", list: world.list("net", { plugins }), attachment });
    expect([outcome!.error, outcome!.code]).toEqual([message, 7]);
  }
});

test("snat false: the client's address is kept even where the answer will not come back through us", () => {
  const place = world.container();
  const plugins = (JSON.parse(list).plugins as object[]).with(1, {
    type: "portmap",
    capabilities: { portMappings: true },
    snat: false,
  });
  const plain = world.list("net", { plugins });
  const attachment = world.attachment("plain", place.path, [
    { hostPort: 8080, containerPort: 80, protocol: "tcp" },
  ]);
  world.step({ do: "add", list: plain, attachment });
  expect(world.host.sh("nft", "list", "set", "inet", "portolan", "hairpin4")).not.toContain("elements");
  world.step({ do: "check", list: plain, attachment });
  world.step({ do: "del", list: plain, attachment });
});

test("mappings that make no sense are refused", () => {
  const place = world.container();
  for (const [mapping, message] of [
    [{ hostPort: 0, containerPort: 80, protocol: "tcp" }, "invalid port mapping 0:80"],
    [
      { hostPort: 65535, containerPort: 80, protocol: "tcp", range: 2 },
      "invalid port mapping 65535:80 of 2 ports",
    ],
    [{ hostPort: 80, containerPort: 80, protocol: "icmp" }, 'invalid protocol "icmp" of port 80'],
    [{ hostPort: 80, containerPort: 80, protocol: "tcp", hostIP: "1.2" }, 'invalid host address "1.2"'],
  ] as [PortMap, string][]) {
    const attachment = world.attachment("bad", place.path, [mapping]);
    const [outcome] = world.steps({ do: "add", list, attachment });
    expect(outcome!.error).toBe(message);
    world.step({ do: "del", list, attachment });
  }
});
