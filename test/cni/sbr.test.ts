/** sbr on a container's second network: rules, tables and what the kernel then does, beside Go's. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { lock } from "../../src/sys/flock.ts";
import { until } from "../support/await.ts";
import type { TestNetns } from "../support/netns.ts";
import { World } from "./world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world[Symbol.dispose]());

const go = () => ({ ...world.options, pluginPath: ["/usr/lib/cni"], foreign: ["sbr"] });
const bridge = (name: string, ipam: object) => ({
  type: "bridge",
  bridge: `br-${name}`,
  isGateway: true,
  ipam: { type: "host-local", dataDir: `${world.directory}/networks`, ...ipam },
});
const first = () =>
  world.list("one", {
    plugins: [bridge("one", { ranges: [[{ subnet: "10.77.0.0/24" }]], routes: [{ dst: "0.0.0.0/0" }] })],
  });
const V4 = [[{ subnet: "10.78.0.0/24" }]];
const DUAL = [...V4, [{ subnet: "fd78::/64" }]];
const second = (conf: object = {}, ipam: object = { ranges: V4 }) =>
  world.list("two", { plugins: [bridge("two", ipam), { type: "sbr", ...conf }] });

/** A container that is on its first network already. */
function container(id: string): TestNetns {
  const place = world.container();
  world.step({ do: "add", list: first(), attachment: world.attachment(id, place.path) });
  return place;
}
const on = (id: string, place: TestNetns) => ({ ...world.attachment(id, place.path), ifName: "eth1" });

const RULES: Record<4 | 6, string[]> = {
  4: ["0: from all lookup local", "32766: from all lookup main", "32767: from all lookup default"],
  6: ["0: from all lookup local", "32766: from all lookup main"],
};
const lines = (text: string) =>
  text
    .split("\n")
    .map(line => line.trim().replaceAll(/\s+/g, " "))
    .filter(Boolean);
const rulesOf = (place: TestNetns, family: 4 | 6 = 4) =>
  lines(place.sh("ip", `-${family}`, "rule")).filter(one => !RULES[family].includes(one));
/** Routes by eth1, without those that the kernel makes of an address itself. */
const routesOf = (place: TestNetns, family: 4 | 6 = 4) =>
  lines(place.sh("ip", `-${family}`, "route", "show", "table", "all", "dev", "eth1"))
    .filter(one => !/table local|^(local|broadcast|multicast|anycast)/.test(one))
    .sort();
/** By which link and gateway the kernel would send. */
const way = (place: TestNetns, to: string, from?: string) =>
  /^\S+ (?:from \S+ )?(?:via (\S+) )?dev (\S+)/
    .exec(place.sh("ip", "route", "get", to, ...(from ? ["from", from] : [])))!
    .slice(1);

test("what is sent from the second network's address leaves by it, all else by the first; rules and routes are Go's", () => {
  const seen = [[world.options, go()] as const, [go(), world.options] as const].map(
    ([options, other], index) => {
      const id = `abc${index}`;
      const place = container(id);
      const conf = second({}, { ranges: V4, routes: [{ dst: "10.9.0.0/16", gw: "10.78.0.7" }] });
      const result = world.step({ do: "add", list: conf, attachment: on(id, place), options })!;
      const address = result.ips[0]!.address.split("/")[0]!;
      expect(way(place, "203.0.113.9", address)).toEqual(["10.78.0.1", "eth1"]);
      expect(way(place, "10.9.1.1", address)).toEqual(["10.78.0.7", "eth1"]);
      expect(way(place, "203.0.113.9")).toEqual(["10.77.0.1", "eth0"]);
      const own = (text: string) => text.replaceAll(address, "ADDRESS");
      const made = {
        rules: rulesOf(place).map(own),
        routes: routesOf(place).map(own),
        result: result.interfaces.length,
      };
      world.step({ do: "check", list: conf, attachment: on(id, place), options: world.options });
      // The interface stays: only the rules are sbr's to take away.
      const { cniVersion, name, plugins } = JSON.parse(conf) as {
        cniVersion: string;
        name: string;
        plugins: object[];
      };
      const alone = JSON.stringify({ cniVersion, name, plugins: plugins.slice(1) });
      const elsewhere = { ...other, cacheDirectory: `${world.directory}/nothing` };
      world.step({ do: "del", list: alone, attachment: on(id, place), options: elsewhere });
      expect(rulesOf(place)).toEqual([]);
      world.step({ do: "del", list: conf, attachment: on(id, place), options: world.options });
      return made;
    },
  );
  expect(seen[0]).toEqual({
    rules: ["32765: from ADDRESS lookup 100"],
    routes: [
      "10.78.0.0/24 table 100 proto kernel scope link src ADDRESS",
      "10.9.0.0/16 via 10.78.0.7 table 100",
      "default via 10.78.0.1 table 100",
    ],
    result: 3,
  });
  expect(seen[1]).toEqual(seen[0]!);
});

