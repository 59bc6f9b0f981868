/** The runtime: chains of our plugins, of Go's, of both; failures half-way; what is left behind (nothing). */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ResultCache } from "../../src/cni/cache.ts";
import type { Outcome } from "./drive.ts";
import { World } from "./world.ts";

const GO_TYPES = ["bridge", "host-local", "portmap", "firewall"];
const PORTS = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }];
let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world[Symbol.dispose]());

/** A plugin as a shell script. It finds its input in $IN, and a directory of this test in $DIR. */
function script(type: string, body: string): string {
  const directory = join(world.directory, "bin");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, type), `#!/bin/sh\nDIR=${world.directory}\nIN=$(cat)\n${body}\n`);
  chmodSync(join(directory, type), 0o755);
  return directory;
}

const bridge = () => JSON.parse(world.list()).plugins[0] as object;
const ipFiles = () => world.files("networks/net").filter(name => /^10\./.test(name));
const linksOf = (place: { json<T>(...command: string[]): T }) =>
  place.json<{ ifname: string }[]>("ip", "-j", "link").map(one => one.ifname);
const go = () => ({ ...world.options, pluginPath: ["/usr/lib/cni"], foreign: GO_TYPES });

test("the result cache is libcni's: name, mode, keys, and the conflist's own bytes", () => {
  const list = world.list();
  const place = world.container();
  const attachment = {
    ...world.attachment("abc", place.path, PORTS),
    cniArgs: [["IgnoreUnknown", "1"]] as [string, string][],
  };
  const result = world.step({ do: "add", list, attachment });
  const path = join(world.directory, "results", "net-abc-eth0");
  const text = readFileSync(path, "utf8");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const { config, ...rest } = JSON.parse(text);
  expect(Buffer.from(config, "base64").toString()).toBe(list);
  expect(rest).toEqual({
    kind: "cniCacheV1",
    containerId: "abc",
    ifName: "eth0",
    networkName: "net",
    netns: place.path,
    cniArgs: [["IgnoreUnknown", "1"]],
    capabilityArgs: { portMappings: PORTS },
    result: { ...result!, dns: {} },
  });
  expect(text).toStartWith('{"kind":"cniCacheV1","containerId":"abc","config":"');
});

test("a chain of Go's plugins works, and what Go's made, ours takes away", () => {
  const place = world.container();
  const list = world.list();
  const attachment = world.attachment("abc", place.path, PORTS);
  const result = world.step({ do: "add", list, attachment, options: go() })!;
  expect(result.ips[0]!.address).toBe("10.77.0.2/24");
  expect(linksOf(place)).toContain("eth0");
  expect(world.host.sh("iptables-save")).toContain("--to-destination 10.77.0.2:80");
  world.step({ do: "del", list, attachment });
  expect(linksOf(place)).toEqual(["lo"]);
  expect(ipFiles()).toEqual([]);
  expect(world.files("results")).toEqual([]);
});

test("what ours made, Go's plugins take away (but for masquerading, which is not in iptables for them to find)", () => {
  const place = world.container();
  const list = world.list("net", { bridge: { ipMasq: false } });
  world.step({ do: "add", list, attachment: world.attachment("abc", place.path) });
  world.step({ do: "del", list, attachment: world.attachment("abc", place.path), options: go() });
  expect(linksOf(place)).toEqual(["lo"]);
  expect(ipFiles()).toEqual([]);
});

test("our portmap behind Go's bridge, and Go's host-local under our bridge", () => {
  const list = world.list();
  for (const foreign of [["bridge"], ["host-local"]]) {
    const place = world.container();
    const attachment = world.attachment("abc", place.path, PORTS);
    const options = { ...go(), foreign };
    world.step({ do: "add", list, attachment, options });
    expect(world.elements()).toContain("abc:eth0");
    world.step({ do: "check", list, attachment, options });
    world.step({ do: "del", list, attachment, options });
    expect(world.elements()).toBe("");
    expect(ipFiles()).toEqual([]);
  }
});

