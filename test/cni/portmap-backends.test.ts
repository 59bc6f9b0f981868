/** Published ports as Go's plugins keep them, in nftables and in iptables, with real sockets. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { PortMap } from "../../src/cni/types.ts";
import type { TestNetns } from "../support/netns.ts";
import { askTcp, serveTcp, serveUdp, stopSockets, udpClient } from "../support/sockets.ts";
import { World } from "./world.ts";

let world: World;
let outside: TestNetns;
let number = 0;
beforeAll(() => {
  world = new World();
  outside = world.outside();
  // Where bridged packets are filtered, the kernel mends what rules for neighbours are there for.
  world.host.sh(
    "sh",
    "-c",
    "for one in /proc/sys/net/bridge/bridge-nf-call-ip*; do echo 0 >$one || true; done",
  );
});
afterAll(() => world[Symbol.dispose]());
afterEach(stopSockets);

/** Lines of everybody's rules that speak of a container or of a chain of one. */
function traces(): string[] {
  const all = ["nft list ruleset", "iptables-save", "ip6tables-save"].map(line =>
    world.host.sh("sh", "-c", `${line} 2>/dev/null`),
  );
  return all
    .join("\n")
    .split("\n")
    .filter(line => /10\.77\.0\.\d|fd77::|CNI-(DN-)?[0-9a-f]{8}/.test(line));
}

function listOf(portmap: object, ipMasqBackend = "nftables"): string {
  const plugins = [
    {
      type: "bridge",
      bridge: "br-net",
      isGateway: true,
      ipMasq: true,
      ipMasqBackend,
      ipam: {
        type: "host-local",
        dataDir: `${world.directory}/networks`,
        ranges: [[{ subnet: "10.77.0.0/24" }], [{ subnet: "fd77::/64" }]],
        routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
      },
    },
    { type: "portmap", capabilities: { portMappings: true }, ...portmap },
  ];
  return world.list("net", { plugins });
}

/** A container on a network of `list`; off it again at the end of the block. */
function join(list: string, ...ports: PortMap[]) {
  const place = world.container();
  const attachment = world.attachment(`c${++number}`, place.path, ports);
  const [four, six] = world.step({ do: "add", list, attachment })!.ips.map(one => one.address.split("/")[0]!);
  world.step({ do: "check", list, attachment });
  return {
    place,
    four: four!,
    six: six!,
    attachment,
    [Symbol.dispose]: () => void world.step({ do: "del", list, attachment }),
  };
}

const tcp = (hostPort: number, containerPort = 80, more: Partial<PortMap> = {}): PortMap => ({
  hostPort,
  containerPort,
  protocol: "tcp",
  ...more,
});