test("each address has a table, of its own family; neighbours by link-local addresses stay; taken tables are left", () => {
  const place = container("abc");
  place.sh("ip", "rule", "add", "from", "10.1.1.1", "table", "100");
  place.sh("ip", "route", "add", "10.66.0.0/24", "dev", "eth0", "table", "101");
  const conf = second({}, { ranges: DUAL });
  world.step({ do: "add", list: conf, attachment: on("abc", place) });
  expect(rulesOf(place)).toEqual(["32764: from 10.78.0.2 lookup 102", "32765: from 10.1.1.1 lookup 100"]);
  expect(rulesOf(place, 6)).toEqual(["32765: from fd78::2 lookup 103"]);
  expect(routesOf(place).map(one => one.replace(/ proto.*/, ""))).toEqual([
    "10.78.0.0/24 table 102",
    "default via 10.78.0.1 table 102",
  ]);
  const six = routesOf(place, 6).map(one => one.replace(/ (pref|metric|proto).*/, ""));
  expect(six).toEqual([
    "default via fd78::1 table 103",
    "fd78::/64 table 103",
    "fe80::/64",
    "fe80::/64 table 103",
  ]);
  world.step({ do: "check", list: conf, attachment: on("abc", place) });
  world.step({ do: "del", list: conf, attachment: on("abc", place) });
  expect([rulesOf(place), rulesOf(place, 6)]).toEqual([["32765: from 10.1.1.1 lookup 100"], []]);
});

test("a table that is given gets rules alone; a gateway that is given leads out of it", () => {
  const place = container("abc");
  const conf = second({ table: 5001 });
  world.step({ do: "add", list: conf, attachment: on("abc", place) });
  expect(rulesOf(place)).toEqual(["32765: from 10.78.0.2 lookup 5001"]);
  expect(routesOf(place)).toEqual(["10.78.0.0/24 proto kernel scope link src 10.78.0.2"]);
  expect(world.steps({ do: "check", list: conf, attachment: on("abc", place) })[0]!.error).toBe(
    "table 5001, to which the rule from 10.78.0.2/32 leads, has no routes",
  );
  // A rule of another table is somebody else's.
  place.sh("ip", "rule", "add", "from", "10.78.0.2", "table", "7");
  world.step({ do: "del", list: conf, attachment: on("abc", place) });
  expect(rulesOf(place)).toEqual(["32764: from 10.78.0.2 lookup 7"]);
  place.sh("ip", "rule", "del", "from", "10.78.0.2", "table", "7");

  const led = second({ table: 5001, gateways: ["10.78.0.9", "fd78::9"] }, { ranges: DUAL });
  world.step({ do: "add", list: led, attachment: on("abc", place) });
  expect(way(place, "203.0.113.9", "10.78.0.3")).toEqual(["10.78.0.9", "eth1"]);
  expect(way(place, "2001:db8::1", "fd78::2")).toEqual(["fd78::9", "eth1"]);
  world.step({ do: "check", list: led, attachment: on("abc", place) });
  world.step({ do: "del", list: led, attachment: on("abc", place) });

  const over = second({ gateways: ["10.78.0.8"] });
  world.step({ do: "add", list: over, attachment: on("abc", place) });
  expect(way(place, "203.0.113.9", "10.78.0.4")).toEqual(["10.78.0.8", "eth1"]);
});

