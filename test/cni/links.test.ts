/** The plugins that give a container one interface, called by name as any runtime calls them, alone. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { knowsKind } from "../../src/netlink/new-link.ts";
import { NetlinkSocket } from "../../src/netlink/socket.ts";
import type { TestNetns } from "../support/netns.ts";
import { type Called, callPlugin, PORTOLAN } from "./door.ts";
import { World } from "./world.ts";

const GO = "/usr/lib/cni";
const OURS = mkdtempSync(join(tmpdir(), "portolan-links-"));
beforeAll(() => {
  expect(Bun.spawnSync([PORTOLAN, "cni", "install", "--symlink", OURS]).exitCode).toBe(0);
});
afterAll(() => rmSync(OURS, { recursive: true }));

let world: World;
let place: TestNetns;
beforeEach(() => {
  world = new World();
  place = world.container();
});
afterEach(() => world[Symbol.dispose]());

const ipam = (more: object = {}) => ({
  type: "host-local",
  dataDir: join(world.directory, "networks"),
  ranges: [[{ subnet: "10.77.0.0/24" }], [{ subnet: "fd00:77::/64" }]],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
  ...more,
});

type Conf = { type: string } & Record<string, unknown>;
/** One call of the plugin that `conf` is for; `path` has it. */
function call(
  verb: string,
  conf: Conf,
  options: { path?: string; netns?: string; args?: string; ifName?: string } = {},
): Called {
  const path = options.path ?? OURS;
  return callPlugin(world.host, path, {
    file: join(path, conf.type),
    verb,
    conf: { cniVersion: "1.0.0", name: "net", ...conf },
    netns: options.netns ?? place.path,
    ifName: options.ifName,
    env: options.args ? { CNI_ARGS: options.args } : {},
  });
}

/** A call that must go well. */
function done(verb: string, conf: Conf, options: Parameters<typeof call>[2] = {}): Record<string, unknown> {
  const { exitCode, stdout, stderr, json } = call(verb, conf, options);
  expect([exitCode, stderr, verb === "ADD" ? "" : stdout]).toEqual([0, "", ""]);
  return json ?? {};
}

/** What a failed call says, in one text. */
function said(verb: string, conf: Conf, options: Parameters<typeof call>[2] = {}): string {
  const { exitCode, json } = call(verb, conf, options);
  expect(exitCode).toBe(1);
  const { code, msg, details } = json as { code: number; msg: string; details?: string };
  return [code, msg, ...(details ? [details] : [])].join(": ");
}

const reserved = () => world.files("networks/net").filter(name => /^\d|^fd/.test(name));
const linksOf = (one: TestNetns) =>
  one.json<{ ifname: string }[]>("ip", "-j", "link").map(({ ifname }) => ifname);

interface Shown {
  dst: string;
  gateway?: string;
  scope?: string;
  prefsrc?: string;
}
/** Addresses and routes of one interface, as ip(8) shows them. */
function shown(one: TestNetns, name: string) {
  const [{ addr_info }] = one.json<[{ addr_info: { local: string; prefixlen: number; scope: string }[] }]>(
    ...["ip", "-j", "addr", "show", "dev", name],
  );
  const routes = ["-4", "-6"].flatMap(family =>
    one.json<Shown[]>("ip", family, "-j", "route", "show", "dev", name),
  );
  return {
    addresses: addr_info
      .filter(({ local }) => !local.startsWith("fe80"))
      .map(({ local, prefixlen, scope }) => [local, prefixlen, scope]),
    routes: routes
      .filter(({ dst }) => !dst.startsWith("fe80"))
      .map(({ dst, gateway, scope, prefsrc }) => [dst, gateway, scope, prefsrc].join(" "))
      .sort(),
  };
}

test("ptp is laid out as Go's, on both sides, and each takes away what the other made", () => {
  const conf = { type: "ptp", mtu: 1400, ipam: ipam() };
  const seen = [OURS, GO].map((path, index, paths) => {
    const result = done("ADD", conf, { path }) as {
      interfaces: { name: string; mac: string; sandbox?: string }[];
    };
    const host = result.interfaces[0]!.name;
    const [link] = place.json<{ mtu: number }[]>("ip", "-j", "link", "show", "eth0");
    const facts = {
      inside: shown(place, "eth0"),
      outside: shown(world.host, host),
      mtu: link!.mtu,
      result: { ...result, interfaces: result.interfaces.map(one => [one.name.slice(0, 4), one.sandbox]) },
      forwarding: world.host.sh("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"),
    };
    done("DEL", { ...conf, prevResult: result }, { path: paths[1 - index] });
    expect(linksOf(place)).toEqual(["lo"]);
    expect(linksOf(world.host)).toEqual(["lo"]);
    expect(reserved()).toEqual([]);
    rmSync(join(world.directory, "networks"), { recursive: true });
    return facts;
  });
  expect(seen[0]!.mtu).toBe(1400);
  expect(seen[0]!.inside.routes).toContain("10.77.0.0/24 10.77.0.1  10.77.0.2");
  expect(seen[0]).toEqual(seen[1]!);
});