test("a foreign plugin gets the specification's environment and one compact object with sorted keys", () => {
  const pluginPath = [
    script(
      "spy",
      `printf '%s' "$IN" > $DIR/$CNI_COMMAND.json; env | grep ^CNI_ > $DIR/$CNI_COMMAND.env; echo '{"cniVersion":"1.0.0"}'`,
    ),
  ];
  const list = world.list("net", {
    plugins: [
      bridge(),
      { type: "spy", zeta: 1, alpha: { b: 1, a: 2 }, capabilities: { portMappings: true, mac: false } },
    ],
  });
  const place = world.container();
  const attachment = {
    ...world.attachment("abc", place.path, PORTS),
    cniArgs: [
      ["IgnoreUnknown", "1"],
      ["K8S_POD_NAME", "web"],
    ] as [string, string][],
    capabilityArgs: { portMappings: PORTS, mac: "02:00:00:00:00:01", other: 1 },
  };
  world.step({ do: "add", list, attachment, options: { ...world.options, pluginPath } });
  const input = readFileSync(join(world.directory, "ADD.json"), "utf8");
  expect(input).toMatch(
    /^\{"alpha":\{"a":2,"b":1\},"capabilities":\{"mac":false,"portMappings":true\},"cniVersion":"1.0.0","name":"net","prevResult":\{"cniVersion":"1.0.0","dns":\{\},"interfaces":\[.*\],"ips":\[.*\],"routes":\[\{"dst":"0.0.0.0\/0"\}\]\},"runtimeConfig":\{"portMappings":\[.*\]\},"type":"spy","zeta":1\}$/,
  );
  expect(readFileSync(join(world.directory, "ADD.env"), "utf8").trim().split("\n").sort()).toEqual([
    "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=web",
    "CNI_COMMAND=ADD",
    "CNI_CONTAINERID=abc",
    "CNI_IFNAME=eth0",
    `CNI_NETNS=${place.path}`,
    `CNI_PATH=${pluginPath[0]}`,
  ]);
});

test("a range of ports becomes one mapping a port for a foreign portmap", () => {
  const place = world.container();
  const range = [{ hostPort: 8000, containerPort: 9000, protocol: "tcp", range: 3 }];
  const attachment = world.attachment("abc", place.path, range);
  world.step({ do: "add", list: world.list(), attachment, options: go() });
  for (const offset of [0, 1, 2])
    expect(world.host.sh("iptables-save")).toContain(
      `--dport ${8000 + offset} -j DNAT --to-destination 10.77.0.2:${9000 + offset}`,
    );
  world.step({ do: "del", list: world.list(), attachment, options: go() });
});

const FAILURES: [string, string, string, number | undefined][] = [
  ["an error object", `echo '{"code":11,"msg":"later","details":"really"}'; exit 1`, "later: really", 11],
  ["words on stderr only", "echo no way >&2; exit 3", 'netplugin failed: "no way"', 999],
  ["silence", "exit 7", "netplugin failed with no error message: exit status 7", 999],
  ["no JSON", "echo hello; exit 0", "it answered with something that is no JSON", 6],
  ["a list for a result", "echo '[]'", "a plugin's result is no JSON object", 6],
];
for (const [what, body, message, code] of FAILURES)
  test(`an ADD that fails half-way with ${what} is undone, and says why`, () => {
    const pluginPath = [script("bad", `[ $CNI_COMMAND = DEL ] && exit 0\n${body}`)];
    const list = world.list("net", { plugins: [bridge(), { type: "bad" }] });
    const place = world.container();
    const [outcome] = world.steps({
      do: "add",
      list,
      attachment: world.attachment("abc", place.path),
      options: { ...world.options, pluginPath },
    });
    expect([outcome!.error, outcome!.code, outcome!.failed]).toEqual([message, code, '"bad" (add)']);
    expect(linksOf(place)).toEqual(["lo"]);
    expect([ipFiles(), world.files("results"), world.elements()]).toEqual([[], [], ""]);
  });

test("a plugin that is nowhere is named, and nothing is left", () => {
  const place = world.container();
  const list = world.list("net", { plugins: [bridge(), { type: "nowhere" }] });
  const [outcome] = world.steps({
    do: "add",
    list,
    attachment: world.attachment("abc", place.path),
    options: { ...world.options, pluginPath: ["/nonexistent"] },
  });
  expect([outcome!.failed, outcome!.error]).toEqual([
    '"nowhere" (add)',
    'failed to find plugin "nowhere" in path [/nonexistent]',
  ]);
  expect([linksOf(place), ipFiles(), world.elements()]).toEqual([["lo"], [], ""]);
});

