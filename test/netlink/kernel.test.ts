/** What we read and write by netlink is what ip(8) writes and reads. */
import { expect, test } from "bun:test";
import { addAddress, addresses, deleteAddress } from "../../src/netlink/address.ts";
import { setBridgePort } from "../../src/netlink/bridge-port.ts";
import { dropLink } from "../../src/netlink/drop-link.ts";
import { deleteLink, linkByName, links, setLink } from "../../src/netlink/link.ts";
import { deleteNeighbour, neighbours, setNeighbour } from "../../src/netlink/neighbour.ts";
import { addLink, knowsKind } from "../../src/netlink/new-link.ts";
import { addRoute, deleteRoute, routes, routeTo } from "../../src/netlink/route.ts";
import { addRule, deleteRule, rules } from "../../src/netlink/rule.ts";
import { NetlinkSocket } from "../../src/netlink/socket.ts";
import { closeFd } from "../../src/sys/fd.ts";
import { openCurrent } from "../../src/sys/netns.ts";
import { makeTap } from "../../src/sys/tun.ts";
import { TestNetns } from "../support/netns.ts";

type IpLink = {
  ifindex: number;
  ifname: string;
  mtu: number;
  address: string;
  operstate: string;
  master?: string;
  linkinfo?: { info_kind: string };
  txqlen?: number;
};
type IpAddr = {
  ifname: string;
  addr_info: { local: string; prefixlen: number; scope: string; broadcast?: string }[];
};
type IpRoute = { dst: string; gateway?: string; dev: string; metric?: number; prefsrc?: string };

test("a dropped link is gone with its other end, address and routes when that returns, helper or none", () => {
  using ns = new TestNetns();
  using other = new TestNetns("other");
  const { PATH } = process.env;
  for (const path of [PATH, "/nowhere"]) {
    ns.sh("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", other.path);
    ns.sh("ip", "address", "add", "10.1.2.3/24", "dev", "v0");
    ns.sh("ip", "link", "set", "v0", "up");
    other.sh("ip", "link", "set", "v1", "up");
    try {
      process.env.PATH = path;
      ns.run(() => {
        using nl = new NetlinkSocket();
        const { index } = linkByName(nl, "v0")!;
        dropLink(nl, index);
        dropLink(nl, index);
      });
    } finally {
      process.env.PATH = PATH;
    }
    expect(ns.sh("ip", "-o", "link")).not.toContain("v0");
    expect(other.sh("ip", "-o", "link")).not.toContain("v1");
    expect(ns.sh("ip", "route", "show", "table", "all")).not.toContain("10.1.2");
  }
});

test("links that ip makes are read as ip shows them", () => {
  using ns = new TestNetns();
  ns.sh("ip", "link", "add", "br0", "type", "bridge");
  ns.sh("ip", "link", "add", "v0", "mtu", "1400", "type", "veth", "peer", "name", "v1");
  ns.sh("ip", "link", "set", "v0", "master", "br0", "up");
  ns.sh("ip", "link", "set", "br0", "up");
  ns.run(() => {
    using nl = new NetlinkSocket();
    const ours = links(nl);
    const theirs = ns.json<IpLink[]>("ip", "-j", "-d", "link");
    expect(ours.map(link => link.name).sort()).toEqual(theirs.map(link => link.ifname).sort());
    for (const one of theirs) {
      const link = ours.find(other => other.name === one.ifname)!;
      expect([
        link.index,
        link.mtu,
        link.mac,
        link.operState.toUpperCase(),
        link.kind,
        link.txQueueLength,
      ]).toEqual([
        one.ifindex,
        one.mtu,
        one.address,
        one.operstate,
        one.linkinfo?.info_kind ?? "",
        one.txqlen ?? 0,
      ]);
      if (one.master) expect(link.master).toBe(ours.find(other => other.name === one.master)!.index);
    }
    expect(linkByName(nl, "v0")!.peerIndex).toBe(linkByName(nl, "v1")!.index);
    expect(linkByName(nl, "nothing")).toBeUndefined();
  });
});