for (const backend of ["nftables", "iptables"])
  describe(backend, () => {
    afterEach(() => expect(traces()).toEqual([]));

    test("TCP, UDP, one address, ranges, from everywhere; masquerading; nothing is left", async () => {
      const list = listOf({ backend }, backend);
      using web = join(
        list,
        tcp(8080),
        tcp(8081, 81, { hostIP: "192.0.2.1" }),
        tcp(9000, 9000, { range: 20 }),
        tcp(7000, 7100, { range: 3 }),
        { hostPort: 5353, containerPort: 53, protocol: "UDP" },
      );
      using neighbour = join(list);
      for (const port of [80, 81, 9019, 7102]) serveTcp(web.place, "::", port, `port${port}`);
      serveTcp(outside, "0.0.0.0", 90, "out");
      await serveUdp(web.place, "0.0.0.0", 53, "dns");
      expect(await askTcp(world.host, "127.0.0.1", 8080)).toBe("port80 10.77.0.1");
      expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("port80 192.0.2.2");
      expect(await askTcp(outside, "fd00:2::1", 8080)).toBe("port80 fd00:2::2");
      expect(await askTcp(neighbour.place, "192.0.2.1", 8080)).toBe("port80 10.77.0.1");
      expect(await askTcp(neighbour.place, "fd00:2::1", 8080)).toBe("port80 fd77::1");
      expect(await askTcp(web.place, "192.0.2.1", 8080)).toBe("port80 10.77.0.1");
      expect(await askTcp(outside, "192.0.2.1", 8081)).toBe("port81 192.0.2.2");
      expect(await askTcp(world.host, "127.0.0.1", 8081)).toBe("refused");
      expect(await askTcp(outside, "192.0.2.1", 9019)).toBe("port9019 192.0.2.2");
      expect(await askTcp(outside, "192.0.2.1", 9020)).toBe("refused");
      expect(await askTcp(outside, "192.0.2.1", 7002)).toBe("port7102 192.0.2.2");
      expect(await (await udpClient(outside, "192.0.2.1", 5353)).ask("a")).toBe("dns 192.0.2.2 a");
      expect(await askTcp(neighbour.place, "192.0.2.2", 90)).toBe("out 192.0.2.1");
      expect(await askTcp(neighbour.place, web.four, 80)).toBe(`port80 ${neighbour.four}`);
    });

    test("a UDP client that never stops follows the port to a container and back", async () => {
      await serveUdp(world.host, "0.0.0.0", 6000, "host");
      const client = await udpClient(outside, "192.0.2.1", 6000);
      expect(await client.ask("1")).toBe("host 192.0.2.2 1");
      {
        using one = join(listOf({ backend }), { hostPort: 6000, containerPort: 60, protocol: "udp" });
        await serveUdp(one.place, "0.0.0.0", 60, "one");
        expect(await client.ask("2")).toBe("one 192.0.2.2 2");
      }
      expect(await client.ask("3")).toBe("host 192.0.2.2 3");
    });

    test("who comes last has the port, and the one before has it again", async () => {
      const list = listOf({ backend });
      using first = join(list, tcp(8080));
      serveTcp(first.place, "0.0.0.0", 80, "first");
      {
        using second = join(list, tcp(8080));
        serveTcp(second.place, "0.0.0.0", 80, "second");
        expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("second 192.0.2.2");
      }
      expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("first 192.0.2.2");
    });

    test("snat false keeps every client's address; masqAll keeps none", async () => {
      {
        using plain = join(listOf({ backend, snat: false }), tcp(8080));
        serveTcp(plain.place, "0.0.0.0", 80, "plain");
        expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("plain 192.0.2.2");
        const rules = world.host.sh("nft", "list", "ruleset");
        expect(
          rules.split("\n").filter(line => /masquerade|SETMARK/.test(line) && line.includes(plain.four)),
        ).toHaveLength(1); // that of ipMasq
      }
      using all = join(listOf({ backend, masqAll: true }), tcp(8080));
      serveTcp(all.place, "0.0.0.0", 80, "all");
      expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("all 10.77.0.1");
      expect(await askTcp(world.host, "127.0.0.1", 8080)).toBe("all 10.77.0.1");
    });

    test("conditions narrow their own network's ports, each family's its own", async () => {
      const conditions =
        backend === "nftables"
          ? { conditionsV4: ["ip", "saddr", "192.0.2.77"] }
          : { conditionsV4: ["-s", "192.0.2.77"] };
      using narrow = join(listOf({ backend, ...conditions }), tcp(8080));
      using open = join(listOf({ backend }), tcp(8081));
      for (const { place } of [narrow, open]) serveTcp(place, "::", 80, "web");
      expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("refused");
      expect(await askTcp(outside, "fd00:2::1", 8080)).toBe("web fd00:2::2");
      expect(await askTcp(outside, "192.0.2.1", 8081)).toBe("web 192.0.2.2");
      outside.sh("ip", "address", "add", "192.0.2.77/24", "dev", "eth0");
      outside.sh("ip", "route", "add", "192.0.2.1", "dev", "eth0", "src", "192.0.2.77");
      expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("web 192.0.2.77");
      outside.sh("ip", "route", "del", "192.0.2.1");
      outside.sh("ip", "address", "del", "192.0.2.77/24", "dev", "eth0");
    });

    test("CHECK misses a port that somebody took away; DEL without result or namespace takes everything", () => {
      const list = listOf({ backend }, backend);
      const place = world.container();
      const attachment = world.attachment(`c${++number}`, place.path, [tcp(8080)]);
      world.step({ do: "add", list, attachment });
      if (backend === "nftables") world.host.sh("nft", "flush", "chain", "ip", "cni_hostport", "hostports");
      else world.host.sh("iptables", "-t", "nat", "-F", "CNI-HOSTPORT-DNAT");
      const [outcome] = world.steps({ do: "check", list, attachment });
      expect(outcome!.error).toBe(`port 8080 of container c${number} is not published any more`);
      place[Symbol.dispose]();
      world.forget(attachment);
      world.step({ do: "del", list, attachment: { ...attachment, netns: "" } });
    });

    test("GC gives up rules of attachments that nobody knows, and keeps those of who lives", () => {
      const list = listOf({ backend }, backend);
      using alive = join(list, tcp(8080));
      const place = world.container();
      const attachment = world.attachment("d".repeat(64), place.path, [tcp(8081)]);
      world.step({ do: "add", list, attachment });
      const dead = () => traces().filter(line => /:81|8081|dddd/.test(line));
      expect(dead()).not.toEqual([]);
      world.forget(attachment);
      const { containerId, ifName } = alive.attachment;
      world.step({ do: "gc", list, valid: [{ containerId, ifName }] });
      expect(dead()).toEqual([]);
      world.step({ do: "check", list, attachment: alive.attachment });
    });
  });

