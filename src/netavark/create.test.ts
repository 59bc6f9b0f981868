import { expect, test } from "bun:test";
import fc from "fast-check";
import { contains, parseCidr, parseIP } from "../wire/addr.ts";
import { createNetwork } from "./create.ts";

const ID = "abc123def4567890123456789012345678901234567890123456789012345678";
const NOW = new Date("2026-01-02T03:04:05.678Z");

interface Made {
  subnets: { subnet: string; gateway?: string; lease_range?: object }[];
  [key: string]: unknown;
}

function create(network: object = {}, used: object = {}, options: object = {}): Made {
  const request = {
    network: {
      name: "net",
      id: ID,
      driver: "bridge",
      internal: false,
      dns_enabled: false,
      ipv6_enabled: false,
      ...network,
    },
    used: { interfaces: [], names: {}, subnets: [], ...used },
    options: {
      subnet_pools: [{ base: "10.89.0.0/16", size: 24 }],
      default_interface_name: "podman",
      check_used_subnets: false,
      ...options,
    },
  };
  return JSON.parse(JSON.stringify(createNetwork(JSON.stringify(request), NOW))) as Made;
}

test("a bridge of which nothing is said", () => {
  expect(create()).toEqual({
    name: "net",
    id: ID,
    driver: "bridge",
    network_interface: "podman0",
    created: NOW.toISOString(),
    subnets: [{ subnet: "10.89.0.0/24", gateway: "10.89.0.1" }],
    ipv6_enabled: false,
    internal: false,
    dns_enabled: false,
    ipam_options: { driver: "host-local" },
  });
});

test("names, interfaces and subnets that are used are left alone", () => {
  const used = {
    interfaces: ["podman0", "podman1"],
    names: { other: "1" },
    subnets: ["10.89.0.0/24", "10.89.1.128/25"],
  };
  expect(create({}, used)).toMatchObject({
    network_interface: "podman2",
    subnets: [{ subnet: "10.89.2.0/24", gateway: "10.89.2.1" }],
  });
  expect(() => create({ name: "other" }, used)).toThrow("network already exists other");
  expect(() => create({ network_interface: "podman1" }, used)).toThrow("bridge name podman1 already in use");
  expect(
    create({ network_interface: "podman1", options: { mode: "unmanaged" } }, used).network_interface,
  ).toBe("podman1");
  expect(() => create({}, { subnets: ["10.89.0.0/16"] })).toThrow(
    "could not find free subnet from subnet pools",
  );
});

test("names and ids", () => {
  expect(() => create({ name: "" })).toThrow("Network name must be supplied");
  expect(() => create({ id: "" })).toThrow("Network id must be supplied");
  expect(() => create({ name: "badname!" })).toThrow(
    'Invalid characters in network name "badname!": must match [a-zA-Z0-9][a-zA-Z0-9_.-]*',
  );
});

test("what is said is kept", () => {
  const asked = {
    labels: { key1: "value1" },
    options: { mtu: "1500", vlan: "100", isolate: "strict", metric: "5", vrf: "blue" },
    network_dns_servers: ["8.8.8.8", "1.1.1.1"],
    dns_enabled: true,
    created: "2020-01-01T00:00:00Z",
  };
  expect(create(asked)).toMatchObject(asked);
  expect(
    create({ options: { "com.docker.network.driver.mtu": "9000", "com.docker.network.bridge.name": "br7" } }),
  ).toMatchObject({ options: { mtu: "9000" }, network_interface: "br7" });
});