test("over ptp a container reaches its neighbours by the host, and with ipMasq what is outside", () => {
  const outside = world.outside();
  const neighbour = world.container();
  const conf = { type: "ptp", ipMasq: true, ipam: ipam() };
  const prevResult = done("ADD", conf);
  const second = callPlugin(world.host, OURS, {
    file: join(OURS, "ptp"),
    verb: "ADD",
    conf: { cniVersion: "1.0.0", name: "net", ...conf },
    netns: neighbour.path,
    containerId: "c2",
  });
  expect([second.exitCode, second.stderr]).toEqual([0, ""]);
  // Nobody outside has a route to the containers.
  for (const target of ["10.77.0.3", "fd00:77::3", "192.0.2.2", "fd00:2::2"])
    expect(place.sh("ping", "-c", "1", "-w", "9", target)).toMatch(/[1-9] received/);
  expect(outside.sh("ip", "route")).not.toContain("10.77");
  done("CHECK", { ...conf, prevResult });
  // containerd has no namespace to name any more.
  done("DEL", { ...conf, prevResult }, { netns: "" });
  expect(linksOf(place)).toEqual(["lo"]);
  expect(reserved()).toEqual(["10.77.0.3", "fd00:77::3"]);
  expect(world.host.sh("nft", "list", "ruleset")).not.toContain("10.77.0.2");
});

test("ptp: nobody remembers a result, or the whole attachment: DEL and GC find the pair by its alias", () => {
  const conf = { type: "ptp", cniVersion: "1.1.0", ipMasq: true, ipam: ipam() };
  done("ADD", conf);
  expect(world.host.sh("nft", "list", "ruleset")).toContain("10.77.0.2");
  done("DEL", { ...conf, name: "other" }, { netns: "" });
  expect(linksOf(place)).toEqual(["lo", "eth0"]);
  done("GC", { ...conf, "cni.dev/valid-attachments": [{ containerID: "c1", ifname: "eth0" }] });
  expect([linksOf(place), reserved()]).toEqual([
    ["lo", "eth0"],
    ["10.77.0.2", "fd00:77::2"],
  ]);
  done("DEL", conf, { netns: "" });
  expect([linksOf(place), reserved()]).toEqual([["lo"], []]);
  done("ADD", conf);
  done("GC", { ...conf, "cni.dev/valid-attachments": [{ containerID: "c1", ifname: "eth1" }] });
  expect([linksOf(place), linksOf(world.host), reserved()]).toEqual([["lo"], ["lo"], []]);
  expect(world.host.sh("nft", "list", "ruleset")).not.toMatch(/10\.77\.0\.[23]/);
});

test("ptp: a second interface on the same network stands by until the first one goes", () => {
  const conf = { type: "ptp", ipam: ipam() };
  const first = done("ADD", conf);
  const second = done("ADD", conf, { ifName: "eth1" });
  for (const [prevResult, ifName] of [
    [first, "eth0"],
    [second, "eth1"],
  ] as const)
    done("CHECK", { ...conf, prevResult }, { ifName });
  done("DEL", { ...conf, prevResult: first });
  for (const target of ["10.77.0.1", "fd00:77::1"])
    expect(place.sh("ping", "-c", "1", "-W", "5", target)).toContain("1 received");
  expect(place.sh("ip", "route", "get", "8.8.8.8")).toContain("via 10.77.0.1 dev eth1");
  done("DEL", { ...conf, prevResult: second }, { ifName: "eth1" });
  expect([linksOf(place), linksOf(world.host), reserved()]).toEqual([["lo"], ["lo"], []]);
});