test("links that we make are shown by ip: bridge, veth into another namespace, macvlan, vxlan, tap, bridge port", () => {
  using ns = new TestNetns("a");
  using other = new TestNetns("b");
  const there = other.run(openCurrent);
  try {
    ns.run(() => {
      using nl = new NetlinkSocket();
      addLink(nl, { kind: "bridge", name: "br0", mac: "02:11:22:33:44:55", up: true });
      const bridge = linkByName(nl, "br0")!;
      addLink(nl, {
        kind: "veth",
        name: "veth0",
        master: bridge.index,
        mtu: 1400,
        up: true,
        peer: { name: "eth0", netns: there, mac: "02:aa:bb:cc:dd:ee", mtu: 1400 },
      });
      setBridgePort(nl, linkByName(nl, "veth0")!.index, { hairpin: true, isolated: true });
      addLink(nl, { kind: "macvlan", name: "mv0", parent: bridge.index, macvlanMode: "bridge" });
      addLink(nl, {
        kind: "vxlan",
        name: "vx0",
        vxlan: { id: 42, local: "192.0.2.1", port: 8472, learning: false },
      });
      makeTap("tap0");
    });
  } finally {
    closeFd(there);
  }
  const shown = new Map(
    ns
      .json<
        (IpLink & {
          linkinfo: {
            info_kind: string;
            info_data?: Record<string, unknown>;
            info_slave_data?: Record<string, unknown>;
          };
        })[]
      >("ip", "-j", "-d", "link")
      .map(one => [one.ifname, one]),
  );
  expect(shown.get("br0")!.address).toBe("02:11:22:33:44:55");
  expect(shown.get("veth0")!.master).toBe("br0");
  expect(shown.get("veth0")!.linkinfo.info_slave_data).toMatchObject({ hairpin: true, isolated: true });
  expect(shown.get("mv0")!.linkinfo).toMatchObject({ info_kind: "macvlan", info_data: { mode: "bridge" } });
  expect(shown.get("vx0")!.linkinfo).toMatchObject({
    info_kind: "vxlan",
    info_data: { id: 42, local: "192.0.2.1", port: 8472 },
  });
  expect(shown.get("tap0")!.linkinfo).toMatchObject({
    info_kind: "tun",
    info_data: { type: "tap", persist: true },
  });
  expect(other.json<IpLink[]>("ip", "-j", "link", "show", "eth0")[0]).toMatchObject({
    address: "02:aa:bb:cc:dd:ee",
    mtu: 1400,
  });
  ns.run(() => {
    using nl = new NetlinkSocket();
    deleteLink(nl, linkByName(nl, "veth0")!.index);
  });
  expect(() => other.sh("ip", "link", "show", "eth0")).toThrow("does not exist");
});

test("addresses and routes, both ways", () => {
  using ns = new TestNetns();
  ns.sh("ip", "link", "add", "br0", "type", "bridge");
  ns.run(() => {
    using nl = new NetlinkSocket();
    const { index } = linkByName(nl, "br0")!;
    setLink(nl, index, { up: true });
    addAddress(nl, { index, address: "10.88.3.4/16" });
    addAddress(nl, { index, address: "fd00::5/64" });
    addRoute(nl, { dst: "0.0.0.0/0", gateway: "10.88.0.1", index, metric: 77 });
    addRoute(nl, { dst: "fd01::/48", gateway: "fd00::1", index });
    const shown = ns.json<IpAddr[]>("ip", "-j", "addr", "show", "br0")[0]!.addr_info;
    expect(shown.find(one => one.local === "10.88.3.4")).toMatchObject({
      prefixlen: 16,
      scope: "global",
      broadcast: "10.88.255.255",
    });
    for (const row of addresses(nl, { index })) {
      expect(shown.find(one => one.local === row.ip)).toMatchObject({
        prefixlen: row.prefix,
        scope: row.scope,
      });
    }
    const theirs = [
      ...ns.json<IpRoute[]>("ip", "-j", "route"),
      ...ns.json<IpRoute[]>("ip", "-6", "-j", "route"),
    ];
    const ours = routes(nl);
    expect(ours.length).toBe(theirs.length);
    expect(ours.find(one => one.dst === "0.0.0.0/0")).toMatchObject({
      gateway: "10.88.0.1",
      metric: 77,
      index,
    });
    expect(theirs.find(one => one.dst === "default")).toMatchObject({
      gateway: "10.88.0.1",
      metric: 77,
      dev: "br0",
    });
    expect(theirs.find(one => one.dst === "fd01::/48")).toMatchObject({ gateway: "fd00::1", dev: "br0" });
    expect(routeTo(nl, "8.8.8.8")!.gateway).toBe("10.88.0.1");
    deleteRoute(nl, { dst: "0.0.0.0/0", gateway: "10.88.0.1", index, metric: 77 });
    expect(routeTo(nl, "8.8.8.8")).toBeUndefined();
    deleteAddress(nl, index, "10.88.3.4/16");
    expect(addresses(nl, { index, family: 4 })).toEqual([]);
  });
});

