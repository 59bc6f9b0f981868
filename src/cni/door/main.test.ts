import { expect, test } from "bun:test";
import fc from "fast-check";
import { setLogLevel } from "../../base/log.ts";
import { emptyResult, type Plugin, type PluginContext } from "../plugins/plugin.ts";
import { CniError } from "../types.ts";
import { type Answer, answer } from "./main.ts";

const BASE = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c1",
  CNI_NETNS: "/run/netns/none",
  CNI_IFNAME: "eth0",
  CNI_PATH: "/nowhere",
};
const CONF = { cniVersion: "1.0.0", name: "net", type: "x" };

/** A plugin that tells what it was given. */
function witness(): { seen: PluginContext[]; load: () => Promise<Plugin> } {
  const seen: PluginContext[] = [];
  const note = (context: PluginContext) => void seen.push(context);
  const plugin: Plugin = {
    add(context) {
      note(context);
      return context.prevResult ?? emptyResult(context.cniVersion);
    },
    del: note,
    check: note,
  };
  return { seen, load: async () => plugin };
}

async function call(env: object, conf: unknown, name = "bridge") {
  const stdin = typeof conf === "string" ? conf : JSON.stringify(conf);
  const { seen, load } = witness();
  const given = { ...BASE, ...env } as Record<string, string | undefined>;
  const { exitCode, stdout, stderr } = await answer(name, given, () => new TextEncoder().encode(stdin), load);
  return { exitCode, stdout, stderr, seen };
}

const REFUSED: [title: string, env: object, conf: unknown, error: object][] = [
  [
    "missing variables",
    { CNI_NETNS: "", CNI_PATH: undefined },
    CONF,
    { code: 4, msg: "required env variables [CNI_NETNS,CNI_PATH] missing" },
  ],
  ["a verb nobody knows", { CNI_COMMAND: "FROB" }, CONF, { code: 4, msg: "unknown CNI_COMMAND: FROB" }],
  [
    "a container's id",
    { CNI_CONTAINERID: "a/b" },
    CONF,
    { code: 4, msg: "invalid characters in containerID", details: "a/b" },
  ],
  [
    "an interface of 16 bytes",
    { CNI_IFNAME: "abcdefghijklmnop" },
    CONF,
    {
      code: 4,
      msg: "interface name is too long",
      details: "interface name should be less than 16 characters",
    },
  ],
  ["an interface named ..", { CNI_IFNAME: ".." }, CONF, { code: 4, msg: "interface name is . or .." }],
  [
    "an interface with a slash",
    { CNI_IFNAME: "a/b" },
    CONF,
    { code: 4, msg: "interface name contains / or : or whitespace characters" },
  ],
  ["no name", {}, { cniVersion: "1.0.0" }, { code: 7, msg: "missing network name" }],
  [
    "a name with a slash",
    {},
    { ...CONF, name: "a/b" },
    { code: 7, msg: "invalid characters found in network name", details: "a/b" },
  ],
  [
    "an unknown version",
    {},
    { ...CONF, cniVersion: "9.9.9" },
    {
      code: 1,
      msg: "incompatible CNI versions",
      details: 'config is "9.9.9", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]',
    },
  ],
  [
    "CHECK before 0.4.0",
    { CNI_COMMAND: "CHECK" },
    { ...CONF, cniVersion: "0.3.1" },
    { code: 1, msg: "config version does not allow CHECK" },
  ],
  ["GC before 1.1.0", { CNI_COMMAND: "GC" }, CONF, { code: 1, msg: "config version does not allow GC" }],
  [
    "STATUS before 1.1.0",
    { CNI_COMMAND: "STATUS" },
    CONF,
    { code: 1, msg: "config version does not allow STATUS" },
  ],
  [
    "CHECK after our last",
    { CNI_COMMAND: "CHECK" },
    { ...CONF, cniVersion: "1.2.0" },
    { code: 1, msg: "plugin version does not allow CHECK" },
  ],
  [
    "our own namespace",
    { CNI_NETNS: "/proc/self/ns/net" },
    CONF,
    { code: 8, msg: "plugin's netns and netns from CNI_NETNS should not be the same" },
  ],
  ["half a CNI_ARGS", { CNI_ARGS: "A=1;B" }, CONF, { code: 999, msg: 'ARGS: invalid pair "B"' }],
  [
    "CNI_ARGS nobody knows",
    { CNI_ARGS: "A=1;MAC=x;B=2" },
    CONF,
    { code: 999, msg: 'ARGS: unknown args ["A=1" "B=2"]' },
  ],
  [
    "attachments that are none",
    { CNI_COMMAND: "GC" },
    { ...CONF, cniVersion: "1.1.0", "cni.dev/valid-attachments": [{ containerID: 3 }] },
    { code: 7, msg: "cni.dev/valid-attachments must be a list of objects with containerID and ifname" },
  ],
  [
    "STATUS without its address plugin",
    { CNI_COMMAND: "STATUS" },
    { ...CONF, cniVersion: "1.1.0", ipam: { type: "host-local" } },
    { code: 50, msg: 'failed to find plugin "host-local" in path [/nowhere]' },
  ],
];
for (const [title, env, conf, error] of REFUSED)
  test(`refused as skel refuses it: ${title}`, async () => {
    const { exitCode, stdout, seen } = await call(env, conf);
    expect(stdout).toBe(JSON.stringify(error, null, 4));
    expect(exitCode).toBe(1);
    expect(seen).toEqual([]);
  });