test("ptp: an address that fills its subnet, and one without a gateway", () => {
  const one = (address: string, gateway?: string) => ({
    type: "ptp",
    ipam: { type: "static", addresses: [{ address, gateway }], routes: [{ dst: "0.0.0.0/0" }] },
  });
  const prevResult = done("ADD", one("10.9.9.9/32", "169.254.1.1"));
  expect(shown(place, "eth0").routes).toEqual(["169.254.1.1  link 10.9.9.9", "default 169.254.1.1  "]);
  expect(place.sh("ping", "-c", "1", "-W", "5", "169.254.1.1")).toContain("1 received");
  done("CHECK", { ...one("10.9.9.9/32", "169.254.1.1"), prevResult });
  done("DEL", one("10.9.9.9/32", "169.254.1.1"));
  expect(said("ADD", one("10.9.9.9/24"))).toBe(
    "999: IPAM gave no gateway for 10.9.9.9/24, and a ptp link needs one",
  );
  expect(said("ADD", { type: "ptp" })).toBe("7: ptp requires an IPAM configuration");
  expect([linksOf(place), linksOf(world.host)]).toEqual([["lo"], ["lo"]]);
});

/** A veth as a physical device of the host; its other end has the alias that somebody gave it. */
function device(name = "dev0"): string {
  world.host.sh("ip", "link", "add", name, "type", "veth", "peer", "name", "far0");
  world.host.sh("ip", "link", "set", name, "address", "02:00:00:00:00:07", "up");
  return name;
}
const hostLinks = () =>
  world.host
    .json<{ ifname: string; flags: string[]; ifalias?: string }[]>("ip", "-j", "link")
    .map(({ ifname, flags, ifalias }) => [ifname, flags.includes("UP"), ifalias])
    .sort();

test("host-device: there and back as Go's, and each gives back what the other took", () => {
  device();
  const before = linksOf(world.host).sort();
  // Go's waits ten seconds for addresses of IPv6 on a device whose other end is down.
  const four = ipam({ ranges: [[{ subnet: "10.77.0.0/24" }]], routes: [{ dst: "0.0.0.0/0" }] });
  const conf = { type: "host-device", hwaddr: "02:00:00:00:00:07", ipam: four };
  const seen = [OURS, GO].map((path, index, paths) => {
    const result = done("ADD", conf, { path });
    const [link] = place.json<{ ifalias: string; operstate: string; flags: string[] }[]>(
      ...["ip", "-j", "link", "show", "eth0"],
    );
    const facts = {
      result,
      inside: shown(place, "eth0"),
      alias: link!.ifalias,
      isUp: link!.flags.includes("UP"),
    };
    done("CHECK", { ...conf, prevResult: result }, { path });
    done("DEL", { ...conf, prevResult: result }, { path: paths[1 - index] });
    expect(linksOf(place)).toEqual(["lo"]);
    expect(linksOf(world.host).sort()).toEqual(before);
    expect(reserved()).toEqual([]);
    rmSync(join(world.directory, "networks"), { recursive: true });
    return facts;
  });
  expect(seen[0]!.alias).toBe("dev0");
  expect(seen[0]).toEqual(seen[1]!);
  // Ours leaves no alias, which said something while the device was away.
  done("ADD", conf);
  done("DEL", conf);
  expect(hostLinks()[0]).toEqual(["dev0", false, undefined]);
});

test("host-device: names that are taken on either side, and a container that has the device's own name", () => {
  device();
  place.sh("ip", "link", "add", "dev0", "type", "bridge");
  const conf = { type: "host-device", device: "dev0" };
  const prevResult = done("ADD", conf);
  expect(linksOf(place).sort()).toEqual(["dev0", "eth0", "lo"]);
  expect(prevResult).toMatchObject({ interfaces: [{ name: "eth0", mac: "02:00:00:00:00:07" }] });
  // On the host somebody takes the name that the device is to have again.
  world.host.sh("ip", "link", "add", "dev0", "type", "bridge");
  expect(said("DEL", { ...conf, prevResult })).toBe(
    `999: can't give the device back: failed to move "eth0" to host netns: "dev0" already exists`,
  );
  world.host.sh("ip", "link", "delete", "dev0");
  done("DEL", { ...conf, prevResult });
  expect(hostLinks().map(([name]) => name)).toEqual(["dev0", "far0", "lo"]);
  // The other way round: the container's name is taken, and the device stays as it was.
  world.host.sh("ip", "link", "set", "dev0", "up", "alias", "to the roof");
  place.sh("ip", "link", "add", "eth0", "type", "bridge");
  expect(said("ADD", conf)).toBe(`999: failed to move link dev0: "eth0" already exists`);
  expect(hostLinks()[0]).toEqual(["dev0", true, "to the roof"]);
  // An interface that no host-device brought is not taken out.
  done("DEL", conf);
  expect(linksOf(place)).toContain("eth0");
});