test("subnets and gateways", () => {
  const one = (subnet: object, network: object = {}) => create({ subnets: [subnet], ...network }).subnets[0];
  expect(one({ subnet: "10.100.0.7/24" })).toEqual({ subnet: "10.100.0.0/24", gateway: "10.100.0.1" });
  expect(one({ subnet: "10.100.0.0/24", gateway: "10.100.0.50" })?.gateway).toBe("10.100.0.50");
  expect(one({ subnet: "10.100.0.0/24" }, { internal: true })).toEqual({ subnet: "10.100.0.0/24" });
  expect(one({ subnet: "10.100.0.0/24" }, { internal: true, dns_enabled: true })?.gateway).toBe("10.100.0.1");
  const lease = { start_ip: "10.100.0.20", end_ip: "10.100.0.50" };
  expect(one({ subnet: "10.100.0.0/24", lease_range: lease })?.lease_range).toEqual(lease);
  expect(one({ subnet: "10.100.0.0/24", lease_range: { start_ip: "10.100.0.20" } })?.lease_range).toEqual({
    start_ip: "10.100.0.20",
  });
  expect(() => one({ subnet: "10.100.0.0/24", gateway: "10.200.0.1" })).toThrow(
    "gateway 10.200.0.1 not in subnet 10.100.0.0/24",
  );
  expect(() => one({ subnet: "10.100.0.0/24", lease_range: { start_ip: "10.200.0.20" } })).toThrow(
    "lease range start_ip 10.200.0.20 not in subnet 10.100.0.0/24",
  );
  expect(() => one({ subnet: "192.168.0.0/32" })).toThrow("has no address to be a gateway");
  expect(() => one({ subnet: "nonsense" })).toThrow("invalid IP address syntax");
});

test("subnets that clash", () => {
  const subnets = (...list: string[]) => ({ subnets: list.map(subnet => ({ subnet })) });
  const checked = { check_used_subnets: true };
  expect(() => create(subnets("10.1.2.0/23", "10.1.3.248/30"))).toThrow(
    "overlapping subnets: 10.1.2.0/23 and 10.1.3.248/30",
  );
  expect(() => create(subnets("10.100.0.0/24", "10.100.0.0/24"))).toThrow(
    "duplicate subnet defined: 10.100.0.0/24",
  );
  expect(() => create(subnets("10.1.3.248/30"), { subnets: ["10.1.2.0/23"] }, checked)).toThrow(
    "subnet 10.1.3.248/30 is already used",
  );
  expect(create(subnets("10.1.3.248/30"), { subnets: ["10.1.2.0/23"] }).subnets).toHaveLength(1);
  for (const driver of ["macvlan", "ipvlan"]) {
    const asked = { driver, network_interface: "eth0", ...subnets("10.1.3.248/30") };
    const used = { interfaces: ["eth0"], subnets: ["10.1.2.0/23"] };
    expect(create(asked, used, checked).subnets).toHaveLength(1);
  }
});

test("dual stack", () => {
  const both = create({ ipv6_enabled: true }).subnets.map(one => one.subnet);
  expect(both).toEqual(["10.89.0.0/24", expect.stringMatching(/^fd[0-9a-f:]+\/64$/)]);
  const four = create({ ipv6_enabled: true, subnets: [{ subnet: "10.100.0.0/24" }] });
  expect(four.subnets.map(one => one.subnet.includes(":"))).toEqual([false, true]);
  const six = create({ subnets: [{ subnet: "fdcc::/64" }] });
  expect(six).toMatchObject({ ipv6_enabled: true, subnets: [{ subnet: "fdcc::/64", gateway: "fdcc::1" }] });
});

test("servers of names", () => {
  expect(() => create({ dns_enabled: true, network_dns_servers: ["a.b.c.d"] })).toThrow(
    "invalid IP address syntax",
  );
  expect(() => create({ network_dns_servers: ["8.8.8.8"] })).toThrow("DNS is not enabled");
});

