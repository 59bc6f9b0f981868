/** static: what it gives and refuses, beside Go's: result and message are the same, byte for byte. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { World } from "./world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world[Symbol.dispose]());

const go = () => ({ ...world.options, pluginPath: ["/usr/lib/cni"], foreign: ["static"] });

interface Case {
  version?: string;
  ipam?: object;
  cni?: object;
  args?: [string, string][];
  ips?: string[];
}
const ADDRESSES = [{ address: "10.0.0.3/24", gateway: "10.0.0.1" }, { address: "fd00::3/64" }];
const TWO: [string, string][] = [
  ["IP", "10.1.2.3/24, 10.1.3.3/24"],
  ["GATEWAY", "10.0.0.9,10.1.3.1"],
];

/** A type that has no interface of its own: the address plugin is called as the only one of the chain. */
const run = (one: Case, options: object) =>
  world.steps({
    do: "add",
    list: JSON.stringify({
      cniVersion: one.version ?? "1.0.0",
      name: "net",
      plugins: [
        {
          type: "static",
          capabilities: { ips: true },
          ...(one.ipam ? { ipam: { type: "static", ...one.ipam } } : {}),
          ...(one.cni ? { args: { cni: one.cni } } : {}),
        },
      ],
    }),
    attachment: {
      ...world.attachment("abc", world.container().path),
      cniArgs: one.args,
      capabilityArgs: one.ips && { ips: one.ips },
    },
    options,
  })[0]!;

test.each([
  [
    "addresses, routes and DNS",
    {
      ipam: {
        addresses: ADDRESSES,
        routes: [{ dst: "10.9.0.0/16", gw: "10.0.0.7" }],
        dns: { nameservers: ["10.0.0.1"], search: ["a"] },
      },
    },
  ],
  [
    "CNI_ARGS add, and their gateways go where they can be reached",
    { ipam: { addresses: ADDRESSES }, args: TWO },
  ],
  ["args.cni.ips replace", { ipam: { addresses: ADDRESSES }, args: TWO, cni: { ips: ["10.5.0.1/16"] } }],
  [
    "runtimeConfig.ips replace those too",
    {
      ipam: { addresses: ADDRESSES },
      args: TWO,
      cni: { ips: ["10.5.0.1/16"] },
      ips: ["10.6.0.1/16", "fd06::1/64"],
    },
  ],
  ["an empty list replaces nothing", { ipam: { addresses: ADDRESSES }, cni: { ips: [] }, ips: [] }],
  ["one address a family in old versions", { version: "0.2.0", ipam: { addresses: ADDRESSES } }],
] as [string, Case][])("%s: as Go's", (_, one) => {
  const ours = run(one, world.options);
  expect(ours.error).toBeUndefined();
  expect(ours.result!.ips.length).toBeGreaterThan(0);
  expect(ours).toEqual(run(one, go()));
});

test.each([
  [
    "the 'address' field is expected to be in CIDR notation, got: '10.0.0.300/24'",
    { ipam: { addresses: [{ address: "10.0.0.300/24" }] } },
  ],
  ["invalid IP address: x", { ipam: { addresses: [{ address: "10.0.0.3/24", gateway: "x" }] } }],
  ["invalid CIDR address: x", { ipam: { addresses: ADDRESSES, routes: [{ dst: "x" }] } }],
  [
    "the 'ip' field is expected to be in CIDR notation, got: '10.1.2.3'",
    { ipam: {}, args: [["IP", "10.1.2.3"]] },
  ],
  [
    "invalid gateway address: 10.1",
    {
      ipam: {},
      args: [
        ["IP", "10.1.2.3/24"],
        ["GATEWAY", "10.1"],
      ],
    },
  ],
  ["an entry in the 'ips' field is NOT in CIDR notation, got: '10.6.0.1'", { ipam: {}, ips: ["10.6.0.1"] }],
  ["IPAM config missing 'ipam' key", {}],
  [
    "CNI version 0.2.0 does not support more than 1 address per family",
    { version: "0.2.0", ipam: { addresses: [{ address: "10.0.0.3/24" }, { address: "10.0.0.4/24" }] } },
  ],
] as [string, Case][])("refused in Go's words: %s", (says, one) => {
  expect(run(one, world.options).error).toBe(says);
  expect(run(one, go()).error).toContain(says);
});

test("values of another shape are refused, not guessed at", () => {
  for (const [ipam, says] of [
    [{ addresses: "10.0.0.3/24" }, "addresses must be objects"],
    [{ addresses: [{}] }, "the 'address' field is expected to be in CIDR notation, got: ''"],
    [{ addresses: ADDRESSES, routes: [{}] }, "invalid CIDR address: "],
    [{ addresses: ADDRESSES, dns: "10.0.0.1" }, "dns must be object"],
    [{ addresses: ADDRESSES, dns: { nameservers: "10.0.0.1" } }, "nameservers must be strings"],
  ] as const)
    expect(run({ ipam }, world.options).error).toContain(says);
});

test("CHECK: an address or a gateway that the result does not have is told of", () => {
  const attachment = world.attachment("abc", world.container().path);
  const conf = (addresses: object[]) =>
    world.list("net", { plugins: [{ type: "static", ipam: { type: "static", addresses } }] });
  world.step({ do: "add", list: conf(ADDRESSES), attachment });
  world.step({ do: "check", list: conf(ADDRESSES), attachment });
  for (const [addresses, which] of [
    [[{ address: "10.0.0.3/24", gateway: "10.0.0.2" }], "10.0.0.3"],
    [[{ address: "10.0.0.4/24" }], "10.0.0.4"],
  ] as const)
    expect(world.steps({ do: "check", list: conf([...addresses]), attachment })[0]!.error).toBe(
      `static: Failed to match addr ${which} on interface eth0`,
    );
});