test("standard input that is no object is refused with code 6", async () => {
  for (const conf of [
    "",
    "{",
    "[]",
    '"x"',
    '{"name":3}',
    '{"name":"n","cniVersion":1}',
    '{"name":"n","ipam":[]}',
  ]) {
    const { exitCode, stdout } = await call({}, conf);
    expect([JSON.parse(stdout).code, exitCode]).toEqual([6, 1]);
  }
});

test("IgnoreUnknown is true, false, or refused", async () => {
  expect((await call({ CNI_ARGS: "IgnoreUnknown=TRUE;A=1" }, CONF)).exitCode).toBe(0);
  const odd = await call({ CNI_ARGS: "IgnoreUnknown=maybe" }, CONF);
  expect(JSON.parse(odd.stdout).msg).toBe(
    'ARGS: error parsing value of pair "IgnoreUnknown=maybe": boolean unmarshal error: invalid input maybe',
  );
});

test("without a verb it says on standard error who it is, as nerdctl reads it", async () => {
  const { exitCode, stdout, stderr } = await call({ CNI_COMMAND: undefined }, "", "firewall");
  expect(exitCode).toBe(0);
  expect(stdout).toBe("");
  expect(stderr).toBe("CNI firewall plugin v1.9.1\nCNI protocol versions supported: 0.4.0, 1.0.0, 1.1.0\n");
});

test("VERSION names what each plugin speaks, and reads no input", async () => {
  const ask = async (name: string) => {
    const got = await answer(name, { CNI_COMMAND: "VERSION" }, () => {
      throw new Error("read");
    });
    return JSON.parse(got.stdout) as { cniVersion: string; supportedVersions: string[] };
  };
  expect((await ask("bridge")).supportedVersions[0]).toBe("0.1.0");
  expect((await ask("bandwidth")).supportedVersions[0]).toBe("0.3.0");
  expect((await ask("vrf")).supportedVersions[0]).toBe("0.3.1");
  expect((await ask("firewall")).supportedVersions[0]).toBe("0.4.0");
  expect((await ask("bridge")).cniVersion).toBe("1.1.0");
});