test("address plugins and other drivers", () => {
  const none = { ipam_options: { driver: "none" } };
  expect(create({ ...none, dns_enabled: true })).toMatchObject({ ...none, dns_enabled: false });
  expect(create(none)).not.toHaveProperty("subnets");
  expect(() => create({ ...none, subnets: [{ subnet: "10.1.0.0/24" }] })).toThrow(
    "None ipam driver is set but subnets are given",
  );
  const macvlan = { driver: "macvlan", network_interface: "eth0", dns_enabled: true };
  expect(create(macvlan)).toMatchObject({
    ipam_options: { driver: "dhcp" },
    dns_enabled: false,
    network_interface: "eth0",
  });
  expect(
    create({ ...macvlan, subnets: [{ subnet: "10.200.0.0/24" }], options: { mode: "bridge", bclim: "-1" } }),
  ).toMatchObject({
    ipam_options: { driver: "host-local" },
    subnets: [{ subnet: "10.200.0.0/24" }],
    options: { mode: "bridge", bclim: "-1" },
  });
  expect(() => create({ driver: "ipvlan" })).toThrow("ipam driver dhcp is not supported with ipvlan");
  expect(create({ driver: "ipvlan", subnets: [{ subnet: "10.200.0.0/24" }] }).ipam_options).toEqual({
    driver: "host-local",
  });
  expect(() => create({ ...macvlan, internal: true })).toThrow(
    "internal is not supported with macvlan and dhcp",
  );
  expect(() => create({ driver: "foo" })).toThrow("unsupported driver foo");
});

test("options that make no sense", () => {
  const options =
    (texts: object, driver = "bridge") =>
    () =>
      create({ driver, options: texts, subnets: [{ subnet: "10.5.0.0/24" }] });
  expect(options({ mtu: "abc" })).toThrow('unable to parse "mtu": invalid digit found in string');
  expect(options({ vlan: "5000" })).toThrow("vlan must be between 0 and 4094");
  expect(options({ isolate: "maybe" })).toThrow('unable to parse "isolate"');
  expect(options({ mode: "l2" })).toThrow('invalid bridge mode "l2"');
  expect(options({ mode: "managed" }, "macvlan")).toThrow('invalid macvlan mode "managed"');
  expect(options({ foo: "bar" })).toThrow("unsupported bridge network option foo");
  expect(options({ vlan: "5" }, "macvlan")).toThrow("unsupported macvlan network option vlan");
});

test("routes", () => {
  const unicast = [{ destination: "10.89.0.0/24", gateway: "10.88.0.2" }];
  const blackhole = [{ destination: "10.89.0.0/24", route_type: "blackhole" }];
  expect(create({ routes: unicast }).routes).toEqual(unicast);
  expect(create({ routes: blackhole }).routes).toEqual(blackhole);
  const refused = (route: object, why: string) => expect(() => create({ routes: [route] })).toThrow(why);
  refused({ destination: "10.89.0.0/24" }, "route 10.89.0.0/24 requires a gateway for type unicast");
  refused(
    { ...blackhole[0], ...unicast[0] },
    "route 10.89.0.0/24 must not have a gateway for type blackhole",
  );
  refused({ destination: "here", gateway: "10.88.0.2" }, "invalid IP address syntax");
  refused({ destination: "10.89.0.0/24", gateway: "there" }, "invalid IP address syntax");
});

test("a free subnet is in a pool, overlaps nothing used and has its gateway inside", () => {
  const byte = fc.integer({ min: 0, max: 255 });
  const subnet = fc
    .tuple(byte, byte, fc.integer({ min: 20, max: 30 }))
    .map(([a, b, size]) => `10.89.${a}.${b}/${size}`);
  fc.assert(
    fc.property(fc.array(subnet, { maxLength: 20 }), subnets => {
      const [made] = create({}, { subnets }).subnets;
      const cidr = parseCidr(made!.subnet)!;
      expect(contains(parseCidr("10.89.0.0/16")!, cidr.ip)).toBe(true);
      expect(contains(cidr, parseIP(made!.gateway!)!)).toBe(true);
      for (const text of subnets) {
        const other = parseCidr(text)!;
        expect(contains(cidr, other.ip) || contains(other, cidr.ip)).toBe(false);
      }
    }),
  );
});

test("whatever is given is completed or refused with a line", () => {
  fc.assert(
    fc.property(fc.json(), fc.json(), (network, rest) => {
      try {
        createNetwork(`{"network":${network},"used":${rest},"options":${rest}}`);
      } catch (error) {
        expect((error as Error).name).toBe("UserError");
      }
    }),
  );
});
