/**
 * Plugins whose links this kernel may not have, on a kernel that has something else in their place: what is asked of it, to
 * the byte, and what becomes of it then.
 */
import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interfacesOf, isForUserSpace } from "../../src/cni/plugins/device.ts";
import { dummy } from "../../src/cni/plugins/dummy.ts";
import { ipvlan } from "../../src/cni/plugins/ipvlan.ts";
import { emptyResult, type Plugin, type PluginContext } from "../../src/cni/plugins/plugin.ts";
import { vlan } from "../../src/cni/plugins/vlan.ts";
import type { Result } from "../../src/cni/types.ts";
import { linkByName } from "../../src/netlink/link.ts";
import { NetlinkSocket } from "../../src/netlink/socket.ts";
import { type Attribute, attr, body, emitAttributes, parseAttributes } from "../../src/wire/netlink.ts";
import type { TestNetns } from "../support/netns.ts";
import { World } from "./world.ts";

const IFLA = { IFNAME: 3, MTU: 4, LINK: 5, LINKINFO: 18, NET_NS_FD: 28 } as const;
const HEADER = 16;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

let world: World;
let place: TestNetns;
/** What the plugin said of its link's kind, as bytes; and its other attributes, but for what is chance. */
let asked: { info: string; attributes: Record<number, string> };
let spy: ReturnType<typeof spyOn>;

beforeEach(() => {
  world = new World();
  world.outside();
  place = world.container();
  const real = NetlinkSocket.prototype.request;
  let info: Uint8Array = new Uint8Array();
  const withInfo = (message: Uint8Array, value: Uint8Array): Uint8Array => {
    const others = parseAttributes(message.subarray(HEADER)).filter(one => one.type !== IFLA.LINKINFO);
    return body(message.slice(0, HEADER), [...others, { type: IFLA.LINKINFO, value }]);
  };
  spy = spyOn(NetlinkSocket.prototype, "request");
  spy.mockImplementation(function (this: NetlinkSocket, ...request: Parameters<typeof real>) {
    const [what, type, flags, message] = request;
    const [, kind] = /^add (vlan|ipvlan|dummy) /.exec(what) ?? [];
    if (kind) {
      const attributes = parseAttributes(message.subarray(HEADER));
      info = attributes.find(one => one.type === IFLA.LINKINFO)!.value;
      const fixed = ({ type: key }: Attribute) =>
        key !== IFLA.LINKINFO && key !== IFLA.NET_NS_FD && (key !== IFLA.IFNAME || kind === "dummy");
      asked = {
        info: hex(info),
        attributes: Object.fromEntries(attributes.filter(fixed).map(one => [one.type, hex(one.value)])),
      };
      const other = emitAttributes([attr.string(1, kind === "dummy" ? "bridge" : "macvlan")]);
      return real.call(this, what, type, flags, withInfo(message, other));
    }
    const answers = real.call(this, ...request);
    if (what !== "find link eth0") return answers;
    return answers.map(one => ({ ...one, body: withInfo(one.body, info) }));
  });
});
afterEach(() => {
  spy.mockRestore();
  world[Symbol.dispose]();
});

const given: Result = {
  ...emptyResult("1.0.0"),
  ips: [{ address: "10.77.0.2/24", gateway: "10.77.0.1" }],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: { nameservers: ["10.77.0.1"] },
};

function contextOf(conf: object, prevResult?: Result): PluginContext {
  return {
    conf: { type: "", ipam: { type: "static" }, ...conf },
    network: "net",
    cniVersion: "1.0.0",
    containerId: "abc",
    netns: place.path,
    ifName: "eth0",
    args: {},
    runtimeConfig: {},
    prevResult,
    ipam: { add: async () => structuredClone(given), del: async () => {}, check: async () => {} },
  } as unknown as PluginContext;
}

/** Calls a plugin on the host, which it stays on as long as it waits for nothing. */
const onHost = <T>(step: () => T): T => world.host.run(step);
const add = (plugin: Plugin, conf: object, prevResult?: Result) =>
  onHost(() => plugin.add(contextOf(conf, prevResult)));

function indexOf(name: string, one = world.host): string {
  const index = one.run(() => {
    using nl = new NetlinkSocket();
    return linkByName(nl, name)!.index;
  });
  return hex(attr.u32(0, index).value);
}

/** The whole of an ADD: the interface has its name and addresses, and the result is Go's. */
function expectAttached(result: Result): void {
  const [shown] = place.json<{ address: string; addr_info: { local: string }[] }[]>(
    ...["ip", "-j", "addr", "show", "eth0"],
  );
  expect(shown!.addr_info.map(one => one.local)).toContain("10.77.0.2");
  expect(place.sh("ip", "route")).toContain("default via 10.77.0.1 dev eth0");
  expect(result).toEqual({
    ...given,
    interfaces: [{ name: "eth0", mac: shown!.address, sandbox: place.path }],
    ips: [{ address: "10.77.0.2/24", gateway: "10.77.0.1", interface: 0 }],
  });
}

