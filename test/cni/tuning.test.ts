/** tuning behind a bridge: what it sets, keeps, gives back and checks, beside Go's. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../support/await.ts";
import type { TestNetns } from "../support/netns.ts";
import { World } from "./world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world[Symbol.dispose]());

const backups = () => join(world.directory, "tuning");
const bridge = () => JSON.parse(world.list()).plugins[0] as object;
const list = (tuning: object) =>
  world.list("net", { plugins: [bridge(), { type: "tuning", dataDir: backups(), ...tuning }] });
const go = () => ({ ...world.options, pluginPath: ["/usr/lib/cni"], foreign: ["tuning"] });

interface Shown {
  address: string;
  mtu: number;
  flags: string[];
  txqlen: number;
}

const interfaceOf = (place: TestNetns) => {
  const [link] = place.json<Shown[]>("ip", "-j", "-d", "link", "show", "eth0");
  const has = (flag: string) => link!.flags.includes(flag);
  return {
    mac: link!.address,
    mtu: link!.mtu,
    promisc: has("PROMISC"),
    allmulti: has("ALLMULTI"),
    txQLen: link!.txqlen,
  };
};
const sysctl = (place: TestNetns, path: string) =>
  place.sh("cat", `/proc/sys/net/ipv4/conf/eth0/${path}`).trim();

/** All of it but the last digit. */
const MAC = "92:d0:c6:0a:29:3";
const CONF = {
  mtu: 1400,
  promisc: true,
  allmulti: true,
  sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.ip_local_port_range": "20000 30000" },
};

test("interface, sysctls, result and backup are as Go's plugin makes them, and each takes back what the other did", () => {
  const seen = [world.options, go()].map((options, index) => {
    const place = world.container();
    const attachment = world.attachment(`abc${index}`, place.path);
    const conf = { ...CONF, mac: `${MAC}${index}` };
    const result = world.step({ do: "add", list: list(conf), attachment, options })!;
    const text = readFileSync(join(backups(), `abc${index}_eth0.json`), "utf8");
    const { mac } = JSON.parse(text) as { mac: string };
    const made = interfaceOf(place);
    expect([made.mac, result.interfaces.at(-1)!.mac]).toEqual([conf.mac, conf.mac]);
    const filter = sysctl(place, "arp_filter");
    // The whole chain's DEL would take the interface away, and nobody could see what this plugin's gave back.
    const { cniVersion, plugins } = JSON.parse(list(conf)) as { cniVersion: string; plugins: object[] };
    const alone = JSON.stringify({ cniVersion, name: "net", plugins: plugins.slice(1) });
    const other = { ...(index ? world.options : go()), cacheDirectory: join(world.directory, "nothing") };
    world.step({ do: "del", list: alone, attachment, options: other });
    expect([interfaceOf(place).mac, readdirSync(backups())]).toEqual([mac, []]);
    return {
      text: text.replace(mac, "MAC"),
      filter,
      made: { ...made, mac: "" },
      after: { ...interfaceOf(place), mac: "" },
    };
  });
  expect(seen[0]).toEqual({
    text: '{\n "mac": "MAC",\n "promisc": false,\n "mtu": 1500,\n "allmulti": false\n}',
    filter: "1",
    made: { mac: "", mtu: 1400, promisc: true, allmulti: true, txQLen: 1000 },
    after: { mac: "", mtu: 1500, promisc: false, allmulti: false, txQLen: 1000 },
  });
  expect(seen[1]).toEqual(seen[0]!);
});

