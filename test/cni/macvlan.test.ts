/** macvlan beside Go's, and what the runtime does to networks besides the specification's verbs. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { World } from "./world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world[Symbol.dispose]());

interface Shown {
  ifname: string;
  mtu: number;
  address: string;
  operstate: string;
  linkinfo: { info_kind: string; info_data: { mode: string } };
}

const list = (more: object) =>
  JSON.stringify({
    cniVersion: "1.0.0",
    name: "wire",
    plugins: [
      {
        type: "macvlan",
        ipam: {
          type: "host-local",
          dataDir: join(world.directory, "networks"),
          routes: [{ dst: "0.0.0.0/0" }, ...("mtu" in more ? [{ dst: "::/0" }] : [])],
          ranges: [
            [{ subnet: "192.0.2.0/24", rangeStart: "192.0.2.9" }],
            // Go's may wait ten seconds for its address of IPv6: once is enough.
            ...("mtu" in more ? [[{ subnet: "fd00:2::/64" }]] : []),
          ],
        },
        ...more,
      },
    ],
  });

test.each([
  { master: "wan0" },
  { mode: "private", mtu: 1400 },
  { master: "wan0", mode: "vepa", capabilities: { mac: true } },
])("as Go's makes it: %p", conf => {
  world.outside();
  world.host.sh("ip", "route", "add", "default", "via", "192.0.2.2");
  const made = [[], ["macvlan", "host-local"]].map(foreign => {
    const place = world.container();
    const options = { ...world.options, pluginPath: ["/usr/lib/cni"], foreign };
    const attachment = {
      ...world.attachment("abc", place.path),
      capabilityArgs: { mac: "92:d0:c6:0a:29:33" },
      cniArgs: [
        ["IgnoreUnknown", "1"],
        ["IP", "192.0.2.77"],
      ] as [string, string][],
    };
    const result = world.step({ do: "add", list: list(conf), attachment, options })!;
    const [link] = place.json<Shown[]>("ip", "-j", "-d", "link", "show", "eth0");
    const { mtu, address, linkinfo, operstate } = link!;
    const hasMac = "capabilities" in conf;
    const ips = place.json<{ addr_info: { local: string; prefixlen: number }[] }[]>(
      "ip",
      "-j",
      "addr",
      "show",
      "eth0",
    );
    const seen = {
      ips: ips[0]!.addr_info
        .filter(one => !one.local.startsWith("fe80"))
        .map(one => [one.local, one.prefixlen]),
      routes: place
        .json<{ dst: string; gateway?: string }[]>("ip", "-j", "route")
        .map(one => [one.dst, one.gateway]),
      link: [mtu, linkinfo.info_kind, linkinfo.info_data.mode, operstate, hasMac ? address : ""],
      result: {
        ips: result.ips,
        routes: result.routes,
        interfaces: result.interfaces.map(one => [
          one.name,
          one.sandbox === place.path,
          hasMac ? one.mac : "",
        ]),
      },
    };
    world.step({ do: "del", list: list(conf), attachment, options });
    expect(place.json<Shown[]>("ip", "-j", "link").map(one => one.ifname)).toEqual(["lo"]);
    expect(world.files("networks/wire").filter(one => /^\d|^fd/.test(one))).toEqual([]);
    // Both begin anew behind the same address.
    world.step({ do: "forget", list: list(conf) });
    return seen;
  });
  expect(made[0]!.link[1]).toBe("macvlan");
  expect(made[0]).toEqual(made[1]!);
});

test("a parent that is not there, a mode or an MTU that can't be: told in one line, and no address is taken", () => {
  world.outside();
  for (const [conf, says] of [
    [{ master: "nope" }, "the parent interface nope of the macvlan is not there"],
    [{}, "no default route interface found: the macvlan names no master"],
    [{ master: "wan0", mode: "x" }, 'unknown macvlan mode: "x"'],
    [{ master: "wan0", mtu: 9000 }, "invalid MTU 9000, must be [0, master MTU(1500)]"],
  ] as const) {
    const attachment = world.attachment("abc", world.container().path);
    expect(world.steps({ do: "add", list: list(conf), attachment })[0]!.error).toBe(says);
  }
  expect(world.files("networks/wire").filter(one => /^\d|^fd/.test(one))).toEqual([]);
});

test("refresh brings the rules back after somebody emptied the ruleset, and leaves the interface alone", () => {
  const place = world.container();
  const ports = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }];
  const conf = world.list("net", { firewall: { ingressPolicy: "same-bridge" } });
  world.step({ do: "add", list: conf, attachment: world.attachment("abc", place.path, ports) });
  const [rules, links] = [world.elements(), place.sh("ip", "-d", "addr")];
  expect(rules).toContain("8080");
  world.host.sh("nft", "flush", "ruleset");
  world.step({ do: "refresh", list: conf, attachment: world.attachment("abc", place.path) });
  expect(world.elements()).toBe(rules);
  expect(place.sh("ip", "-d", "addr")).toBe(links);
  // Ports that are others take the place of those before, and DEL knows them.
  const others = [{ hostPort: 9090, containerPort: 90, protocol: "tcp" }];
  world.step({ do: "refresh", list: conf, attachment: world.attachment("abc", place.path, others) });
  expect(world.elements()).toBe(rules.replaceAll("8080", "9090").replaceAll(/\b80\b/g, "90"));
  world.step({ do: "del", list: conf, attachment: world.attachment("abc", place.path) });
  expect(world.elements()).not.toContain("abc");
  const gone = world.steps({ do: "refresh", list: conf, attachment: world.attachment("abc", place.path) });
  expect(gone[0]!.error).toBe("container abc is not known on network net");
});

test("a pool goes with its network, not while somebody has an address of it", () => {
  const conf = world.list();
  const attachment = world.attachment("abc", world.container().path);
  world.step({ do: "add", list: conf, attachment });
  world.step({ do: "forget", list: conf });
  expect(world.files("networks/net")).toContain("10.77.0.2");
  world.step({ do: "del", list: conf, attachment });
  world.step({ do: "forget", list: conf });
  expect(world.files("networks/net")).toEqual([]);
});
