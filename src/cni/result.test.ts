import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatResult, parseResult } from "./result.ts";
import { CniError, type Result, SUPPORTED_VERSIONS } from "./types.ts";

const dual: Result = {
  cniVersion: "1.1.0",
  interfaces: [
    { name: "cni0", mac: "02:00:00:00:00:01", mtu: 1500 },
    { name: "eth0", mac: "02:00:00:00:00:02", mtu: 1500, sandbox: "/run/netns/x" },
  ],
  ips: [
    { address: "10.88.0.5/16", gateway: "10.88.0.1", interface: 1 },
    { address: "fd00::5/64", gateway: "fd00::1", interface: 1 },
  ],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0", gw: "fd00::1" }],
  dns: { nameservers: ["10.88.0.1"] },
};
const json = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

test("0.3 and 0.4: each address says its version, interfaces have no mtu", () => {
  expect(json(formatResult(dual, "0.4.0"))).toEqual({
    cniVersion: "0.4.0",
    interfaces: [
      { name: "cni0", mac: "02:00:00:00:00:01" },
      { name: "eth0", mac: "02:00:00:00:00:02", sandbox: "/run/netns/x" },
    ],
    ips: [
      { version: "4", address: "10.88.0.5/16", gateway: "10.88.0.1", interface: 1 },
      { version: "6", address: "fd00::5/64", gateway: "fd00::1", interface: 1 },
    ],
    routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0", gw: "fd00::1" }],
    dns: { nameservers: ["10.88.0.1"] },
  });
});

test("0.2: one address of each family with its routes; none is an error", () => {
  expect(json(formatResult(dual, "0.2.0"))).toEqual({
    cniVersion: "0.2.0",
    ip4: { ip: "10.88.0.5/16", gateway: "10.88.0.1", routes: [{ dst: "0.0.0.0/0" }] },
    ip6: { ip: "fd00::5/64", gateway: "fd00::1", routes: [{ dst: "::/0", gw: "fd00::1" }] },
    dns: { nameservers: ["10.88.0.1"] },
  });
  expect(() => formatResult({ ...dual, ips: [] }, "0.1.0")).toThrow("cannot convert: no valid IP addresses");
});

test("what is written in any version and read again keeps addresses, gateways and routes", () => {
  for (const version of SUPPORTED_VERSIONS) {
    const again = parseResult(json(formatResult(dual, version)), "0.1.0");
    expect(again.ips.map(one => [one.address, one.gateway])).toEqual(
      dual.ips.map(one => [one.address, one.gateway!]),
    );
    expect(again.routes).toEqual(dual.routes);
    expect(again.cniVersion).toBe(version);
  }
});

test("a result without a version has the configuration's", () => {
  expect(parseResult({ ips: [] }, "0.4.0").cniVersion).toBe("0.4.0");
});

test("whatever a plugin prints, the answer is a result or a CniError", () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.array(fc.record({ address: fc.jsonValue(), name: fc.jsonValue() })),
  );
  const object = fc.record(
    {
      cniVersion: fc.oneof(fc.constantFrom(...SUPPORTED_VERSIONS), fc.jsonValue()),
      ips: value,
      interfaces: value,
      routes: value,
      dns: value,
      ip4: value,
      ip6: value,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), object), data => {
      try {
        const result = parseResult(data, "1.0.0");
        for (const one of result.ips) expect(one.address).toBeString();
        for (const one of result.interfaces) expect(one.name).toBeString();
        for (const one of result.routes) expect(one.dst).toBeString();
      } catch (error) {
        expect(error).toBeInstanceOf(CniError);
      }
    }),
    { numRuns: 1000 },
  );
});