test("host-device gives the address back without a namespace, and the device its name after it came back itself", () => {
  device();
  const conf = { type: "host-device", device: "dev0", ipam: ipam() };
  const prevResult = done("ADD", conf);
  expect(reserved()).toEqual(["10.77.0.2", "fd00:77::2"]);
  // What the kernel does with a physical device when its namespace ends.
  place.sh("ip", "link", "set", "eth0", "netns", basename(world.host.path));
  world.host.sh("ip", "link", "add", "other0", "type", "bridge");
  world.host.sh("ip", "link", "set", "other0", "alias", "dev0");
  done("DEL", { ...conf, prevResult }, { netns: "" });
  expect(reserved()).toEqual([]);
  expect(hostLinks().map(([name]) => name)).toEqual(["dev0", "far0", "lo", "other0"]);
  done("DEL", { ...conf, prevResult }, { netns: "/run/netns/portolan-gone" });
});

test("host-device: what can't be found is said", () => {
  const says = (conf: object) => said("ADD", { type: "host-device", ...conf });
  expect(says({})).toBe('7: specify either "device", "hwaddr", "kernelpath" or "pciBusID"');
  expect(says({ device: "nope" })).toBe("999: failed to find host device: there is no interface nope");
  expect(says({ hwaddr: "02:00:00:00:00:99" })).toBe(
    "999: failed to find host device: no interface has the hardware address 02:00:00:00:00:99",
  );
  expect(says({ hwaddr: "x" })).toBe('999: failed to find host device: invalid MAC address "x"');
  expect(says({ kernelpath: "/etc" })).toContain("must be absolute and begin with /sys/devices/");
  expect(says({ pciBusID: "0000:ff:1f.7" })).toBe(
    "999: failed to find host device: no interface of the host belongs to 0000:ff:1f.7",
  );
  expect(says({ runtimeConfig: { deviceID: "mlx5_core.sf.9" } })).toContain("belongs to mlx5_core.sf.9");
});

test("tap: owner, queues, address, bridge and hardware address, as configured", () => {
  place.sh("ip", "link", "add", "br0", "type", "bridge");
  const conf = {
    type: "tap",
    multiQueue: true,
    owner: 1234,
    group: 5678,
    mtu: 1300,
    mac: "02:00:00:00:00:01",
    bridge: "br0",
    ipam: ipam({ ranges: [[{ subnet: "10.77.0.0/24" }]], routes: [{ dst: "10.0.0.0/8" }] }),
  };
  const args = "IgnoreUnknown=1;MAC=02:00:00:00:00:02";
  const prevResult = done("ADD", conf, { args });
  expect(prevResult).toEqual({
    cniVersion: "1.0.0",
    dns: {},
    interfaces: [{ name: "eth0", mac: "02:00:00:00:00:02", sandbox: place.path }],
    ips: [{ address: "10.77.0.2/24", gateway: "10.77.0.1", interface: 0 }],
    routes: [{ dst: "10.0.0.0/8" }],
  });
  const [link] = place.json<object[]>("ip", "-j", "-d", "link", "show", "eth0");
  expect(link).toMatchObject({
    mtu: 1300,
    master: "br0",
    linkinfo: {
      info_kind: "tun",
      info_data: { type: "tap", multi_queue: true, persist: true, user: 1234, group: 5678 },
    },
  });
  done("CHECK", { ...conf, prevResult }, { args });
  place.sh("ip", "route", "delete", "10.0.0.0/8");
  expect(said("CHECK", { ...conf, prevResult })).toBe(
    "999: Expected Route 10.0.0.0/8 not found in routing table",
  );
  place.sh("ip", "address", "flush", "dev", "eth0");
  expect(said("CHECK", { ...conf, prevResult })).toBe(
    "999: Failed to match addr 10.77.0.2/24 on interface eth0",
  );
  done("DEL", { ...conf, prevResult });
  expect(linksOf(place)).toEqual(["lo", "br0"]);
  expect(said("ADD", { ...conf, bridge: "br7" })).toBe(
    "999: failed to get bridge br7: the container has no bridge of that name",
  );
  expect(said("ADD", { ...conf, selinuxContext: "system_u:system_r:container_t:s0" })).toStartWith("2: ");
  expect([linksOf(place), reserved()]).toEqual([["lo", "br0"], []]);
});