test("routes of the address plugin stand in the table that they name, with all that they say, and sbr's rules lead there", () => {
  const place = container("abc");
  const routes = [
    { dst: "10.9.0.0/16", gw: "10.78.0.7", table: 5001, priority: 7, mtu: 1300, advmss: 1200 },
    { dst: "10.10.0.0/16", table: 5001, scope: 253 },
    { dst: "2001:db8::/32", table: 5001 },
  ];
  const conf = second({ table: 5001 }, { ranges: DUAL, routes });
  world.step({ do: "add", list: conf, attachment: on("abc", place) });
  expect(routesOf(place).filter(one => one.includes("5001"))).toEqual([
    "10.10.0.0/16 table 5001 scope link",
    "10.9.0.0/16 via 10.78.0.7 table 5001 metric 7 mtu 1300 advmss 1200",
  ]);
  expect(way(place, "2001:db8::1", "fd78::2")).toEqual(["fd78::1", "eth1"]);
  expect(way(place, "10.10.0.1", "10.78.0.2")).toEqual([undefined as never, "eth1"]);
  world.step({ do: "check", list: conf, attachment: on("abc", place) });
});

test("with source hints, who names no source reaches the second network from its address there, in both families", () => {
  const place = container("abc");
  const conf = second({ addSourceHints: true }, { ranges: DUAL });
  world.step({ do: "add", list: conf, attachment: on("abc", place) });
  expect(routesOf(place).filter(one => !one.includes("table"))).toEqual([
    "10.78.0.0/24 scope link src 10.78.0.2",
  ]);
  expect(place.sh("ip", "route", "get", "10.78.0.99")).toContain("dev eth1 src 10.78.0.2");
  expect(place.sh("ip", "route", "get", "fd78::99")).toMatch(/dev eth1 .*src fd78::2/);
  expect(way(place, "203.0.113.9")).toEqual(["10.77.0.1", "eth0"]);
});

test("one at a time: who holds the lock of the namespace's file, as Go's plugin does, is waited for", async () => {
  const place = container("abc");
  const held = lock(place.path);
  const child = world.spawn({ do: "add", list: second(), attachment: on("abc", place) });
  // `-> FLOCK` is one who waits (proc_locks(5)).
  const waits = () => new RegExp(`-> FLOCK .* ${child.pid} `).test(readFileSync("/proc/locks", "utf8"));
  await until(waits, () => "nobody waits for the lock");
  expect(rulesOf(place)).toEqual([]);
  held.release();
  expect(await child.exited).toBe(0);
  expect(rulesOf(place)).toEqual(["32765: from 10.78.0.2 lookup 100"]);
});

test("CHECK tells of a rule that is gone; DEL is quiet without interface, namespace or path; refusals", () => {
  const place = container("abc");
  const conf = second();
  world.step({ do: "add", list: conf, attachment: on("abc", place) });
  place.sh("ip", "rule", "del", "from", "10.78.0.2");
  expect(world.steps({ do: "check", list: conf, attachment: on("abc", place) })[0]!.error).toBe(
    "no rule leads from 10.78.0.2/32 to a table of its own",
  );
  place.sh("ip", "rule", "add", "from", "10.78.0.2", "table", "100");
  place.sh("ip", "link", "del", "eth1");
  world.step({ do: "del", list: conf, attachment: on("abc", place) });
  expect(rulesOf(place)).toEqual([]);
  for (const path of ["", "/run/netns/portolan-gone"])
    world.step({ do: "del", list: conf, attachment: { ...on("abc", place), netns: path } });
  const gone = { ...on("abc", place), netns: "/run/netns/portolan-gone" };
  expect(world.steps({ do: "add", list: second(), attachment: gone })[0]!.error).toContain("portolan-gone");
  expect(existsSync(gone.netns)).toBe(false);
  for (const [list, says] of [
    [second({ table: 0 }), "invalid table 0"],
    [second({ gateways: ["10.78"] }), "invalid gateway address: 10.78"],
  ] as const) {
    expect(world.steps({ do: "status", list })[0]!.error).toBe(says);
    expect(world.steps({ do: "add", list, attachment: on("abc", place) })[0]).toMatchObject({
      error: says,
      code: 7,
    });
  }
  const alone = world.list("two", { plugins: [{ type: "sbr" }] });
  expect(world.steps({ do: "add", list: alone, attachment: on("abc", place) })[0]!.error).toBe(
    "This plugin must be called as chained plugin",
  );
});