test("vlan: its number and parent, and CHECK tells another number", async () => {
  const conf = { type: "vlan", master: "wan0", vlanId: 0x123, mtu: 1400 };
  const result = await add(vlan, conf);
  expect(asked).toEqual({
    // IFLA_INFO_KIND "vlan", IFLA_INFO_DATA { IFLA_VLAN_ID 0x123 }
    info: "09000100766c616e00000000" + "0c000280" + "0600010023010000",
    attributes: { [IFLA.LINK]: indexOf("wan0"), [IFLA.MTU]: "78050000" },
  });
  expectAttached(result);
  const check = (more: object) => vlan.check(contextOf({ ...conf, linkInContainer: true, ...more }, result));
  // The parent of this check is one in the container, where the test can wait.
  place.sh("ip", "link", "add", "wan0", "type", "bridge");
  await check({});
  await expect(check({ vlanId: 5 })).rejects.toThrow("Interface eth0 is in VLAN 291, not in 5");
  await expect(check({ mtu: 1300 })).rejects.toThrow("Interface eth0 has MTU 1400, not 1300");
  await expect(check({ master: "wan7" })).rejects.toThrow("wan7 of the vlan is not there in the container");
  await vlan.del(contextOf(conf, result));
  expect(place.sh("ip", "-o", "link")).not.toContain("eth0");
});

test.each([
  ["l2", "0000"],
  ["l3", "0100"],
  ["l3s", "0200"],
])("ipvlan: mode %s is %s to the kernel, and CHECK tells another", async (mode, bytes) => {
  const conf = { type: "ipvlan", master: "wan0", mode };
  const result = await add(ipvlan, conf);
  expect(asked).toEqual({
    // IFLA_INFO_KIND "ipvlan", IFLA_INFO_DATA { IFLA_IPVLAN_MODE }
    info: `0b0001006970766c616e0000${"0c000280"}06000100${bytes}0000`,
    attributes: { [IFLA.LINK]: indexOf("wan0") },
  });
  expectAttached(result);
  const other = mode === "l2" ? "l3" : "l2";
  await expect(ipvlan.check(contextOf({ ...conf, mode: other }, result))).rejects.toThrow(
    `Container IPVlan mode ${mode} does not match expected value: ${other}`,
  );
});

test("ipvlan behind another plugin: its interface is the parent, and its addresses are taken over", async () => {
  const before: Result = {
    ...given,
    interfaces: [{ name: "wan0" }],
    ips: [{ address: "10.77.0.2/24", gateway: "10.77.0.1", interface: 0 }],
  };
  expectAttached(await add(ipvlan, { type: "ipvlan", ipam: undefined }, before));
  expect(asked.attributes).toEqual({ [IFLA.LINK]: indexOf("wan0") });
});

test("dummy: nothing but its name and kind, and CHECK tells one that is down", async () => {
  const result = await add(dummy, { type: "dummy" });
  expect(asked).toEqual({
    info: "0a00010064756d6d79000000",
    attributes: { [IFLA.IFNAME]: hex(new TextEncoder().encode("eth0\0")) },
  });
  expectAttached(result);
  await dummy.check(contextOf({ type: "dummy" }, result));
  place.sh("ip", "link", "set", "eth0", "down");
  await expect(dummy.check(contextOf({ type: "dummy" }, result))).rejects.toThrow("Interface eth0 is down");
});

test("a link that can't have its name is not left under another", async () => {
  place.sh("ip", "link", "add", "eth0", "type", "bridge");
  await expect(add(vlan, { type: "vlan", master: "wan0" })).rejects.toThrow(
    'failed to rename vlan to "eth0": file exists',
  );
  expect(place.json<{ ifname: string }[]>("ip", "-j", "link").map(one => one.ifname)).toEqual(["lo", "eth0"]);
});

test("devices of PCI and auxiliary buses: their interfaces, and which have none for a program has them", () => {
  const sys = mkdtempSync(join(tmpdir(), "portolan-sys-"));
  const make = (path: string) => mkdirSync(join(sys, path), { recursive: true });
  try {
    for (const path of [
      "bus/pci/devices/0000:00:03.0/virtio1/net/ens3",
      "bus/pci/devices/0000:00:1f.6/net/eno1",
      "bus/pci/devices/0000:05:00.1",
      "bus/pci/drivers/vfio-pci",
      "bus/pci/drivers/e1000e",
      "bus/auxiliary/devices/mlx5_core.sf.4/net/p0s4",
      "devices/pci0000:00/0000:00:1f.6/net/eno1",
    ])
      make(path);
    const drive = (device: string, driver: string) =>
      symlinkSync(join(sys, "bus/pci/drivers", driver), join(sys, "bus/pci/devices", device, "driver"));
    drive("0000:05:00.1", "vfio-pci");
    drive("0000:00:1f.6", "e1000e");
    const interfaces = (pciBusID: string) => interfacesOf({ pciBusID }, sys);
    expect(interfaces("0000:00:03.0")).toEqual(["ens3"]);
    expect(interfaces("0000:00:1f.6")).toEqual(["eno1"]);
    expect(interfaces("mlx5_core.sf.4")).toEqual(["p0s4"]);
    expect(interfaces("0000:05:00.1")).toEqual([]);
    expect(interfaces("0000:ff:1f.7")).toEqual([]);
    expect(interfacesOf({ kernelpath: "/sys/devices/pci0000:00/0000:00:1f.6" }, sys)).toEqual(["eno1"]);
    expect(isForUserSpace({ pciBusID: "0000:05:00.1" }, sys)).toBe(true);
    for (const conf of [{ pciBusID: "0000:00:1f.6" }, { pciBusID: "0000:ff:1f.7" }, { device: "eth1" }])
      expect(isForUserSpace(conf, sys)).toBe(false);
  } finally {
    rmSync(sys, { recursive: true });
  }
});