test("a tap without IPAM is up and without addresses", () => {
  const prevResult = done("ADD", { type: "tap" });
  expect(prevResult.ips).toBeUndefined();
  expect(place.json<{ flags: string[] }[]>("ip", "-j", "link", "show", "eth0")[0]!.flags).toContain("UP");
  done("CHECK", { type: "tap", prevResult });
  done("DEL", { type: "tap" });
  expect(linksOf(place)).toEqual(["lo"]);
});

test("macvlan whose parent is the container's, with its broadcast queue; and beside an interface of the host's that has its name", () => {
  world.outside();
  world.host.sh("ip", "link", "add", "eth0", "type", "bridge");
  const conf = { type: "macvlan", master: "wan0", bcqueuelen: 77, mac: "02:00:00:00:00:05", ipam: ipam() };
  const prevResult = done("ADD", conf);
  const [link] = place.json<object[]>("ip", "-j", "-d", "link", "show", "eth0");
  expect(link).toMatchObject({
    address: "02:00:00:00:00:05",
    linkinfo: { info_kind: "macvlan", info_data: { mode: "bridge", bcqueuelen: 77 } },
  });
  done("CHECK", { ...conf, prevResult });
  expect(said("CHECK", { ...conf, mode: "vepa", prevResult })).toBe(
    "999: container macvlan mode bridge does not match expected value: vepa".replace(
      "container",
      "Container",
    ),
  );
  place.sh("ip", "link", "set", "eth0", "address", "02:00:00:00:00:06");
  expect(said("CHECK", { ...conf, prevResult })).toBe(
    "999: Interface eth0 Mac 02:00:00:00:00:05 doesn't match container Mac: 02:00:00:00:00:06",
  );
  done("DEL", { ...conf, prevResult });
  expect([linksOf(place), reserved()]).toEqual([["lo"], []]);

  place.sh("ip", "link", "add", "wan9", "type", "veth", "peer", "name", "wan8");
  const inner = { type: "macvlan", master: "wan9", linkInContainer: true };
  done("CHECK", { ...inner, prevResult: done("ADD", inner) });
  expect(place.sh("ip", "-o", "link", "show", "eth0")).toContain("eth0@wan9");
  done("DEL", inner);
  expect(said("ADD", { ...inner, master: "wan0" })).toBe(
    "7: the parent interface wan0 of the macvlan is not there in the container",
  );
  expect(said("ADD", { ...conf, mac: "x" })).toBe(
    "7: invalid args x for MAC addr: address x: invalid MAC address",
  );
});

test("routes have what the result says of them: MTU, segment size, metric, table and scope", () => {
  world.outside();
  const routes = [
    { dst: "0.0.0.0/0", mtu: 1300, advmss: 1200, priority: 7 },
    { dst: "10.50.0.0/16", scope: 253 },
    { dst: "10.60.0.0/16", table: 100 },
  ];
  const conf = { type: "macvlan", master: "wan0", ipam: ipam({ routes }) };
  const prevResult = done("ADD", conf);
  expect(prevResult.routes).toEqual(routes);
  const table = place.sh("ip", "route", "show", "table", "all");
  for (const line of [
    "default via 10.77.0.1 dev eth0 metric 7 mtu 1300 advmss 1200",
    "10.50.0.0/16 dev eth0 scope link",
    "10.60.0.0/16 via 10.77.0.1 dev eth0 table 100",
  ])
    expect(table).toContain(line);
  done("CHECK", { ...conf, prevResult });
});

/** Each plugin that can be made here, in a way that its last steps fail: the container already has the route's link. */
test.each([
  { type: "ptp" },
  { type: "macvlan", master: "wan0" },
  { type: "tap" },
  { type: "host-device", device: "dev0" },
])("a failure half-way leaves no link and no address: %p", conf => {
  world.outside();
  device();
  const before = hostLinks();
  // A route by a gateway that is nowhere is what the kernel refuses last of all.
  const bad = { ...conf, ipam: ipam({ routes: [{ dst: "10.5.0.0/16", gw: "192.168.200.1" }] }) };
  expect(said("ADD", bad)).toContain("add route 10.5.0.0/16");
  expect([linksOf(place), hostLinks(), reserved()]).toEqual([["lo"], before, []]);
  // And when there is no address to be had.
  const full = { ...conf, ipam: ipam({ ranges: [[{ subnet: "10.77.0.0/30", rangeEnd: "10.77.0.1" }]] }) };
  expect(said("ADD", full)).toContain("no IP addresses available");
  expect([linksOf(place), hostLinks(), reserved()]).toEqual([["lo"], before, []]);
  // A name that the container has already.
  place.sh("ip", "link", "add", "eth0", "type", "bridge");
  expect(said("ADD", { ...conf, ipam: ipam() })).toMatch(/already exists|file exists/);
  expect([linksOf(place), hostLinks(), reserved()]).toEqual([["lo", "eth0"], before, []]);
});