test("DEL goes on behind a plugin that fails, reports it, and comes to an end when that one can", () => {
  const pluginPath = [
    script(
      "shaky",
      `[ -e $DIR/broken ] && { echo '{"code":999,"msg":"not now"}'; exit 1; }; echo '{"cniVersion":"1.0.0"}'`,
    ),
  ];
  const options = { ...world.options, pluginPath };
  const place = world.container();
  const list = world.list("net", { plugins: [bridge(), { type: "shaky" }] });
  const attachment = world.attachment("abc", place.path);
  world.step({ do: "add", list, attachment, options });
  writeFileSync(join(world.directory, "broken"), "");
  const [outcome] = world.steps({ do: "del", list, attachment, options });
  expect(outcome!.error).toContain('plugin type="shaky" failed (delete): not now');
  expect([linksOf(place), ipFiles(), world.elements()]).toEqual([["lo"], [], ""]);
  expect(world.files("results")).toEqual(["net-abc-eth0"]);
  rmSync(join(world.directory, "broken"));
  world.step({ do: "del", list, attachment, options });
  expect(world.files("results")).toEqual([]);
});

test("DEL goes by the configuration that ADD was made with, not by what the file says now", () => {
  const place = world.container();
  const attachment = world.attachment("abc", place.path, PORTS);
  world.step({ do: "add", list: world.list(), attachment });
  const changed = world.list("net", { plugins: [{ type: "loopback" }] });
  world.step({ do: "del", list: changed, attachment: world.attachment("abc", place.path) });
  expect([linksOf(place), ipFiles(), world.elements()]).toEqual([["lo"], [], ""]);
});

test("DEL without a path to the namespace takes the interface away all the same", () => {
  const [place, other] = [world.container(), world.container()];
  const list = world.list();
  world.step({ do: "add", list, attachment: world.attachment("abc", place.path) });
  world.step({ do: "add", list, attachment: world.attachment("other", other.path) });
  world.step({ do: "del", list, attachment: world.attachment("abc", "") });
  expect([linksOf(place), linksOf(other)]).toEqual([["lo"], ["lo", "eth0"]]);
});

test("a container on two networks loses one and keeps the other", () => {
  const place = world.container();
  const other = world.list("other", { ipam: { ranges: [[{ subnet: "10.78.0.0/24" }]], routes: [] } });
  const second = { ...world.attachment("abc", place.path), ifName: "eth1" };
  world.step({ do: "add", list: world.list(), attachment: world.attachment("abc", place.path, PORTS) });
  world.step({ do: "add", list: other, attachment: second });
  world.step({ do: "del", list: world.list(), attachment: world.attachment("abc", place.path) });
  expect(world.elements()).not.toContain("abc:eth0");
  expect(world.elements()).toContain('10.78.0.2 comment "abc:eth1"');
  expect(linksOf(place)).toEqual(["lo", "eth1"]);
});

test("an address plugin that refuses leaves no interface behind", () => {
  const list = world.list("net", { ipam: { ranges: [[{ subnet: "10.77.0.0/30" }]] } });
  const [first, second] = [world.container(), world.container()];
  world.step({ do: "add", list, attachment: world.attachment("a", first.path) });
  const [outcome] = world.steps({ do: "add", list, attachment: world.attachment("b", second.path) });
  expect(outcome!.error).toContain("no IP addresses available in range set: 10.77.0.1-10.77.0.2");
  expect(linksOf(second)).toEqual(["lo"]);
  expect(ipFiles()).toEqual(["10.77.0.2"]);
});

test("CHECK notices a published port that somebody took away", () => {
  const place = world.container();
  const attachment = world.attachment("abc", place.path, PORTS);
  const list = world.list();
  world.step({ do: "add", list, attachment });
  world.step({ do: "check", list, attachment });
  world.host.sh("nft", "delete element inet portolan port4 { tcp . 8080 }");
  const [outcome] = world.steps({ do: "check", list, attachment });
  expect([outcome!.failed, outcome!.error]).toEqual([
    '"portmap" (check)',
    "port 8080 of container abc is not published any more",
  ]);
});

