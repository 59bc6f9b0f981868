/** host-local side by side with Go's: one pool, the same files, the same refusals. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hostLocal } from "../../src/cni/plugins/host-local.ts";
import type { PluginContext } from "../../src/cni/plugins/plugin.ts";
import { parseResult } from "../../src/cni/result.ts";
import type { Result } from "../../src/cni/types.ts";
import { FirewallBatch } from "../../src/firewall/batch.ts";

const GO = "/usr/lib/cni/host-local";
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "portolan-ipam-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Call {
  id: string;
  ipam: object;
  args?: Record<string, string>;
  runtimeConfig?: object;
}

function contextOf(call: Call): PluginContext {
  const unused = async () => {
    throw new Error("host-local has no address plugin of its own");
  };
  return {
    conf: { type: "bridge", ipam: { type: "host-local", dataDir: directory, ...call.ipam } },
    network: "net",
    dataDirectory: "",
    cniVersion: "1.0.0",
    containerId: call.id,
    netns: "",
    ifName: "eth0",
    args: call.args ?? {},
    runtimeConfig: { ...call.runtimeConfig },
    prevResult: undefined,
    firewall: new FirewallBatch(),
    ipam: { add: unused, del: unused, check: unused },
  };
}

const ours = {
  add: (call: Call) => hostLocal.add(contextOf(call)) as Result,
  del: (call: Call) => hostLocal.del(contextOf(call)),
};

function spawnGo(command: string, call: Call) {
  const { conf, network: name, cniVersion, runtimeConfig } = contextOf(call);
  return Bun.spawn([GO], {
    stdin: new TextEncoder().encode(JSON.stringify({ ...conf, name, cniVersion, runtimeConfig })),
    stdout: "pipe",
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: call.id,
      CNI_NETNS: "/proc/self/ns/net",
      CNI_IFNAME: "eth0",
      CNI_PATH: "/usr/lib/cni",
      CNI_ARGS: Object.entries(call.args ?? {})
        .map(pair => pair.join("="))
        .join(";"),
    },
  });
}

async function go(command: string, call: Call): Promise<unknown> {
  const child = spawnGo(command, call);
  const text = await new Response(child.stdout).text();
  return text ? JSON.parse(text) : undefined;
}

const addresses = (result: Result) => result.ips.map(one => one.address);
const files = () => readdirSync(join(directory, "net")).sort();
const content = (name: string) => readFileSync(join(directory, "net", name), "utf8");
const SMALL = { subnet: "10.9.0.0/29" };

test("the files are those of Go's plugin, byte for byte", async () => {
  const ipam = { ranges: [[SMALL], [{ subnet: "fd09::/64" }]], routes: [{ dst: "0.0.0.0/0" }] };
  const mine = ours.add({ id: "mine", ipam });
  const theirs = parseResult(await go("ADD", { id: "theirs", ipam }), "1.0.0");
  expect(addresses(mine)).toEqual(["10.9.0.2/29", "fd09::2/64"]);
  expect(addresses(theirs)).toEqual(["10.9.0.3/29", "fd09::3/64"]);
  expect({ ...mine, ips: [] }).toEqual({ ...theirs, ips: [] });
  expect(mine.ips.map(one => one.gateway)).toEqual(theirs.ips.map(one => one.gateway));
  expect(content("10.9.0.2")).toBe("mine\r\neth0");
  expect(content("10.9.0.3")).toBe("theirs\r\neth0");
  expect(statSync(join(directory, "net", "10.9.0.2")).mode & 0o777).toBe(0o600);
  expect(content("last_reserved_ip.1")).toBe("fd09::3");
  expect(addresses(ours.add({ id: "third", ipam }))).toEqual(["10.9.0.4/29", "fd09::4/64"]);
  expect(content("last_reserved_ip.0")).toBe("10.9.0.4");
});

test("each gives back what the other took", async () => {
  ours.add({ id: "mine", ipam: SMALL });
  await go("ADD", { id: "theirs", ipam: SMALL });
  await go("DEL", { id: "mine", ipam: SMALL });
  ours.del({ id: "theirs", ipam: SMALL });
  ours.del({ id: "theirs", ipam: SMALL });
  expect(files()).toEqual(["last_reserved_ip.0", "lock"]);
});

test("addresses go round: one just given back is not the next to be given out", () => {
  const seen = [1, 2, 3, 4, 5, 6, 7].map(() => {
    const [address] = addresses(ours.add({ id: "c", ipam: SMALL }));
    ours.del({ id: "c", ipam: SMALL });
    return address;
  });
  expect(seen.map(address => Number(address!.split(/[./]/)[3]))).toEqual([2, 3, 4, 5, 6, 2, 3]);
});

test("32 processes at once, Go's and ours mixed, get 32 different addresses", async () => {
  const ipam = { subnet: "10.9.1.0/26" };
  const script = join(import.meta.dir, "host-local-add.ts");
  const taken = await Promise.all(
    Array.from({ length: 32 }, async (_, index) => {
      const call: Call = { id: `c${index}`, ipam };
      if (index % 2 === 0) return parseResult(await go("ADD", call), "1.0.0").ips[0]!.address;
      const child = Bun.spawn([process.execPath, script, directory, call.id, JSON.stringify(ipam)], {
        stdout: "pipe",
      });
      return (await new Response(child.stdout).text()).trim();
    }),
  );
  expect(new Set(taken).size).toBe(32);
  for (const address of taken) expect(address).toMatch(/^10\.9\.1\.\d+\/26$/);
});

test("a file that a crash left empty goes with the next DEL", () => {
  ours.add({ id: "one", ipam: SMALL });
  writeFileSync(join(directory, "net/10.9.0.3"), "");
  ours.del({ id: "killed", ipam: SMALL });
  expect(files()).toEqual(["10.9.0.2", "last_reserved_ip.0", "lock"]);
});

test("a file that a crash left empty counts as free", () => {
  ours.add({ id: "a", ipam: SMALL });
  writeFileSync(join(directory, "net", "10.9.0.3"), "");
  expect(addresses(ours.add({ id: "b", ipam: SMALL }))).toEqual(["10.9.0.3/29"]);
});

test("an address that is asked for is given, by CNI_ARGS, capability or args.cni", () => {
  expect(addresses(ours.add({ id: "a", ipam: SMALL, args: { IP: "10.9.0.5" } }))).toEqual(["10.9.0.5/29"]);
  expect(addresses(ours.add({ id: "b", ipam: SMALL, runtimeConfig: { ips: ["10.9.0.4/29"] } }))).toEqual([
    "10.9.0.4/29",
  ]);
  const context = contextOf({ id: "c", ipam: SMALL });
  context.conf.args = { cni: { ips: ["10.9.0.2"] } };
  expect(addresses(hostLocal.add(context) as Result)).toEqual(["10.9.0.2/29"]);
});

const TAKEN = { id: "first", ipam: SMALL, args: { IP: "10.9.0.3" } };
const REFUSALS: [string, Omit<Call, "id">][] = [
  ["an address that is taken", { ipam: SMALL, args: { IP: "10.9.0.3" } }],
  ["the gateway's", { ipam: SMALL, args: { IP: "10.9.0.1" } }],
  ["one outside the subnet", { ipam: SMALL, args: { IP: "10.10.0.1" } }],
  ["an exhausted range", { ipam: { ...SMALL, rangeStart: "10.9.0.3", rangeEnd: "10.9.0.3" } }],
  ["host bits in the subnet", { ipam: { subnet: "10.9.0.1/29" } }],
  ["a subnet that is too small", { ipam: { subnet: "10.9.0.0/31" } }],
  ["a subnet that is none", { ipam: { subnet: "ten" } }],
  ["a start outside", { ipam: { ...SMALL, rangeStart: "10.0.0.1" } }],
  ["an end outside", { ipam: { ...SMALL, rangeEnd: "10.0.0.1" } }],
  ["no ranges", { ipam: { ranges: [] } }],
  ["an empty range set", { ipam: { ranges: [[]] } }],
  ["sets that overlap", { ipam: { ranges: [[SMALL], [SMALL]] } }],
  ["ranges of a set that overlap", { ipam: { ranges: [[SMALL, SMALL]] } }],
  ["both families in a set", { ipam: { ranges: [[SMALL, { subnet: "fd09::/64" }]] } }],
];
for (const [what, call] of REFUSALS)
  test(`refused in Go's words: ${what}`, async () => {
    ours.add(TAKEN);
    const before = files();
    const theirs = (await go("ADD", { id: "second", ...call })) as { msg: string };
    expect(theirs.msg).toBeString();
    expect(() => ours.add({ id: "second", ...call })).toThrow(theirs.msg);
    expect(files()).toEqual(before);
  });

test("the same container can't have two addresses of one network on one interface", async () => {
  ours.add({ id: "one", ipam: SMALL });
  const theirs = (await go("ADD", { id: "one", ipam: SMALL })) as { msg: string };
  expect(() => ours.add({ id: "one", ipam: SMALL })).toThrow(theirs.msg);
});

test("releasing on a network that never was makes nothing", () => {
  ours.del({ id: "one", ipam: SMALL });
  expect(existsSync(join(directory, "net"))).toBe(false);
});

test("resolvConf becomes the result's dns, as with Go's", async () => {
  const resolvConf = join(directory, "resolv.conf");
  writeFileSync(
    resolvConf,
    "# ours\nnameserver 192.0.2.1\ndomain example.com\nsearch a.test b.test\noptions ndots:2\n",
  );
  const ipam = { ...SMALL, resolvConf };
  const theirs = parseResult(await go("ADD", { id: "theirs", ipam }), "1.0.0");
  expect(ours.add({ id: "mine", ipam }).dns).toEqual(theirs.dns);
  expect(() => ours.add({ id: "other", ipam: { ...SMALL, resolvConf: "/nowhere" } })).toThrow(
    "can't read the resolvConf /nowhere",
  );
  expect(files()).not.toContain("10.9.0.4");
});

test("two addresses of a family are more than version 0.2.0 can tell", async () => {
  const ipam = { ranges: [[SMALL], [{ subnet: "10.9.1.0/29" }]] };
  const context = { ...contextOf({ id: "a", ipam }), cniVersion: "0.2.0" };
  expect(() => hostLocal.add(context)).toThrow(
    "CNI version 0.2.0 does not support more than 1 address per family",
  );
});

test("DEL by a known result gives back what is the container's, and nobody else's", () => {
  const [mine] = addresses(ours.add({ id: "mine", ipam: SMALL }));
  const [others] = addresses(ours.add({ id: "other", ipam: SMALL }));
  const ips = [mine!, others!].map(address => ({ address }));
  const prevResult: Result = { cniVersion: "1.0.0", interfaces: [], ips, routes: [], dns: {} };
  hostLocal.del({ ...contextOf({ id: "mine", ipam: SMALL }), prevResult });
  expect(files()).toEqual(["10.9.0.3", "last_reserved_ip.0", "lock"]);
});

test("CHECK misses an address that somebody took away", () => {
  const context = contextOf({ id: "mine", ipam: SMALL });
  expect(() => hostLocal.check(context)).toThrow("Failed to find address added by container mine");
  hostLocal.add(context);
  hostLocal.check(context);
  rmSync(join(directory, "net/10.9.0.2"));
  expect(() => hostLocal.check(context)).toThrow("Failed to find address added by container mine");
});

test("STATUS: a pool that is given out, and a directory that can't be written, are said before an ADD fails", () => {
  const status = (ipam: object) => () => hostLocal.status!(contextOf({ id: "", ipam }));
  const ipam = { subnet: "10.9.0.0/30" };
  status(ipam)();
  ours.add({ id: "a", ipam });
  expect(status(ipam)).toThrow("no IP addresses available in range set: 10.9.0.1-10.9.0.2");
  try {
    status(ipam)();
  } catch (error) {
    expect((error as { code: number }).code).toBe(50);
  }
  // What a crash left empty is free.
  writeFileSync(join(directory, "net/10.9.0.2"), "");
  status(ipam)();
  const file = join(directory, "file");
  writeFileSync(file, "");
  expect(status({ ...ipam, dataDir: file })).toThrow(`host-local can't write to ${file}/net`);
});

test("GC takes what nobody valid has, empty files too; of what came before a time, only that", () => {
  for (const id of ["lives", "died", "young"]) ours.add({ id, ipam: SMALL });
  writeFileSync(join(directory, "net/10.9.0.6"), "");
  utimesSync(join(directory, "net/10.9.0.3"), 1000, 1000);
  const context = contextOf({ id: "", ipam: SMALL });
  const valid = [{ containerId: "lives", ifName: "eth0" }];
  hostLocal.gc!({ ...context, valid, before: 2_000_000 });
  expect(files()).toEqual(["10.9.0.2", "10.9.0.4", "10.9.0.6", "last_reserved_ip.0", "lock"]);
  hostLocal.gc!({ ...context, valid });
  expect(files()).toEqual(["10.9.0.2", "last_reserved_ip.0", "lock"]);
});