test.each([
  { conf: { type: "dummy" }, module: "dummy" },
  { conf: { type: "ipvlan", master: "wan0" }, module: "ipvlan" },
  { conf: { type: "vlan", master: "wan0", vlanId: 5 }, module: "8021q" },
])(
  "a kind of links that the kernel has not is said by its module, and nothing is left: %p",
  ({ conf, module }) => {
    world.outside();
    const whole = { ...conf, ipam: ipam() };
    const isKnown = world.host.run(() => {
      using nl = new NetlinkSocket();
      return knowsKind(nl, conf.type);
    });
    if (isKnown) {
      const prevResult = done("ADD", whole);
      done("CHECK", { ...whole, prevResult });
      done("DEL", { ...whole, prevResult });
      done("STATUS", { ...whole, cniVersion: "1.1.0" });
    } else {
      const says = `failed to create ${conf.type}: operation not supported: this kernel has no module ${module}`;
      expect(said("ADD", whole)).toBe(`999: ${says}`);
      expect(said("STATUS", { ...whole, cniVersion: "1.1.0" })).toBe(`50: ${says}`);
      done("DEL", whole);
    }
    expect([linksOf(place), reserved()]).toEqual([["lo"], []]);
  },
);

test("what a configuration has wrong is said before anything is made", () => {
  world.outside();
  for (const [conf, says] of [
    [
      { type: "vlan" },
      '7: "master" field is required. It specifies the host interface name to create the VLAN for',
    ],
    [
      { type: "vlan", master: "wan0", vlanId: 4095 },
      "7: invalid VLAN ID 4095 (must be between 0 and 4094 inclusive)",
    ],
    [{ type: "vlan", master: "nope" }, "7: the parent interface nope of the vlan is not there"],
    [{ type: "ipvlan", master: "wan0", mode: "l4" }, '7: unknown ipvlan mode: "l4"'],
    [
      { type: "ipvlan", master: "wan0", mtu: 9000, ipam: ipam() },
      "7: invalid MTU 9000, must be [0, master MTU(1500)]",
    ],
    [
      { type: "ipvlan", master: "wan0" },
      "7: ipvlan has no addresses: neither an IPAM is configured nor did a plugin before give any",
    ],
    [{ type: "ptp", mtu: -5, ipam: ipam() }, "7: invalid MTU -5, must be 0 (the kernel's) or more"],
    [{ type: "dummy" }, "7: dummy interface requires an IPAM configuration"],
    [{ type: "tap", owner: -1 }, "6: failed to load netconf: owner must be natural, not -1"],
    [{ type: "tap", mtu: "big" }, '6: failed to load netconf: mtu must be integer, not "big"'],
  ] as [Conf, string][])
    expect(said("ADD", conf)).toBe(says);
  const twoBefore = { cniVersion: "1.0.0", interfaces: [{ name: "a" }, { name: "b" }] };
  expect(said("ADD", { type: "ipvlan", prevResult: twoBefore })).toBe(
    "7: chained master failure. PrevResult lacks a single named interface",
  );
  expect([linksOf(place), reserved()]).toEqual([["lo"], []]);
});

test("STATUS tells the truth: parents, devices and address plugins that are not there", () => {
  world.outside();
  const status = (conf: Conf) => call("STATUS", { cniVersion: "1.1.0", ...conf }).json;
  const isFine = { type: "macvlan", master: "wan0", ipam: ipam() };
  for (const fine of [
    isFine,
    { type: "ptp", ipam: ipam() },
    { type: "tap" },
    { type: "host-device", device: "wan0" },
  ])
    expect(status(fine)).toBeUndefined();
  expect(status({ type: "macvlan", master: "nope" })).toMatchObject({
    code: 50,
    msg: "the parent interface nope of the macvlan is not there",
  });
  expect(status({ type: "macvlan" })).toMatchObject({ code: 50, msg: "no default route interface found" });
  expect(status({ type: "host-device", device: "nope" })).toMatchObject({ code: 50 });
  writeFileSync(join(world.directory, "networks"), "no directory");
  expect(status(isFine)).toMatchObject({ code: 50 });
});
