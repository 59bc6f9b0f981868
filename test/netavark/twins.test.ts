/** The same JSON through Debian's netavark 1.4.0 and ours, in twin namespaces: what is otherwise, and why. */
import { describe, expect, test } from "bun:test";
import { CONTAINER, differences, type Facts, Twin } from "./twin.ts";

const NETWORK = {
  name: "net",
  id: "53ce4390f2adb1681eb1a90ec8b48c49c015e0a8d336c197637e7f65e365fa9e",
  driver: "bridge",
  network_interface: "podman1",
  created: "2026-01-01T00:00:00Z",
  subnets: [{ subnet: "10.91.0.0/24", gateway: "10.91.0.1" }],
  ipv6_enabled: false,
  internal: false,
  dns_enabled: false,
  ipam_options: { driver: "host-local" },
};
const SECOND = {
  ...NETWORK,
  name: "second",
  id: "73ce4390f2adb1681eb1a90ec8b48c49c015e0a8d336c197637e7f65e365fa9e",
  network_interface: "podman2",
  subnets: [{ subnet: "10.92.0.0/24", gateway: "10.92.0.1" }],
};
const DUAL = {
  subnets: [...NETWORK.subnets, { subnet: "fd91::/64", gateway: "fd91::1" }],
  ipv6_enabled: true,
};
const port = (more: object = {}) => ({
  container_port: 80,
  host_ip: "",
  host_port: 8080,
  protocol: "tcp",
  range: 1,
  ...more,
});

interface Case {
  name: string;
  networks?: Record<string, object>;
  wishes?: Record<string, object>;
  ports?: object[];
  /** Lines of `differences` besides the usual ones. */
  differs?: (string | RegExp)[];
}

const one = (network: object = {}, wish: object = {}) => ({
  networks: { net: { ...NETWORK, ...network } },
  wishes: { net: { interface_name: "eth0", static_ips: ["10.91.0.5"], ...wish } },
});

const CASES: Case[] = [
  {
    name: "one network and published ports",
    ...one(),
    ports: [port(), port({ host_port: 9000, protocol: "udp", range: 3 })],
  },
  {
    name: "dual stack",
    ...one(DUAL, { static_ips: ["10.91.0.5", "fd91::5"] }),
    ports: [port({ host_ip: "127.0.0.1" })],
  },
  { name: "a hardware address", ...one({}, { static_mac: "aa:bb:cc:dd:ee:ff" }) },
  { name: "an MTU", ...one({ options: { mtu: "1400" } }) },
  {
    name: "a metric",
    ...one({ options: { metric: "250" } }),
    differs: [/^[-+] .*default via.* metric (100|250) static$/],
  },
  { name: "isolation", ...one({ options: { isolate: "true" } }) },
  { name: "an internal network", ...one({ internal: true }) },
  {
    name: "an internal network of both families",
    ...one({ ...DUAL, internal: true }, { static_ips: ["10.91.0.5", "fd91::5"] }),
    differs: [/^[-+] (host|podman1) ipv6.* forwarding [01]$/, /^[-+] host ipv6.conf.all.forwarding [01]$/],
  },
  {
    name: "an internal network without a gateway",
    ...one({ internal: true, subnets: [{ subnet: "10.91.0.0/24" }] }),
  },
  { name: "names", ...one({ dns_enabled: true }, { aliases: ["alias"] }) },
  {
    name: "no addresses",
    ...one({ ipam_options: { driver: "none" }, subnets: undefined }, { static_ips: undefined }),
  },
  {
    name: "two networks",
    networks: { net: NETWORK, second: SECOND },
    wishes: {
      net: { interface_name: "eth0", static_ips: ["10.91.0.5"] },
      second: { interface_name: "eth1", static_ips: ["10.92.0.5"] },
    },
    ports: [port()],
  },
  { name: "macvlan", ...one({ driver: "macvlan", network_interface: "wire" }) },
  {
    name: "macvlan of a mode",
    ...one({ driver: "macvlan", network_interface: "wire", options: { mode: "private", mtu: "1300" } }),
  },
];

