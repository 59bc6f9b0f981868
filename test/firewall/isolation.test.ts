/** Who reaches whom: outsiders by masquerading, neighbours, other bridges; with real packets between namespaces. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { World } from "../cni/world.ts";
import type { TestNetns } from "../support/netns.ts";
import { askTcp, serveTcp, serveUdp, stopSockets, udpClient } from "../support/sockets.ts";

let world: World;
let outside: TestNetns;
let number = 0;
beforeAll(() => {
  world = new World();
  outside = world.outside();
});
afterAll(() => world[Symbol.dispose]());
afterEach(() => {
  stopSockets();
  expect(world.elements()).toBe("");
});

function network(name: string, subnet: string, ingressPolicy?: string) {
  return world.list(name, {
    ipam: { ranges: [[{ subnet }]], routes: [{ dst: "0.0.0.0/0" }] },
    firewall: { ingressPolicy },
  });
}

function join(list: string) {
  const place = world.container();
  const attachment = world.attachment(`c${++number}`, place.path);
  const result = world.step({ do: "add", list, attachment })!;
  return {
    place,
    ip: result.ips[0]!.address.split("/")[0]!,
    [Symbol.dispose]: () => void world.step({ do: "del", list, attachment }),
  };
}

/** True when a datagram from `from` reaches `ip`; one from `witness`, sent later, shows that it has had its time. */
async function reaches(from: TestNetns, ip: string, target: TestNetns, witness: TestNetns): Promise<boolean> {
  const server = await serveUdp(target, "0.0.0.0", 7000, "x");
  (await udpClient(from, ip, 7000)).send("probe");
  (await udpClient(witness, ip, 7000)).send("witness");
  await server.until("witness");
  stopSockets();
  return server.received.includes("probe");
}

test("a container's connections leave with the host's address, and stay as they are within its network", async () => {
  const list = network("plain", "10.71.0.0/24");
  using one = join(list);
  using two = join(list);
  serveTcp(outside, "0.0.0.0", 90, "out");
  serveTcp(two.place, "0.0.0.0", 90, "two");
  expect(await askTcp(one.place, "192.0.2.2", 90)).toBe("out 192.0.2.1");
  expect(await askTcp(one.place, two.ip, 90)).toBe(`two ${one.ip}`);
});

test("same-bridge: neighbours and outsiders come in, another such bridge does not; open bridges are not asked", async () => {
  const listA = network("a", "10.72.0.0/24", "same-bridge");
  const listB = network("b", "10.73.0.0/24", "same-bridge");
  using a1 = join(listA);
  using a2 = join(listA);
  using b = join(listB);
  using open = join(network("o", "10.74.0.0/24"));
  expect(await reaches(b.place, a1.ip, a1.place, a2.place)).toBe(false);
  expect(await reaches(a1.place, b.ip, b.place, open.place)).toBe(false);
  expect(await reaches(open.place, a1.ip, a1.place, a2.place)).toBe(true);
  serveTcp(outside, "0.0.0.0", 90, "out");
  expect(await askTcp(a1.place, "192.0.2.2", 90)).toBe("out 192.0.2.1");
});

test("isolated: neighbours are kept out as well, the world is still there", async () => {
  const list = network("strict", "10.75.0.0/24", "isolated");
  using one = join(list);
  using two = join(list);
  expect(await reaches(one.place, two.ip, two.place, world.host)).toBe(false);
  serveTcp(outside, "0.0.0.0", 90, "out");
  expect(await askTcp(one.place, "192.0.2.2", 90)).toBe("out 192.0.2.1");
});

test("a bridge is isolated until its last container has gone, whichever that is", () => {
  const list = network("last", "10.76.0.0/24", "same-bridge");
  const isolated = () => world.elements().includes('elements = { "br-last" }');
  const first = join(list);
  const second = join(list);
  first[Symbol.dispose]();
  expect(isolated()).toBe(true);
  const third = join(list);
  second[Symbol.dispose]();
  expect(isolated()).toBe(true);
  third[Symbol.dispose]();
  expect(isolated()).toBe(false);
});

test("a policy that does not exist is refused by its name", () => {
  const place = world.container();
  const attachment = world.attachment("bad", place.path);
  const [outcome] = world.steps({ do: "add", list: network("bad", "10.79.0.0/24", "closed"), attachment });
  expect(outcome!.error).toBe('unknown ingressPolicy "closed": it can be open, same-bridge or isolated');
});

test("a host whose iptables drops by policy: containers get out and are reached at their ports, and nothing else passes", async () => {
  world.host.sh("iptables", "-P", "FORWARD", "DROP");
  const list = network("gate", "10.80.0.0/24");
  const place = world.container();
  const ports = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }];
  const attachment = world.attachment("gate", place.path, ports);
  world.step({ do: "add", list, attachment });
  const second = join(list);
  try {
    serveTcp(outside, "0.0.0.0", 90, "out");
    serveTcp(place, "0.0.0.0", 80, "in");
    expect(await askTcp(place, "192.0.2.2", 90)).toBe("out 192.0.2.1");
    expect(await askTcp(second.place, "192.0.2.2", 90)).toBe("out 192.0.2.1");
    expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("in 192.0.2.2");
    outside.sh("ip", "route", "add", "10.80.0.0/24", "via", "192.0.2.1");
    expect(await reaches(outside, "10.80.0.2", place, world.host)).toBe(false);
    const rules = world.host.sh("iptables", "-S", "FORWARD").trim().split("\n");
    expect(rules).toEqual([
      "-P FORWARD DROP",
      "-A FORWARD -m mark --mark 0x20000000/0x20000000 -m comment --comment portolan -j ACCEPT",
    ]);
  } finally {
    world.step({ do: "del", list, attachment });
    expect(world.host.sh("iptables", "-S", "FORWARD")).toContain("--comment portolan");
    second[Symbol.dispose]();
    expect(world.host.sh("iptables", "-S", "FORWARD").trim()).toBe("-P FORWARD DROP");
    world.host.sh("iptables", "-P", "FORWARD", "ACCEPT");
  }
});

test("a host whose iptables drops what comes to it: containers can ask it for names, and nothing else", async () => {
  world.host.sh("iptables", "-P", "INPUT", "DROP");
  const inputs = () => world.host.sh("iptables", "-S", "INPUT").trim().split("\n");
  try {
    using one = join(network("asks", "10.81.0.0/24"));
    expect(inputs()).toHaveLength(2);
    expect(world.host.sh("iptables", "-S", "FORWARD").trim()).toBe("-P FORWARD ACCEPT");
    const other = await serveUdp(world.host, "10.81.0.1", 7000, "other");
    await serveUdp(world.host, "10.81.0.1", 53, "names");
    (await udpClient(one.place, "10.81.0.1", 7000)).send("probe");
    const asked = await udpClient(one.place, "10.81.0.1", 53);
    expect(await asked.ask("who")).toBe("names 10.81.0.2 who");
    expect(other.received).toEqual([]);
  } finally {
    expect(inputs()).toEqual(["-P INPUT DROP"]);
    world.host.sh("iptables", "-P", "INPUT", "ACCEPT");
  }
});
