import { expect, test } from "bun:test";
import { parseConfList } from "../cni/conflist.ts";
import { describe } from "./definition.ts";

const shown = (plugins: object[], more: object = {}) =>
  describe(parseConfList(JSON.stringify({ cniVersion: "0.3.1", name: "n", ...more, plugins })), "");

test("flannel's conflist, as its DaemonSet writes it", () => {
  const flannel = { type: "flannel", delegate: { hairpinMode: true, isDefaultGateway: true } };
  const portmap = { type: "portmap", capabilities: { portMappings: true } };
  const { driver, subnets, internal, dns_enabled, ipam_options } = shown([flannel, portmap]);
  expect({ driver, subnets, internal, dns_enabled, ipam_options }).toEqual({
    driver: "flannel",
    subnets: undefined,
    internal: false,
    dns_enabled: false,
    ipam_options: { driver: "none" },
  });
});

test("kindnet's and containerd's: ptp or bridge, ranges of host-local", () => {
  const ipam = {
    type: "host-local",
    dataDir: "/run/x",
    ranges: [[{ subnet: "10.244.0.0/24" }], [{ subnet: "fd00::/64" }]],
  };
  const info = shown([{ type: "ptp", ipMasq: false, ipam, mtu: 1450 }]);
  expect([info.driver, info.subnets?.map(one => one.subnet), info.ipv6_enabled, info.options]).toEqual([
    "ptp",
    ["10.244.0.0/24", "fd00::/64"],
    true,
    { mtu: "1450" },
  ]);
});

test("what other plugins mean by the same keys is passed over", () => {
  const calico = {
    type: "calico",
    mtu: 1440,
    ipam: { type: "calico-ipam", ranges: "usePodCidr", subnet: "usePodCidr" },
  };
  expect(shown([calico]).subnets).toBeUndefined();
  for (const ipam of [{ ranges: [null, 5, [{}]] }, { ranges: {} }, { subnet: 7 }])
    expect(shown([{ type: "x", ipam }], { args: null }).subnets).toBeUndefined();
});
