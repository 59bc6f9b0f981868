import { expect, test } from "bun:test";
import { parseServiceRequest } from "../netd/service-message.ts";
import type { HostNetwork } from "./host-network.ts";
import { planUserMode } from "./user-mode.ts";
import { parseUserMode } from "./user-mode-options.ts";

const loopback = {
  name: "lo",
  mac: "00:00:00:00:00:00",
  addresses: [{ ip: "127.0.0.1", prefix: 8, scope: "host" }],
};
const HOST: HostNetwork = {
  interfaces: [
    loopback,
    {
      name: "ens3",
      mac: "52:54:00:12:34:56",
      addresses: [
        { ip: "192.0.2.1", prefix: 24, scope: "global" },
        { ip: "fe80::1234", prefix: 64, scope: "link" },
        { ip: "2001:db8::1", prefix: 64, scope: "global" },
      ],
    },
    { name: "wg0", mac: "", addresses: [{ ip: "10.9.0.7", prefix: 32, scope: "global" }] },
  ],
  routes: [
    { dst: "0.0.0.0/0", gateway: "192.0.2.254", interface: "ens3", metric: 100 },
    { dst: "0.0.0.0/0", gateway: "", interface: "wg0", metric: 200 },
    { dst: "::/0", gateway: "fe80::1", interface: "ens3", metric: 1024 },
  ],
};

function plan(list: string, host: HostNetwork = HOST) {
  const found = planUserMode(parseUserMode(list ? `pasta:${list}` : "pasta")!, host);
  // The service takes it as it is.
  const request = { op: "tap", key: "k", seq: 1, settings: found.settings };
  const read = parseServiceRequest(new TextEncoder().encode(JSON.stringify(request))).request;
  expect(read).toMatchObject({ settings: found.settings });
  return found;
}

test("the container is the host's twin", () => {
  expect(plan("")).toEqual({
    mode: "pasta",
    settings: {
      ipv4: { subnet: "192.0.2.0/24", gateway: "192.0.2.254", dns: "169.254.1.1", guest: "192.0.2.1" },
      ipv6: {
        prefix: "2001:db8::/64",
        gateway: "fe80::1",
        dns: "fd70:6f72:746f:6c61::1",
        guest: "2001:db8::1",
      },
      mtu: 65520,
      hostLoopback: false,
      shared: true,
      aliases: [
        { address: "169.254.1.2", to: "192.0.2.1" },
        { address: "fd70:6f72:746f:6c61::2", to: "2001:db8::1" },
      ],
      without: [],
      dns: true,
      outbound: {},
    },
    ifName: "ens3",
    mtu: 65520,
    addresses: ["192.0.2.1/24", "2001:db8::1/64"],
    routes: [
      { dst: "0.0.0.0/0", gateway: "192.0.2.254" },
      { dst: "::/0", gateway: "fe80::1" },
    ],
    guest: { ipv4: "192.0.2.1", ipv6: "2001:db8::1" },
    nameservers: ["169.254.1.1"],
    search: [],
    hostAddress: "169.254.1.2",
  });
});

test("options speak over what is copied", () => {
  const found = plan(
    "-4,-a,10.1.2.3,-n,24,-g,10.1.2.1,-I,wan,-m,1500,--dns-forward,10.1.2.53,--map-gw,--map-host-loopback,10.1.2.9,--map-guest-addr,none,--ns-mac-addr,02:00:00:00:00:07,-o,192.0.2.1,--outbound-if4,ens3",
  );
  expect(found).toMatchObject({
    ifName: "wan",
    mtu: 1500,
    mac: "02:00:00:00:00:07",
    addresses: ["10.1.2.3/24"],
    routes: [{ dst: "0.0.0.0/0", gateway: "10.1.2.1" }],
    nameservers: ["10.1.2.53"],
    hostAddress: "10.1.2.9",
    settings: {
      hostLoopback: true,
      aliases: [{ address: "10.1.2.9", to: "loopback" }],
      outbound: { ipv4: "192.0.2.1", device4: "ens3" },
    },
  });
  expect(found.settings.ipv6).toBeUndefined();
});

test("an address without a prefix has that of its class, and its gateway a route of its own", () => {
  const { addresses, routes } = plan("-4,-a,10.1.2.3");
  expect(addresses).toEqual(["10.1.2.3/8"]);
  expect(routes).toEqual([{ dst: "192.0.2.254/32" }, { dst: "0.0.0.0/0", gateway: "192.0.2.254" }]);
});

test("a named interface is copied, also one without a gateway", () => {
  const found = plan("-i,wg0");
  expect(found).toMatchObject({ ifName: "wg0", addresses: ["10.9.0.7/32"], guest: { ipv6: "" } });
  expect(found.routes).toEqual([{ dst: "10.9.0.4/32" }, { dst: "0.0.0.0/0", gateway: "10.9.0.4" }]);
  expect(() => plan("-i,eth9")).toThrow("pasta: invalid interface name eth9: no such device");
  expect(() => plan("--outbound-if6,eth9")).toThrow("pasta: invalid interface name eth9: no such device");
});

test("IPv6 alone has resolver and host too", () => {
  expect(plan("-6")).toMatchObject({
    addresses: ["2001:db8::1/64"],
    guest: { ipv4: "", ipv6: "2001:db8::1" },
    nameservers: ["fd70:6f72:746f:6c61::1"],
    hostAddress: "fd70:6f72:746f:6c61::2",
  });
});

test("a host without any network gives link-local addresses", () => {
  expect(plan("", { interfaces: [loopback], routes: [] })).toMatchObject({
    ifName: "tap0",
    addresses: ["169.254.2.1/16"],
    routes: [{ dst: "0.0.0.0/0", gateway: "169.254.2.2" }],
    hostAddress: "",
  });
});