test("GC in our own table: what is left of a container that nobody knows, whose namespace is gone", () => {
  const list = listOf({ backend: "portolan" }, "portolan");
  using alive = join(list, tcp(8080));
  const place = world.container();
  const attachment = world.attachment("dead", place.path, [tcp(8081)]);
  world.step({ do: "add", list, attachment });
  place[Symbol.dispose]();
  world.forget(attachment);
  expect(world.elements()).toContain("dead:eth0");
  const { containerId, ifName } = alive.attachment;
  world.step({ do: "gc", list, valid: [{ containerId, ifName }] });
  expect(world.elements()).not.toContain("dead:eth0");
  world.step({ do: "check", list, attachment: alive.attachment });
});

test("a container on two networks keeps the ports of the one when it leaves the other", async () => {
  const list = listOf({ backend: "nftables" });
  using web = join(list, tcp(8080));
  const second = list
    .replaceAll("10.77.0", "10.78.0")
    .replaceAll("fd77::", "fd78::")
    .replaceAll("br-net", "br-two")
    .replace('"net"', '"two"');
  const attachment = { ...web.attachment, ifName: "eth1" };
  world.step({ do: "add", list: second, attachment });
  serveTcp(web.place, "0.0.0.0", 80, "web");
  world.step({ do: "del", list: second, attachment });
  expect(await askTcp(outside, "192.0.2.1", 8080)).toBe("web 192.0.2.2");
});

test("nftables: ::1 is refused at once, and a container can't reach the host's loopback addresses", async () => {
  using web = join(listOf({ backend: "nftables" }), tcp(8080));
  serveTcp(web.place, "::", 80, "web");
  expect(await askTcp(world.host, "::1", 8080)).toBe("refused");
  const secret = await serveUdp(world.host, "127.0.0.1", 7777, "secret");
  const open = await serveUdp(world.host, "10.77.0.1", 7778, "open");
  web.place.sh("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet");
  web.place.sh("ip", "route", "del", "table", "local", "127.0.0.1", "dev", "lo");
  web.place.sh("ip", "route", "del", "table", "local", "127.0.0.0/8", "dev", "lo");
  web.place.sh("ip", "route", "add", "127.0.0.1", "via", "10.77.0.1", "src", web.four);
  (await udpClient(web.place, "127.0.0.1", 7777)).send("knock");
  (await udpClient(web.place, "10.77.0.1", 7778)).send("hello");
  await open.until("hello");
  expect(secret.received).toEqual([]);
});

test("iptables: another bit of the mark, or somebody else's chain that sets his", async () => {
  {
    using web = join(listOf({ backend: "iptables", markMasqBit: 5 }), tcp(8080));
    serveTcp(web.place, "0.0.0.0", 80, "web");
    expect(world.host.sh("iptables-save")).toContain("-j MARK --set-xmark 0x20/0x20");
    expect(await askTcp(world.host, "127.0.0.1", 8080)).toBe("web 10.77.0.1");
  }
  world.host.sh("iptables", "-t", "nat", "-N", "THEIR-MARK");
  world.host.sh("ip6tables", "-t", "nat", "-N", "THEIR-MARK");
  using web = join(listOf({ externalSetMarkChain: "THEIR-MARK" }), tcp(8080));
  expect(world.host.sh("iptables-save").match(/-j THEIR-MARK/g)).toHaveLength(2);
  expect(world.host.sh("ip6tables-save").match(/-j THEIR-MARK/g)).toHaveLength(1);
  expect(web.six).toStartWith("fd77::");
});

test("a configuration's language decides where it names no backend", () => {
  for (const [options, where] of [
    [{ conditionsV4: ["-s", "192.0.2.0/24"] }, "CNI-DN-"],
    [{ conditionsV4: ["ip saddr 192.0.2.0/24"] }, "cni_hostport"],
    [{ masqAll: true }, "cni_hostport"],
    [{}, "inet portolan"],
  ] as const) {
    world.host.sh("nft", "flush", "ruleset");
    using web = join(listOf(options), tcp(8080));
    const tables = world.host.sh("nft", "list", "ruleset");
    const found = ["CNI-DN-", "cni_hostport", "inet portolan"].filter(name => tables.includes(name));
    expect([web.four.slice(0, 8), found]).toEqual(["10.77.0.", [where]]);
  }
});