test("the transmit queue, an MTU in the result, a backup that only its owner reads; DEL is quiet where all is gone", () => {
  const place = world.container();
  const attachment = world.attachment("abc", place.path);
  const conf = list({ txQLen: 77, mtu: 1300 });
  const result = world.step({ do: "add", list: conf, attachment })!;
  expect(interfaceOf(place)).toMatchObject({ txQLen: 77, mtu: 1300 });
  expect(result.interfaces.map(one => one.mtu)).toEqual([undefined, undefined, 1300]);
  const file = join(backups(), "abc_eth0.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ mtu: 1500, txQLen: 1000 });
  world.step({ do: "del", list: conf, attachment: { ...attachment, netns: "/run/netns/gone" } });
  expect(existsSync(file)).toBe(false);
  world.step({ do: "del", list: conf, attachment });
  writeFileSync(file, "{");
  world.step({ do: "del", list: conf, attachment });
  expect(readdirSync(backups())).toEqual([]);
});

test("whose MAC: args.cni's before runtimeConfig's before CNI_ARGS' before the configuration's, and Go's says the same", () => {
  for (const options of [world.options, go()])
    for (const [last, more] of [
      [1, {}],
      [2, {}],
      [3, { capabilities: { mac: true } }],
      [4, { capabilities: { mac: true }, args: { cni: { mac: `${MAC}4` } } }],
    ] as const) {
      const place = world.container();
      const conf = list({ mac: `${MAC}1`, ...more });
      const attachment = {
        ...world.attachment("abc", place.path),
        cniArgs: [["IgnoreUnknown", "1"], ...(last > 1 ? [["MAC", `${MAC}2`]] : [])] as [string, string][],
        capabilityArgs: { mac: `${MAC}3` },
      };
      const result = world.step({ do: "add", list: conf, attachment, options })!;
      expect([interfaceOf(place).mac, result.interfaces.at(-1)!.mac]).toEqual([
        `${MAC}${last}`,
        `${MAC}${last}`,
      ]);
      world.step({ do: "del", list: conf, attachment, options });
    }
});

test("neighbours learn of the new hardware address at once, even where the interface is told to keep silent", async () => {
  const neighbour = world.container();
  const first = world.list("net", { plugins: [bridge()] });
  world.step({ do: "add", list: first, attachment: world.attachment("first", neighbour.path) });
  neighbour.sh("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_accept");
  const place = world.container();
  const conf = list({ mac: `${MAC}7`, sysctl: { "net.ipv4.conf.IFNAME.arp_notify": "0" } });
  const { ips } = world.step({ do: "add", list: conf, attachment: world.attachment("abc", place.path) })!;
  const known = () => neighbour.sh("ip", "neigh", "show", ips[0]!.address.split("/")[0]!);
  await until(
    () => known().includes(`lladdr ${MAC}7`),
    () => `the neighbour knows ${known()}`,
  );
  expect(sysctl(place, "arp_notify")).toBe("0");
});

test("an ordinary user's backups are beside his addresses", () => {
  const options = { ...world.options, dataDirectory: join(world.directory, "networks") };
  const conf = world.list("net", { plugins: [bridge(), { type: "tuning", mtu: 1400 }] });
  const attachment = world.attachment("abc", world.container().path);
  world.step({ do: "add", list: conf, attachment, options });
  expect(readdirSync(join(world.directory, "tuning"))).toEqual(["abc_eth0.json"]);
  world.step({ do: "del", list: conf, attachment, options });
  expect(existsSync(join(world.directory, "tuning"))).toBe(false);
});

test("what is as it should be already is no change, and nothing is kept for it", () => {
  const attachment = world.attachment("abc", world.container().path);
  const capabilities = { mac: true };
  const plugins = [
    { ...bridge(), capabilities },
    { type: "tuning", dataDir: backups(), capabilities, mtu: 1500 },
  ];
  const conf = world.list("net", { plugins });
  const asked = { ...attachment, capabilityArgs: { mac: `${MAC}5` } };
  expect(world.step({ do: "add", list: conf, attachment: asked })!.interfaces.at(-1)!.mac).toBe(`${MAC}5`);
  expect(existsSync(backups())).toBe(false);
  world.step({ do: "check", list: conf, attachment: asked });
});

test("CHECK: what tuning set is looked at, IFNAME and all, each with the words of what differs", () => {
  const place = world.container();
  const attachment = world.attachment("abc", place.path);
  const conf = list({ ...CONF, mac: `${MAC}0`, txQLen: 77 });
  world.step({ do: "add", list: conf, attachment });
  world.step({ do: "check", list: conf, attachment });
  for (const [wrong, right, says] of [
    [
      "echo 0 > $S/conf/eth0/arp_filter",
      "echo 1 > $S/conf/eth0/arp_filter",
      "/proc/sys/net/ipv4/conf/eth0/arp_filter is 1, current value is 0",
    ],
    [
      "echo 21000 31000 > $S/ip_local_port_range",
      "echo 20000 30000 > $S/ip_local_port_range",
      "is 20000 30000, current value is 21000 31000",
    ],
    [
      "ip link set eth0 promisc off",
      "ip link set eth0 promisc on",
      "link eth0 configured promisc is true, current value is 0",
    ],
    [
      "ip link set eth0 mtu 1401",
      "ip link set eth0 mtu 1400",
      "Tuning configured MTU of eth0 is 1400, current value is 1401",
    ],
    [
      "ip link set eth0 allmulticast off",
      "ip link set eth0 allmulticast on",
      "all-multicast mode of eth0 is true",
    ],
    [
      "ip link set eth0 txqueuelen 78",
      "ip link set eth0 txqueuelen 77",
      "transmit queue length of eth0 is 77, current value is 78",
    ],
  ] as const) {
    const shell = (command: string) => place.sh("sh", "-c", `S=/proc/sys/net/ipv4; ${command}`);
    shell(wrong);
    expect(world.steps({ do: "check", list: conf, attachment })[0]!.error).toContain(says);
    shell(right);
  }
  world.step({ do: "check", list: conf, attachment });
});

test("what tuning refuses: other sysctls than the namespace's, one key twice, a MAC that is none, the first place in a chain", () => {
  const place = world.container();
  const attachment = world.attachment("abc", place.path);
  const twice = list({ sysctl: { KEY: "1" } }).replace(
    '"KEY":"1"',
    '"net.core.somaxconn":"1","net.core.somaxconn":"2"',
  );
  for (const [conf, says] of [
    [list({ sysctl: { "kernel.core_pattern": "|x" } }), 'invalid net sysctl key: "kernel.core_pattern"'],
    [list({ sysctl: { "net/../kernel/core_pattern": "|x" } }), "invalid net sysctl key"],
    [twice, 'duplicate sysctl key: "net.core.somaxconn"'],
    [list({ sysctl: { "net.core.somaxconn": "1", "net/core/somaxconn": "2" } }), "duplicate sysctl key"],
    [list({ mac: "nope" }), "invalid args nope for MAC addr: address nope: invalid MAC address"],
    [world.list("net", { plugins: [{ type: "tuning" }] }), "Required prevResult missing"],
  ] as const)
    expect(world.steps({ do: "add", list: conf, attachment })[0]!).toMatchObject({
      error: expect.stringContaining(says),
      code: 7,
    });
  for (const [conf, code, says] of [
    [{ mtu: "1400" }, 6, 'mtu must be integer, not "1400"'],
    [{ sysctl: { "net.core.somaxconn": 7 } }, 6, "sysctl must be map"],
    [{ args: { cni: { promisc: "yes" } } }, 6, "promisc must be boolean"],
    [{ sysctl: { "net.frob": "1" } }, 999, "open /proc/sys/net/frob: no such file or directory"],
    [{ sysctl: { "net.core.somaxconn": "x" } }, 999, "write /proc/sys/net/core/somaxconn: invalid argument"],
  ] as const)
    expect(world.steps({ do: "add", list: list(conf), attachment })[0]!).toMatchObject({
      error: expect.stringContaining(says),
      code,
    });
  expect(place.sh("ip", "-o", "link")).not.toContain("eth0");
  expect(existsSync(backups())).toBe(false);
});
