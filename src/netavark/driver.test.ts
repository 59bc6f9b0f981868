import { expect, test } from "bun:test";
import fc from "fast-check";
import { chainOf, driverOptions, givenAddresses, portMaps } from "./driver.ts";
import { readRequest } from "./input.ts";

const NETWORK = {
  name: "net",
  id: "53ce4390f2ad",
  driver: "bridge",
  network_interface: "podman1",
  subnets: [{ subnet: "10.91.0.0/24", gateway: "10.91.0.1" }, { subnet: "fd91::/64" }],
  internal: false,
  dns_enabled: true,
  ipv6_enabled: true,
};
const WISH = { interface_name: "eth0", static_ips: ["10.91.0.5", "fd91::5"] };

const request = (network: object = {}, wish: object = {}, more: object = {}) =>
  readRequest(
    JSON.stringify({
      container_id: "c1",
      container_name: "one",
      networks: { net: { ...WISH, ...wish } },
      network_info: { net: { ...NETWORK, ...network } },
      ...more,
    }),
  );
const join = (network: object = {}, wish: object = {}) => request(network, wish).joins[0]!;

test("a bridge network is a chain of our plugins", () => {
  const one = join({ options: { isolate: "true", mtu: "1400" } });
  const options = driverOptions(one.network);
  const chain = chainOf(one, options, givenAddresses(one), options.mtu);
  expect(chain.plugins).toEqual([
    {
      type: "bridge",
      bridge: "podman1",
      // One of its subnets has no gateway, so the chain makes none.
      isGateway: false,
      ipMasq: true,
      mtu: 1400,
      capabilities: { mac: true },
      ipam: {
        type: "static",
        addresses: [{ address: "10.91.0.5/24", gateway: "10.91.0.1" }, { address: "fd91::5/64" }],
      },
    },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "firewall", ingressPolicy: "same-bridge" },
  ]);
});

test("an internal network and a bridge of somebody else's have no rules", () => {
  for (const network of [{ internal: true, dns_enabled: false }, { options: { mode: "unmanaged" } }]) {
    const one = join(network);
    const { plugins } = chainOf(one, driverOptions(one.network), [], 0);
    expect(plugins).toHaveLength(1);
    expect(plugins[0]).toMatchObject({ isGateway: false, ipMasq: false });
  }
  // Where the host drops what comes to it, questions for names are let in.
  const inner = join({ internal: true });
  const { plugins } = chainOf(inner, driverOptions(inner.network), [], 0);
  expect(plugins.map(one => one.type)).toEqual(["bridge", "firewall"]);
});

test("both forms of `networks` are read, and interfaces put them in order", () => {
  const two = { ...NETWORK, name: "two" };
  const networks = [
    { name: "net", interface_name: "eth10", static_ips: [] },
    { name: "two", interface_name: "eth9", static_ips: [] },
  ];
  const { joins } = request({}, {}, { networks, network_info: { net: NETWORK, two } });
  expect(joins.map(one => one.network.name)).toEqual(["two", "net"]);
});

test("what can't be made is refused in netavark's words", () => {
  const options = (texts: Record<string, string>) => () => driverOptions(join({ options: texts }).network);
  expect(options({ mtu: "x" })).toThrow('unable to parse "mtu": invalid digit found in string');
  expect(options({ mode: "bar" })).toThrow('invalid bridge mode "bar"');
  expect(options({ isolate: "yes" })).toThrow('unable to parse "isolate"');
  expect(options({ no_default_route: "1" })).toThrow("provided string was not `true` or `false`");
  expect(() => driverOptions(join({ ipam_options: { driver: "dhcp" } }).network)).toThrow(
    "cannot use dhcp ipam driver without using the option mode=unmanaged",
  );
  expect(() => givenAddresses(join({}, { static_ips: [] }))).toThrow("no static ips provided");
  expect(() => givenAddresses(join({ ipam_options: { driver: "foo" } }))).toThrow(
    "unsupported ipam driver foo",
  );
  expect(() => givenAddresses(join({}, { static_ips: ["10.9.9.9"] }))).toThrow(
    "is in no subnet of network net",
  );
  expect(() => readRequest("{}")).toThrow("failed to load network options: missing field `networks`");
  expect(() => readRequest("x")).toThrow("failed to load network options: ");
  expect(() => request({}, {}, { networks: {} })).toThrow("network options for network net not found");
});

test("ports serve the families that are asked for", () => {
  const port = (host_ip: string, protocol = "tcp", range = 1) => ({
    ...{ host_ip, protocol, range },
    ...{ host_port: 80, container_port: 8080 },
  });
  const maps = (ports: ReturnType<typeof port>[], ...families: (4 | 6)[]) =>
    portMaps(ports, new Set(families)).map(one => `${one.hostIP ?? "*"} ${one.protocol} ${one.range ?? 1}`);
  expect(maps([port(""), port("", "tcp,udp", 3)], 4, 6)).toEqual(["* tcp 1", "* tcp 3", "* udp 3"]);
  expect(maps([port(""), port("127.0.0.1"), port("::1")], 6)).toEqual([":: tcp 1", "::1 tcp 1"]);
  expect(maps([port("")])).toEqual([]);
  expect(() => maps([port("x")], 4)).toThrow('invalid host ip "x"');
});

test("whatever is given is read or refused with a line", () => {
  fc.assert(
    fc.property(fc.json(), text => {
      try {
        readRequest(text);
      } catch (error) {
        expect((error as Error).name).toBe("UserError");
      }
    }),
  );
});