/**
 * What is otherwise everywhere: rp_filter and arp_notify as netavark has them since 1.8 and 1.9; no duplicate address detection on
 * what we make; IPv6 does not pass an internal bridge.
 */
const USUAL = [
  / ipv4 rp_filter [02]$/,
  / ipv4 arp_notify [01]$/,
  / ipv6 accept_dad [01]$/,
  / ipv6 autoconf [01]$/,
  /podman. ipv6 accept_ra [01]$/,
];

function requestOf({ networks = {}, wishes = {}, ports = [] }: Case): object {
  return {
    container_id: CONTAINER,
    container_name: "one",
    port_mappings: ports,
    networks: wishes,
    network_info: networks,
  };
}

function factsOf(which: "debian" | "ours", one: Case): Facts {
  using twin = new Twin(which);
  const request = requestOf(one);
  const answer = twin.answer("setup", request);
  const networks = Object.values(one.networks ?? {}) as { driver: string; network_interface: string }[];
  const bridges = networks.filter(net => net.driver === "bridge").map(net => net.network_interface);
  const interfaces = Object.values(one.wishes ?? {}).map(
    wish => (wish as { interface_name: string }).interface_name,
  );
  const facts = { answer, ...twin.facts(bridges, interfaces) };
  const end = twin.answer("teardown", request);
  const left = twin.facts([], []);
  return { ...facts, end, left: [...left.host!, ...left.container!.slice(1)] };
}

describe("setup and teardown", () => {
  for (const one of CASES)
    test(one.name, () => {
      const [debians, ours] = [factsOf("debian", one), factsOf("ours", one)];
      expect(ours.answer![0]).toBe("exit 0");
      expect(ours.left).toEqual([]);
      const found = differences(debians, ours);
      const known = [...USUAL, ...(one.differs ?? [])];
      expect(
        found.filter(
          line => !known.some(other => (typeof other === "string" ? line === other : other.test(line))),
        ),
      ).toEqual([]);
    });
});

describe("refusals", () => {
  const refused = (name: string, request: object | string, differs = false) =>
    test(name, () => {
      using debian = new Twin("debian");
      using ours = new Twin("ours");
      const [theirs, mine] = [debian.answer("setup", request), ours.answer("setup", request)];
      expect(mine[0]).toBe("exit 1");
      expect(theirs[0]).toBe("exit 1");
      const text = (line: string | undefined) => line?.replace("IO error: ", "");
      if (!differs) expect(text(mine[1])).toBe(text(theirs[1]));
      else expect(mine[1]).toMatch(/^error "/);
      const left = ours.facts([], []);
      expect([...left.host!, ...left.container!.slice(1)]).toEqual([]);
    });
  const changed = (network: object, wish: object = {}) => requestOf({ name: "", ...one(network, wish) });
  // serde tells line and column.
  refused("no JSON", "x", true);
  refused("a field that is missing", "{}", true);
  refused("no wishes for the network", { ...changed({}), networks: {} });
  refused("no addresses", changed({}, { static_ips: undefined }));
  refused("an address plugin that nobody knows", changed({ ipam_options: { driver: "foo" } }));
  refused("an MTU that is no number", changed({ options: { mtu: "x" } }));
  // The name is in quotes since 1.5.
  refused("a driver that nobody knows", changed({ driver: "foo" }), true);
  refused(
    "a mode that macvlan has not",
    changed({ driver: "macvlan", network_interface: "wire", options: { mode: "x" } }),
  );

  test("a namespace that is not there: setup refuses, teardown takes what it finds", () => {
    using ours = new Twin("ours");
    const request = changed({});
    expect(ours.answer("setup", request, "/run/netns/nothing")[1]).toContain("invalid namespace path");
    expect(ours.answer("setup", request)[0]).toBe("exit 0");
    expect(ours.answer("teardown", request, "/run/netns/nothing")).toEqual(["exit 0"]);
    expect(ours.facts([], []).host).toEqual([]);
    expect(ours.answer("teardown", request)).toEqual(["exit 0"]);
  });
});