test("GC keeps the living, removes the rest, and reclaims addresses that nobody remembers", () => {
  const list = world.list();
  const [one, two] = [world.container(), world.container()];
  world.step({ do: "add", list, attachment: world.attachment("lives", one.path) });
  world.step({ do: "add", list, attachment: world.attachment("died", two.path, PORTS) });
  writeFileSync(join(world.directory, "networks/net/10.77.0.99"), "forgotten\r\neth0");
  writeFileSync(join(world.directory, "results/net-broken-eth0"), "{");
  two[Symbol.dispose]();
  world.step({ do: "gc", list, valid: [{ containerId: "lives", ifName: "eth0" }] });
  expect(ipFiles()).toEqual(["10.77.0.2"]);
  expect(world.files("results")).toEqual(["net-broken-eth0", "net-lives-eth0"]);
  expect(world.elements()).toContain("lives:eth0");
  expect(world.elements()).not.toContain("died:eth0");
});

test("rules flushed by somebody else come back with the next container", () => {
  const list = world.list();
  world.step({ do: "add", list, attachment: world.attachment("a", world.container().path) });
  world.host.sh("nft", "flush", "ruleset");
  world.step({ do: "add", list, attachment: world.attachment("b", world.container().path) });
  expect(world.elements()).toContain("b:eth0");
  world.step({ do: "del", list, attachment: world.attachment("a", "") });
});

test("ids and interface names that could name another file or device are refused", () => {
  const list = world.list();
  for (const bad of ["../x", "a/b", "-x", "a b"])
    expect(
      world.steps({ do: "add", list, attachment: world.attachment(bad, "/proc/self/ns/net") })[0]!.code,
    ).toBe(4);
  for (const ifName of ["", "a/b", "a:b", ".", "..", "abcdefghijklmnop"])
    expect(
      world.steps({
        do: "add",
        list,
        attachment: { ...world.attachment("abc", "/proc/self/ns/net"), ifName },
      })[0]!.code,
    ).toBe(4);
  expect(existsSync(join(world.directory, "results"))).toBe(false);
});

test("a cache entry that can't be read is no obstacle", () => {
  const directory = join(world.directory, "results");
  mkdirSync(directory, { recursive: true });
  for (const [index, text] of [
    "",
    "[]",
    "null",
    '{"kind":"cniCacheV1"}',
    '{"kind":"cniCacheV1","result":[]}',
  ].entries()) {
    writeFileSync(join(directory, `net-c${index}-eth0`), text);
    expect(() => new ResultCache(directory).read("net", `c${index}`, "eth0")).not.toThrow();
    world.step({ do: "del", list: world.list(), attachment: world.attachment(`c${index}`, "") });
  }
  expect(readdirSync(directory)).toEqual([]);
});

test("eight processes join eight containers to a network that nobody has made yet, and leave it again", async () => {
  const list = world.list();
  const attachments = Array.from({ length: 8 }, (_, index) =>
    world.attachment(`c${index}`, world.container().path, [
      { hostPort: 8000 + index, containerPort: 80, protocol: "tcp" },
    ]),
  );
  const all = async (step: "add" | "del") =>
    Promise.all(
      attachments.map(async attachment => {
        const child = world.spawn({ do: step, list, attachment });
        const [outcome] = (await new Response(child.stdout).json()) as Outcome[];
        expect(outcome!.error).toBeUndefined();
        return outcome!.result?.ips[0]?.address;
      }),
    );
  expect(new Set(await all("add")).size).toBe(8);
  await all("del");
  expect([ipFiles(), world.files("results"), world.elements()]).toEqual([[], [], ""]);
  expect(linksOf(world.host)).toEqual(["lo", "br-net"]);
});