test("neighbours, both ways", () => {
  using ns = new TestNetns();
  ns.sh("ip", "link", "add", "br0", "type", "bridge");
  ns.sh("ip", "link", "set", "br0", "up");
  ns.sh("ip", "neigh", "add", "10.1.0.9", "lladdr", "02:00:00:00:00:09", "dev", "br0", "nud", "noarp");
  ns.run(() => {
    using nl = new NetlinkSocket();
    const { index } = linkByName(nl, "br0")!;
    setNeighbour(nl, { index, ip: "10.1.0.2", mac: "02:00:00:00:00:01" });
    setNeighbour(nl, { index, ip: "10.1.0.2", mac: "02:00:00:00:00:02" });
    setNeighbour(nl, { index, ip: "fd00::2", mac: "02:00:00:00:00:03", state: "stale" });
    type IpNeighbour = { dst: string; lladdr: string; state: string[] };
    const shown = ns.json<IpNeighbour[]>("ip", "-j", "neigh", "show", "dev", "br0", "nud", "all");
    // The kernel makes entries of its own for multicast groups.
    const given = (one: { ip: string }) => ["10.1.0.2", "10.1.0.9", "fd00::2"].includes(one.ip);
    const theirs = shown
      .map(one => ({ ip: one.dst, mac: one.lladdr, state: one.state[0]!.toLowerCase() }))
      .filter(given);
    const ours = neighbours(nl, { index }).map(({ ip, mac, state }) => ({ ip, mac, state: String(state) }));
    const byIp = (a: { ip: string }, b: { ip: string }) => (a.ip < b.ip ? -1 : 1);
    expect(ours.filter(given).sort(byIp)).toEqual(theirs.sort(byIp));
    expect(theirs).toContainEqual({ ip: "10.1.0.2", mac: "02:00:00:00:00:02", state: "permanent" });
    expect(theirs.length).toBe(3);
    deleteNeighbour(nl, index, "10.1.0.2");
    expect(() => deleteNeighbour(nl, index, "10.1.0.2")).toThrow("delete neighbour 10.1.0.2: no such file");
    expect(() => setNeighbour(nl, { index, ip: "10.1.0.2", mac: "02:00" })).toThrow(
      "invalid hardware address",
    );
  });
});

test("rules, both ways", () => {
  using ns = new TestNetns();
  ns.sh("ip", "rule", "add", "priority", "50", "to", "10.9.0.0/16", "iif", "lo", "table", "7");
  ns.run(() => {
    using nl = new NetlinkSocket();
    expect(rules(nl).find(rule => rule.priority === 50)).toMatchObject({
      to: "10.9.0.0/16",
      iif: "lo",
      table: 7,
    });
    const six = { priority: 60, table: 1000, from: "fd00:1::/48" };
    const four = { priority: 70, table: 1001, mark: 0x2000, mask: 0x2000 };
    addRule(nl, six);
    addRule(nl, four);
    type IpRule = { priority: number; src: string; srclen?: number; table: string; fwmark?: string };
    const theirs = (...words: string[]) => ns.json<IpRule[]>("ip", ...words, "-j", "rule");
    expect(theirs("-6").find(rule => rule.priority === 60)).toMatchObject({
      src: "fd00:1::",
      srclen: 48,
      table: "1000",
    });
    expect(theirs().find(rule => rule.priority === 70)).toMatchObject({ fwmark: "0x2000", table: "1001" });
    expect(rules(nl).map(rule => rule.priority)).toEqual(theirs().map(rule => rule.priority));
    expect(() => addRule(nl, four)).toThrow("add rule 70: file exists");
    deleteRule(nl, six);
    deleteRule(nl, four);
    expect(theirs("-6").some(rule => rule.priority === 60)).toBe(false);
    expect(() => deleteRule(nl, four)).toThrow("no such file");
    expect(() => addRule(nl, { priority: 1, table: 1, from: "10.0.0.0" })).toThrow("invalid network");
  });
});

