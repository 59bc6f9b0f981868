import { expect, test } from "bun:test";
import fc from "fast-check";
import { mapJson } from "./go-json.ts";
import { pluginInput } from "./input.ts";
import { formatResult } from "./result.ts";
import type { Result } from "./types.ts";

const RESULT: Result = {
  cniVersion: "1.0.0",
  interfaces: [{ sandbox: "/ns", name: "eth0", mac: "" }],
  ips: [{ gateway: "10.0.0.1", address: "10.0.0.2/24", interface: 0 }],
  routes: [{ gw: "10.0.0.1", dst: "0.0.0.0/0" }],
  dns: { search: [], domain: "a.test" },
};
const conf = { type: "spy", z: { b: 1, a: [{ d: 1, c: null }] }, capabilities: { mac: true } };
const input = (version: string, runtimeConfig?: Record<string, unknown>) =>
  pluginInput({
    conf,
    name: "net",
    cniVersion: version,
    prevResult: formatResult(RESULT, version),
    runtimeConfig,
  });

test("without capability arguments the result has the order of Go's struct, and keys around it are sorted", () => {
  expect(input("0.4.0")).toBe(
    '{"capabilities":{"mac":true},"cniVersion":"0.4.0","name":"net","prevResult":{"cniVersion":"0.4.0",' +
      '"interfaces":[{"name":"eth0","sandbox":"/ns"}],"ips":[{"version":"4","interface":0,"address":"10.0.0.2/24",' +
      '"gateway":"10.0.0.1"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"}],"dns":{"domain":"a.test"}},' +
      '"type":"spy","z":{"a":[{"c":null,"d":1}],"b":1}}',
  );
});

test("with them every key is sorted", () => {
  expect(input("1.0.0", { mac: "02:00:00:00:00:01" })).toBe(
    '{"capabilities":{"mac":true},"cniVersion":"1.0.0","name":"net","prevResult":{"cniVersion":"1.0.0",' +
      '"dns":{"domain":"a.test"},"interfaces":[{"name":"eth0","sandbox":"/ns"}],"ips":[{"address":"10.0.0.2/24",' +
      '"gateway":"10.0.0.1","interface":0}],"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"}]},' +
      '"runtimeConfig":{"mac":"02:00:00:00:00:01"},"type":"spy","z":{"a":[{"c":null,"d":1}],"b":1}}',
  );
});

test("keys go by their bytes, also those that JavaScript puts first; what could be HTML is escaped", () => {
  expect(mapJson({ b: "<&>\u2028", 10: 1, 9: undefined, é: 0, Z: true })).toBe(
    '{"10":1,"Z":true,"b":"\\u003c\\u0026\\u003e\\u2028","é":0}',
  );
});

test("whatever the values, JSON says the same of them as before", () => {
  fc.assert(
    fc.property(fc.jsonValue(), value =>
      expect(JSON.parse(mapJson(value))).toEqual(JSON.parse(JSON.stringify(value))),
    ),
  );
});