test("a plugin is given arguments and the result before it, and answers in its configuration's version", async () => {
  const prevResult = {
    cniVersion: "0.3.1",
    interfaces: [{ name: "eth0", sandbox: "/x" }],
    ips: [{ version: "4", address: "10.0.0.2/24", interface: 0 }],
  };
  const runtimeConfig = { aliases: { podman: ["web"] } };
  const env = { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=web;MAC=02:00:00:00:00:01" };
  const { stdout, seen } = await call(env, { ...CONF, cniVersion: "0.4.0", prevResult, runtimeConfig });
  expect(seen[0]?.args.MAC).toBe("02:00:00:00:00:01");
  expect(seen[0]?.runtimeConfig).toEqual(runtimeConfig);
  expect(seen[0]?.prevResult?.ips).toEqual([{ interface: 0, address: "10.0.0.2/24", gateway: undefined }]);
  expect(JSON.parse(stdout)).toEqual({ ...prevResult, cniVersion: "0.4.0", dns: {} });
});

test("a result without addresses has no form before 0.3.0; one that is no result is refused", async () => {
  const none = await call({}, { ...CONF, cniVersion: "0.2.0" });
  expect(JSON.parse(none.stdout)).toEqual({ code: 999, msg: "cannot convert: no valid IP addresses" });
  const odd = await call({}, { ...CONF, prevResult: { cniVersion: "7.0.0" } });
  expect(JSON.parse(odd.stdout).msg).toStartWith("could not parse prevResult");
  const nowhere = await call({}, { ...CONF, prevResult: { ips: [{ address: "no address" }] } });
  expect(JSON.parse(nowhere.stdout).msg).toBe("could not parse prevResult: invalid CIDR address: no address");
});

test("DEL is not refused for arguments or a result that make no sense, nor without a namespace", async () => {
  setLogLevel("fatal");
  const env = { CNI_COMMAND: "DEL", CNI_NETNS: "", CNI_ARGS: "A;B=1" };
  const { exitCode, stdout, seen } = await call(env, { ...CONF, prevResult: { ips: 3 } });
  setLogLevel("warn");
  expect([exitCode, stdout, seen.length]).toEqual([0, "", 1]);
});

test("DEL of our own namespace cleans up outside of it, and is then refused", async () => {
  const env = { CNI_COMMAND: "DEL", CNI_NETNS: "/proc/self/ns/net" };
  const { stdout, seen } = await call(env, CONF);
  expect(seen[0]?.netns).toBe("");
  expect(JSON.parse(stdout).code).toBe(8);
  expect((await call({ ...env, CNI_NETNS_OVERRIDE: "TRUE" }, CONF)).seen[0]?.netns).toBe("/proc/self/ns/net");
});

test("whatever environment and input are, the answer is a result or an error object with exit code 1", async () => {
  const check = (given: Answer) => {
    if (given.exitCode === 0) return;
    expect(given.exitCode).toBe(1);
    const error = JSON.parse(given.stdout) as { code: unknown; msg: unknown; details?: unknown };
    expect(error.code).toBeNumber();
    expect(error.msg).toBeString();
    expect(["undefined", "string"]).toContain(typeof error.details);
  };
  const throwing: Plugin = {
    add: () => {
      throw new CniError(11, "again");
    },
    del: () => {
      throw new Error("gone");
    },
    check: async () => {
      throw "a text";
    },
  };
  setLogLevel("fatal");
  const text = fc.oneof(fc.string(), fc.constantFrom("eth0", "c1", "1", "A=1", "A=1;B", "/proc/self/ns/net"));
  const env = fc.record(
    {
      CNI_COMMAND: fc.oneof(fc.constantFrom("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"), fc.string()),
      CNI_CONTAINERID: text,
      CNI_NETNS: text,
      CNI_IFNAME: text,
      CNI_ARGS: text,
      CNI_PATH: text,
      CNI_NETNS_OVERRIDE: text,
    },
    { requiredKeys: ["CNI_COMMAND"] },
  );
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom("net", "1.0.0", "1.1.0", "0.2.0"));
  const object = fc.record(
    { name: value, cniVersion: value, ipam: value, prevResult: value, runtimeConfig: value, args: value },
    { requiredKeys: ["name"] },
  );
  const input = fc.oneof(
    fc.uint8Array(),
    fc.json().map(Buffer.from),
    object.map(one => Buffer.from(JSON.stringify(one))),
  );
  await fc.assert(
    fc.asyncProperty(env, input, fc.boolean(), async (variables, stdin, fails) => {
      const load = fails ? async () => throwing : witness().load;
      check(await answer("bridge", variables, () => stdin, load));
    }),
    { numRuns: 500 },
  );
  setLogLevel("warn");
});
