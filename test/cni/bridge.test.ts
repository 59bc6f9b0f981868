/** bridge: what each field makes in the kernel, what CHECK misses, what goes and when. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { TestNetns } from "../support/netns.ts";
import { World } from "./world.ts";

let world: World;
let place: TestNetns;
beforeEach(() => {
  world = new World();
  place = world.container();
});
afterEach(() => world[Symbol.dispose]());

interface IpLink {
  ifname: string;
  mtu: number;
  address: string;
  flags: string[];
  ifalias?: string;
  linkinfo?: { info_slave_data?: { hairpin: boolean; isolated: boolean } };
}
const SIX = { ranges: [[{ subnet: "10.77.0.0/24" }], [{ subnet: "fd77::/64" }]] };
const listOf = (bridge: object = {}, ipam: object = {}) =>
  world.list("net", { plugins: [JSON.parse(world.list("net", { bridge, ipam })).plugins[0]] });
const attachment = (netns = place.path) => world.attachment("abc", netns);
const add = (bridge: object = {}, ipam: object = {}) =>
  world.step({ do: "add", list: listOf(bridge, ipam), attachment: attachment() })!;
const errorOf = (step: "add" | "check" | "status", bridge: object = {}, ipam: object = {}) =>
  world.steps({ do: step, list: listOf(bridge, ipam), attachment: attachment() })[0]!;
const linksOf = (where: TestNetns) => where.json<IpLink[]>("ip", "-d", "-j", "link");
const names = (where: TestNetns) => linksOf(where).map(one => one.ifname);
const port = () => linksOf(world.host).find(one => one.ifname.startsWith("veth"));
const ipFiles = () => world.files("networks/net").filter(name => /^(10\.|fd)/.test(name));
const ruleset = () => world.host.sh("nft", "list", "ruleset");

test("the result names bridge, host's end and container's, as they are", () => {
  const result = add({ mtu: 1400 });
  const [br0, host] = [linksOf(world.host).find(one => one.ifname === "br-net")!, port()!];
  const eth0 = linksOf(place).find(one => one.ifname === "eth0")!;
  expect(result.interfaces).toEqual([
    { name: "br-net", mac: br0.address },
    { name: host.ifname, mac: host.address },
    { name: "eth0", mac: eth0.address, sandbox: place.path },
  ]);
  expect([br0.mtu, host.mtu, eth0.mtu]).toEqual([1400, 1400, 1400]);
  expect(host.ifalias).toBe("cni:net:abc:eth0");
  // Its own address, which no port's can take the place of.
  expect(br0.address).not.toBe(host.address);
  world.step({ do: "del", list: listOf(), attachment: attachment() });
  expect(linksOf(world.host).find(one => one.ifname === "br-net")!.address).toBe(br0.address);
});

test("hairpin, isolation and promiscuity are the kernel's", () => {
  add({ hairpinMode: true, portIsolation: true });
  expect(port()!.linkinfo!.info_slave_data).toMatchObject({ hairpin: true, isolated: true });
  world.step({ do: "del", list: listOf(), attachment: attachment() });
  add({ promiscMode: true });
  expect(linksOf(world.host).find(one => one.ifname === "br-net")!.flags).toContain("PROMISC");
  expect(port()!.linkinfo!.info_slave_data).toMatchObject({ hairpin: false, isolated: false });
});

test("hardware addresses: runtimeConfig before args.cni before CNI_ARGS", () => {
  const [weak, middle, strong] = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"];
  const macOf = (parts: object, capabilityArgs?: Record<string, unknown>) => {
    const list = listOf({ capabilities: { mac: true }, ...parts });
    const mine = { ...attachment(), cniArgs: [["MAC", weak]] as [string, string][], capabilityArgs };
    const { interfaces } = world.step({ do: "add", list, attachment: mine })!;
    world.step({ do: "del", list, attachment: mine });
    return interfaces[2]!.mac;
  };
  expect(macOf({})).toBe(weak);
  expect(macOf({ args: { cni: { mac: middle } } })).toBe(middle);
  expect(macOf({ args: { cni: { mac: middle } } }, { mac: strong })).toBe(strong);
});

test("isDefaultGateway: gateway on the bridge, default routes by it, forwarding on", () => {
  const result = add({ isGateway: false, isDefaultGateway: true }, { ...SIX, routes: [] });
  expect(result.routes).toEqual([
    { dst: "0.0.0.0/0", gw: "10.77.0.1" },
    { dst: "::/0", gw: "fd77::1" },
  ]);
  expect(place.sh("ip", "route")).toContain("default via 10.77.0.1");
  expect(place.sh("ip", "-6", "route")).toContain("default via fd77::1");
  const own = world.host.sh("ip", "address", "show", "br-net");
  expect(own).toContain("inet 10.77.0.1/24");
  expect(own).toContain("inet6 fd77::1/64");
  expect(world.host.sh("cat", "/proc/sys/net/ipv4/ip_forward").trim()).toBe("1");
});

test("another address on the bridge is refused, the container's given back; forceAddress takes it away", () => {
  world.host.sh("ip", "link", "add", "br-net", "type", "bridge");
  world.host.sh("ip", "address", "add", "10.9.9.9/24", "dev", "br-net");
  expect(errorOf("add").error).toBe(
    'failed to set bridge addr: "br-net" already has an IP address different from 10.77.0.1/24',
  );
  expect([names(place), port(), ipFiles()]).toEqual([["lo"], undefined, []]);
  add({ forceAddress: true });
  expect(world.host.sh("ip", "-4", "address", "show", "br-net")).not.toContain("10.9.9.9");
});

test("a network without IPAM is a wire; disableContainerInterface leaves its end down", () => {
  const up = () =>
    linksOf(place)
      .find(one => one.ifname === "eth0")!
      .flags.includes("UP");
  const list = listOf({ ipam: {} });
  const result = world.step({ do: "add", list, attachment: attachment() })!;
  expect([result.ips, result.interfaces.length, up()]).toEqual([[], 3, true]);
  world.step({ do: "check", list, attachment: attachment() });
  world.step({ do: "del", list, attachment: attachment() });
  const down = listOf({ ipam: {}, disableContainerInterface: true });
  world.step({ do: "add", list: down, attachment: attachment() });
  expect(up()).toBe(false);
  world.step({ do: "check", list: down, attachment: attachment() });
  world.step({ do: "del", list: down, attachment: attachment() });
  expect(errorOf("add", { disableContainerInterface: true }).error).toBe(
    "cannot use IPAM when DisableContainerInterface flag is set",
  );
});

test("macspoofchk: Go's table, chains and comments; frames of another address are dropped; DEL takes all of it away", () => {
  const list = listOf({ macspoofchk: true });
  const own = add({ macspoofchk: true }).interfaces[2]!.mac!;
  const text = world.host.sh("nft", "list", "table", "bridge", "nat");
  const host = port()!.ifname;
  expect(text.replace(/\s+/g, " ")).toBe(
    "table bridge nat { chain PREROUTING { type filter hook prerouting priority dstnat; policy accept; " +
      `iifname "${host}" jump cni-br-iface-abc-eth0 comment "macspoofchk-abc-eth0" } ` +
      'chain cni-br-iface-abc-eth0 { jump cni-br-iface-abc-eth0-mac comment "macspoofchk-abc-eth0" } ' +
      `chain cni-br-iface-abc-eth0-mac { ether saddr ${own} return comment "macspoofchk-abc-eth0" ` +
      'drop comment "macspoofchk-abc-eth0" } } ',
  );
  place.sh("ping", "-c1", "-W2", "10.77.0.1");
  place.sh("ip", "link", "set", "eth0", "address", "02:00:00:00:00:99");
  expect(() => place.sh("ping", "-c1", "-W1", "10.77.0.1")).toThrow();
  world.step({ do: "del", list, attachment: attachment("") });
  expect(world.host.sh("nft", "list", "table", "bridge", "nat").replace(/\s+/g, " ")).toBe(
    "table bridge nat { chain PREROUTING { type filter hook prerouting priority dstnat; policy accept; } } ",
  );
  world.step({ do: "del", list, attachment: attachment("") });
});

test("enabledad: an address that somebody has is refused, and everything given back; a free one waits until it is sure", () => {
  const other = world.container();
  world.step({ do: "add", list: listOf({}, SIX), attachment: world.attachment("first", other.path) });
  // The address that the next container is to get is on this wire already.
  other.sh("ip", "address", "add", "fd77::3/64", "dev", "eth0", "nodad");
  const before = ipFiles();
  const { error } = errorOf("add", { enabledad: true }, SIX);
  expect(error).toBe("somebody else on the network has the address fd77::3 already");
  expect([names(place), ipFiles()]).toEqual([["lo"], before]);
  const result = add({ enabledad: true }, SIX);
  expect(result.ips[1]!.address).toBe("fd77::4/64");
  expect(place.sh("ip", "-6", "address", "show", "tentative").trim()).toBe("");
});

test.each([{ vlan: 100 }, { vlanTrunk: [{ minID: 5, maxID: 7 }] }])(
  "%p on a kernel without bridge VLAN filtering is one clear line, and nothing is left",
  vlans => {
    const outcome = errorOf("add", vlans);
    if (outcome.error === undefined) {
      // A kernel that has it: the port has its VLAN, and no other.
      console.log("this kernel filters VLANs on bridges; its refusal is not seen here");
      expect(world.host.sh("bridge", "vlan", "show", "dev", port()!.ifname)).toMatch(/\b(100|5)\b/);
      return;
    }
    expect([outcome.error, outcome.code]).toEqual([
      'failed to create bridge "br-net": operation not supported: ' +
        "vlan and vlanTrunk need a kernel with bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)",
      999,
    ]);
    expect([names(place), names(world.host), ipFiles()]).toEqual([["lo"], ["lo"], []]);
  },
);

const REFUSED: [object, string][] = [
  [{ hairpinMode: true, promiscMode: true }, "cannot set hairpin mode and promiscuous mode at the same time"],
  [{ vlan: 4095 }, "invalid VLAN ID 4095 (must be between 0 and 4094)"],
  [{ vlan: -1 }, "invalid VLAN ID -1 (must be between 0 and 4094)"],
  [{ vlan: 5, vlanTrunk: [{ id: 6 }] }, "cannot set vlan and vlanTrunk at the same time"],
  [{ mtu: "big" }, 'failed to load netconf: mtu must be integer, not "big"'],
];
test.each(REFUSED)("%p is refused before anything is made", (bridge, message) => {
  expect(errorOf("add", bridge).error).toBe(message);
  expect([names(place), names(world.host), ipFiles()]).toEqual([["lo"], ["lo"], []]);
});

const ROUTES = { routes: [{ dst: "10.99.0.0/16" }, { dst: "0.0.0.0/0" }] };
const DAMAGE: [string, () => void, RegExp][] = [
  ["an address", () => place.sh("ip", "address", "flush", "dev", "eth0"), /addr 10\.77\.0\.2\/24/],
  [
    "a route",
    () => place.sh("ip", "route", "del", "10.99.0.0/16"),
    /Expected Route 10\.99\.0\.0\/16 not found/,
  ],
  ["the interface", () => place.sh("ip", "link", "del", "eth0"), /interface in container eth0 not found/],
  [
    "its hardware address",
    () => place.sh("ip", "link", "set", "eth0", "address", "02:00:00:00:00:99"),
    /eth0 Mac/,
  ],
  [
    "its place on the bridge",
    () => world.host.sh("ip", "link", "set", port()!.ifname, "nomaster"),
    /CNI veth/,
  ],
  ["promiscuity", () => world.host.sh("ip", "link", "set", "br-net", "promisc", "off"), /Promisc Mode true/],
  [
    "the bridge's hardware address",
    () => world.host.sh("ip", "link", "set", "br-net", "address", "02:00:00:00:00:98"),
    /Bridge interface br-net Mac/,
  ],
  ["the bridge", () => world.host.sh("ip", "link", "del", "br-net"), /br-net not found/],
  [
    "the reserved address",
    () => rmSync(join(world.directory, "networks/net/10.77.0.2")),
    /Failed to find address/,
  ],
];
test.each(DAMAGE)("CHECK misses %s", (_, damage, message) => {
  add({ promiscMode: true }, ROUTES);
  expect(errorOf("check", { promiscMode: true }, ROUTES).error).toBeUndefined();
  damage();
  expect(errorOf("check", { promiscMode: true }, ROUTES).error).toMatch(message);
});

test("an interface of the container's that is there already is refused, stays, and the address goes back", () => {
  place.sh("ip", "link", "add", "eth0", "type", "bridge");
  const plugin = (name: string) =>
    world.steps({ do: "add", list: listOf(), attachment: world.attachment(name, place.path) });
  expect(plugin("abc")[0]!.error).toBe("container veth name provided (eth0) already exists");
  expect(ipFiles()).toEqual([]);
});

test.each(["dead", "empty"])("DEL with a namespace that is %s leaves no link, rule or address", how => {
  add();
  expect(ruleset()).toContain("10.77.0.2");
  const { path } = place;
  if (how === "dead") place[Symbol.dispose]();
  world.step({ do: "del", list: listOf(), attachment: attachment(how === "dead" ? path : "") });
  expect([port(), ipFiles(), world.elements()]).toEqual([undefined, [], ""]);
});

test("DEL with neither namespace nor remembered result finds the port by its name", () => {
  add();
  rmSync(join(world.directory, "results"), { recursive: true });
  world.step({ do: "del", list: listOf(), attachment: attachment("") });
  expect([port(), ipFiles(), world.elements(), names(place)]).toEqual([undefined, [], "", ["lo"]]);
});

test("GC deletes ports and rules of the dead that nobody remembers, and no other network's", () => {
  const [lives, elsewhere] = [world.container(), world.container()];
  const other = world.list("other", { ipam: { ranges: [[{ subnet: "10.78.0.0/24" }]] } });
  add();
  world.step({ do: "add", list: listOf(), attachment: world.attachment("lives", lives.path) });
  world.step({ do: "add", list: other, attachment: world.attachment("stays", elsewhere.path) });
  rmSync(join(world.directory, "results"), { recursive: true });
  world.step({ do: "gc", list: listOf(), valid: [{ containerId: "lives", ifName: "eth0" }] });
  expect([names(place), names(lives), names(elsewhere)]).toEqual([["lo"], ["lo", "eth0"], ["lo", "eth0"]]);
  expect(ipFiles()).toEqual(["10.77.0.3"]);
  expect(world.elements()).not.toContain("abc:eth0");
  for (const one of ["lives:eth0", "stays:eth0"]) expect(world.elements()).toContain(one);
});

test("STATUS: fine on a fresh host; said where the name is another link's, or the pool is empty", () => {
  expect(errorOf("status").error).toBeUndefined();
  world.host.sh("ip", "link", "add", "br-net", "type", "veth", "peer", "name", "p0");
  expect(errorOf("status")).toMatchObject({ error: '"br-net" already exists but is not a bridge', code: 50 });
  world.host.sh("ip", "link", "del", "br-net");
  const ipam = { ranges: [[{ subnet: "10.77.0.0/30" }]] };
  add({}, ipam);
  expect(errorOf("status", {}, ipam)).toMatchObject({
    error: "no IP addresses available in range set: 10.77.0.1-10.77.0.2",
    code: 50,
  });
});

/** The plugin called by itself, with Go's host-local: nobody calls DEL behind it. */
function call(verb: string, bridge: object = {}) {
  const [conf] = JSON.parse(listOf(bridge)).plugins as object[];
  const child = world.host.run(() =>
    Bun.spawnSync([process.execPath, join(import.meta.dir, "../../src/main.ts"), "__cni", "bridge"], {
      stdin: Buffer.from(JSON.stringify({ cniVersion: "1.0.0", name: "net", ...conf })),
      env: {
        CNI_COMMAND: verb,
        CNI_CONTAINERID: "abc",
        CNI_NETNS: place.path,
        CNI_IFNAME: "eth0",
        CNI_PATH: "/usr/lib/cni",
      },
    }),
  );
  return { code: child.exitCode, out: child.stdout.toString() };
}

test("called by itself, an ADD that fails gives its address back and leaves no link and no guard", () => {
  world.host.sh("ip", "link", "add", "br-net", "type", "bridge");
  world.host.sh("ip", "address", "add", "10.9.9.9/24", "dev", "br-net");
  const { code, out } = call("ADD", { macspoofchk: true });
  expect([code, JSON.parse(out).msg]).toEqual([
    1,
    'failed to set bridge addr: "br-net" already has an IP address different from 10.77.0.1/24',
  ]);
  expect([names(place), port(), ipFiles()]).toEqual([["lo"], undefined, []]);
  expect(ruleset()).not.toContain("abc");
});