test("an ADD that is killed half-way leaves nothing that DEL would not find", async () => {
  const pid = join(world.directory, "pid");
  const pluginPath = [
    script(
      "slow",
      `[ $CNI_COMMAND = DEL ] && exit 0\necho $$ > ${pid}.new; mv ${pid}.new ${pid}; exec sleep 1000`,
    ),
  ];
  const options = { ...world.options, pluginPath };
  const plugins = [bridge(), { type: "portmap", capabilities: { portMappings: true } }, { type: "slow" }];
  const list = world.list("net", { plugins });
  const place = world.container();
  const attachment = world.attachment("abc", place.path, PORTS);
  const appeared = new Promise<void>(resolve => {
    const watcher = watch(world.directory, (_, name) => {
      if (name !== "pid" || !existsSync(pid)) return;
      watcher.close();
      resolve();
    });
  });
  const child = world.spawn({ do: "add", list, attachment, options });
  await appeared;
  child.kill("SIGKILL");
  await child.exited;
  process.kill(Number(readFileSync(pid, "utf8")), "SIGKILL");
  expect([ipFiles(), linksOf(place)]).toEqual([["10.77.0.2"], ["lo", "eth0"]]);
  expect(world.elements()).toContain("abc:eth0");
  world.step({ do: "del", list, attachment: world.attachment("abc", place.path), options });
  expect([ipFiles(), linksOf(place), world.elements()]).toEqual([[], ["lo"], ""]);
});

test("static: addresses of the configuration, or those that are asked for, with a prefix", () => {
  const ipam = { type: "static", addresses: [{ address: "10.77.0.9/24", gateway: "10.77.0.1" }] };
  const list = world.list("net", { plugins: [{ ...bridge(), ipam }] });
  const place = world.container();
  const result = world.step({ do: "add", list, attachment: world.attachment("abc", place.path) })!;
  expect(result.ips).toEqual([{ address: "10.77.0.9/24", gateway: "10.77.0.1", interface: 2 }]);
  world.step({ do: "del", list, attachment: world.attachment("abc", place.path) });
  const asked = {
    ...world.attachment("abc", place.path),
    cniArgs: [["IP", "10.77.0.300/24"]] as [string, string][],
  };
  const empty = world.list("net", { plugins: [{ ...bridge(), ipam: { type: "static" } }] });
  expect(world.steps({ do: "add", list: empty, attachment: asked })[0]!.error).toContain(
    "the 'ip' field is expected to be in CIDR notation, got: '10.77.0.300/24'",
  );
  expect(linksOf(place)).toEqual(["lo"]);
});

test("a second ADD of what is there is refused, and the first stays as it is", () => {
  const place = world.container();
  const attachment = world.attachment("abc", place.path, PORTS);
  world.step({ do: "add", list: world.list(), attachment });
  const [outcome] = world.steps({ do: "add", list: world.list(), attachment });
  expect(outcome!.error).toBe("container abc is on network net already: it has eth0");
  world.step({ do: "check", list: world.list(), attachment });
  // Without its interface it is nothing to keep.
  place.sh("ip", "link", "del", "eth0");
  expect(world.steps({ do: "add", list: world.list(), attachment })[0]!.error).toContain(
    "duplicate allocation",
  );
  expect(ipFiles()).toEqual([]);
});

test("a namespace that is not there is said so, and nothing is left", () => {
  const [outcome] = world.steps({
    do: "add",
    list: world.list(),
    attachment: world.attachment("abc", "/run/netns/nope"),
  });
  expect(outcome!.error).toContain("/run/netns/nope: no such file or directory");
  expect([ipFiles(), world.files("results"), world.elements()]).toEqual([[], [], ""]);
});

test.each([
  ["ours", []],
  ["Go's", ["host-local"]],
])("addresses are kept where the caller says, by %s", (_, foreign) => {
  const dataDirectory = join(world.directory, "networks");
  const options = { ...world.options, pluginPath: ["/usr/lib/cni"], foreign, dataDirectory };
  const list = world.list("net", { ipam: { dataDir: undefined } });
  const attachment = world.attachment("abc", world.container().path);
  world.step({ do: "add", list, attachment, options });
  expect(ipFiles()).toEqual(["10.77.0.2"]);
  world.step({ do: "del", list, attachment, options });
  expect(ipFiles()).toEqual([]);
});