test("what we know nothing of is kept as it came", () => {
  using ns = new TestNetns();
  ns.sh("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1");
  ns.sh("ip", "addr", "add", "10.1.0.1/24", "dev", "v0");
  ns.sh("ip", "link", "set", "v0", "up");
  ns.run(() => {
    using nl = new NetlinkSocket();
    const { index } = linkByName(nl, "v0")!;
    const IFA_CACHEINFO = 6;
    expect(addresses(nl, { index })[0]!.unknown.find(one => one.type === IFA_CACHEINFO)!.value.length).toBe(
      16,
    );
  });
});

test("a dump that links come and go under is still whole", async () => {
  using ns = new TestNetns();
  for (let number = 0; number < 120; number++) ns.sh("ip", "link", "add", `keep${number}`, "type", "bridge");
  const churn = Bun.spawn([
    ...["nsenter", `--net=${ns.path}`, "sh", "-c"],
    "while :; do ip link add churn type bridge; ip link del churn; done",
  ]);
  try {
    for (let reading = 0; reading < 200; reading++) {
      const kept = ns.run(() => {
        using nl = new NetlinkSocket();
        return links(nl).filter(link => link.name.startsWith("keep")).length;
      });
      expect(kept).toBe(120);
    }
    expect(churn.exitCode).toBeNull();
  } finally {
    churn.kill();
    await churn.exited;
  }
});

test("the kernel's own words reach the person", () => {
  using ns = new TestNetns();
  ns.run(() => {
    using nl = new NetlinkSocket();
    addLink(nl, { kind: "bridge", name: "br0" });
    const { index } = linkByName(nl, "br0")!;
    expect(() => addLink(nl, { kind: "bridge", name: "br0" })).toThrow("add bridge br0: file exists");
    expect(() => setLink(nl, index, { mtu: 10 })).toThrow(/mtu less than device minimum|invalid argument/);
    expect(() => addRoute(nl, { dst: "10.9.0.0/16", gateway: "10.1.1.1", index })).toThrow(
      /Nexthop has invalid gateway|unreachable|down/,
    );
    expect(() => addAddress(nl, { index, address: "10.88.0.1" })).toThrow("invalid address");
    expect(() => addLink(nl, { kind: "bridge", name: "a-name-that-is-too-long" })).toThrow(
      "no name for a network interface",
    );
  });
});

test("two hundred links are all in one dump", () => {
  using ns = new TestNetns();
  ns.run(() => {
    using nl = new NetlinkSocket();
    for (let number = 0; number < 200; number++) addLink(nl, { kind: "bridge", name: `b${number}` });
    expect(links(nl).filter(link => link.kind === "bridge").length).toBe(200);
  });
});

test("whether the kernel has a kind of links is told without making one", () => {
  using ns = new TestNetns();
  for (const kind of ["bridge", "macvlan", "dummy", "nonsense"]) {
    let made = true;
    try {
      ns.sh("ip", "link", "add", "try0", "type", "veth", "peer", "name", "try1");
      ns.sh("ip", "link", "add", "link", "try0", "name", "x0", "type", kind);
    } catch (error) {
      made = !String(error).includes("Unknown device type");
    }
    ns.sh("ip", "link", "delete", "try0");
    const before = ns.sh("ip", "-o", "link");
    ns.run(() => {
      using nl = new NetlinkSocket();
      expect([kind, knowsKind(nl, kind)]).toEqual([kind, made]);
    });
    expect(ns.sh("ip", "-o", "link")).toBe(before);
    if (before.includes("x0")) ns.sh("ip", "link", "delete", "x0");
  }
});

test("a tap for others: its owner, group and queues", () => {
  using ns = new TestNetns();
  ns.run(() => makeTap("tap1", { owner: 1234, group: 5678, multiQueue: true }));
  const [shown] = ns.json<{ linkinfo: { info_data: object } }[]>("ip", "-j", "-d", "link", "show", "tap1");
  const expected = { type: "tap", persist: true, multi_queue: true, user: 1234, group: 5678 };
  expect(shown!.linkinfo.info_data).toMatchObject(expected);
  expect(() => ns.run(() => makeTap("lo"))).toThrow("TUNSETIFF");
});
