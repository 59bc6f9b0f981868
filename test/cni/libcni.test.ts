/** libcni itself beside our runtime: what plugins are told, what is remembered, and each cleaning up after the other. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attachment } from "../../src/cni/runtime.ts";
import { PORTOLAN } from "../support/host.ts";
import { World } from "./world.ts";

let tools: string;
let world: World;
beforeAll(() => {
  tools = mkdtempSync(join(tmpdir(), "portolan-libcni-"));
  const built = Bun.spawnSync(
    ["go", "build", "-o", join(tools, "libcni"), join(import.meta.dir, "libcni/main.go")],
    {
      env: {
        PATH: process.env.PATH,
        GO111MODULE: "off",
        GOPATH: "/usr/share/gocode",
        CGO_ENABLED: "0",
        GOCACHE: join(tools, "cache"),
        HOME: tools,
      },
    },
  );
  if (built.exitCode !== 0) throw new Error(`libcni's driver can't be built: ${built.stderr.toString()}`);
  const installed = Bun.spawnSync([PORTOLAN, "cni", "install", join(tools, "plugins")]);
  if (installed.exitCode !== 0) throw new Error(installed.stderr.toString());
}, 120_000);
afterAll(() => rmSync(tools, { recursive: true, force: true }));
beforeEach(() => {
  world = new World();
});
afterEach(() => world[Symbol.dispose]());

type Verb = "add" | "check" | "del";

/** Drives a conflist through libcni, on the world's host, with the world's cache. */
function libcni(verb: Verb, list: string, attachment: Attachment, path: string) {
  const file = join(world.directory, "libcni.conflist");
  writeFileSync(file, list);
  const child = world.host.run(() =>
    Bun.spawnSync([join(tools, "libcni"), verb, file, world.directory], {
      stdin: Buffer.from(JSON.stringify(attachment)),
      env: { ...process.env, CNI_PATH: path },
    }),
  );
  if (child.exitCode !== 0) throw new Error(`libcni ${verb}: ${child.stdout}${child.stderr}`);
}

const ours = (verb: Verb, list: string, attachment: Attachment, path = "") =>
  world.step({ do: verb, list, attachment, options: { ...world.options, pluginPath: path.split(":") } });

const RESULT = {
  interfaces: [
    { name: "br0", mac: "02:00:00:00:00:01" },
    { name: "eth0", mac: "02:00:00:00:00:02", sandbox: "/proc/self/ns/net" },
  ],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "fd00::/8", gw: "fd77::1" }],
  dns: { nameservers: ["10.77.0.1"], search: ["a.test"], options: ["ndots:2"] },
};
const IPS = [
  { interface: 1, address: "10.77.0.9/24", gateway: "10.77.0.1" },
  { interface: 1, address: "fd77::9/64", gateway: "fd77::1" },
];
const versioned = (cniVersion: string) => ({
  cniVersion,
  ...RESULT,
  ips: IPS.map(one => (cniVersion < "1" ? { ...one, version: one.address.includes(":") ? "6" : "4" } : one)),
});

/** A plugin that notes what it is told, byte for byte. */
function spy(result: unknown): string {
  const directory = join(world.directory, "bin");
  mkdirSync(directory);
  writeFileSync(join(world.directory, "result.json"), JSON.stringify(result));
  writeFileSync(
    join(directory, "spy"),
    `#!/bin/sh\nlog=${world.directory}/told/$(ls ${world.directory}/told | wc -l).$CNI_COMMAND\n` +
      `cat /proc/$$/environ >$log.env\ncat >$log.stdin\n[ $CNI_COMMAND = ADD ] && cat ${world.directory}/result.json; exit 0\n`,
  );
  chmodSync(join(directory, "spy"), 0o755);
  return directory;
}

/** What plugins were told while `run` ran: call by call, environment and standard input. */
function told(run: () => void): [string, string][] {
  const directory = join(world.directory, "told");
  mkdirSync(directory);
  run();
  const calls = readdirSync(directory)
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
    .map((name): [string, string] => {
      const text = readFileSync(join(directory, name), "utf8");
      return [name, name.endsWith(".env") ? text.split("\0").sort().join("\n") : text];
    });
  rmSync(directory, { recursive: true });
  return calls;
}

const PLAIN = {
  type: "spy",
  zeta: 1.5,
  10: "ten",
  9: "nine",
  "<&>": "a<b>&\u2028é",
  nested: { b: [{ d: 1, c: {} }], a: null },
};
const ASKING = { type: "spy", capabilities: { portMappings: true, mac: true, bandwidth: false, ips: true } };
const ATTACHMENT: Attachment = {
  containerId: "abc",
  netns: "/proc/self/ns/net",
  ifName: "eth0",
  cniArgs: [
    ["IgnoreUnknown", "1"],
    ["K8S_POD_NAME", "web"],
  ],
  capabilityArgs: {
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }],
    mac: "02:00:00:00:00:09",
    bandwidth: { ingressRate: 1000 },
    unknown: { b: 1, a: 2 },
  },
};

const CASES: [string, object[], Attachment][] = [];
for (const version of ["0.2.0", "0.3.1", "0.4.0", "1.0.0"]) {
  CASES.push([version, [PLAIN, PLAIN], ATTACHMENT], [version, [PLAIN, ASKING, PLAIN], ATTACHMENT]);
  CASES.push([version, [ASKING], { containerId: "abc", netns: "/proc/self/ns/net", ifName: "eth0" }]);
}
test.each(CASES)(
  "version %s: plugins are told the same by libcni and by us, and the same is remembered",
  (version, plugins, attachment) => {
    const result =
      version === "0.2.0"
        ? { cniVersion: version, ip4: { ip: "10.77.0.9/24", routes: [{ dst: "0.0.0.0/0" }] }, dns: {} }
        : versioned(version);
    const path = `${spy(result)}:/nonexistent`;
    const list = JSON.stringify({ cniVersion: version, name: "net", plugins }, null, 3);
    const verbs: Verb[] = version < "0.4.0" ? ["add", "del"] : ["add", "check", "del"];
    const cache = join(world.directory, "results/net-abc-eth0");
    const texts: string[] = [];
    const through = (run: typeof libcni) =>
      told(() => {
        for (const verb of verbs) {
          run(verb, list, attachment, path);
          if (verb === "add") texts.push(readFileSync(cache, "utf8"));
        }
      });
    const theirs = through(libcni);
    const mine = through(ours);
    expect(theirs.length).toBe(2 * plugins.length * verbs.length);
    expect(mine).toEqual(theirs);
    // Where the namespace is, later versions of libcni remember too.
    expect(texts[1]!.replace('"netns":"/proc/self/ns/net",', "")).toBe(texts[0]!);
  },
);

const PORTS = [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }];
/** Rules in iptables, which Debian's Go plugins can take away. */
const chain = (backends: { bridge?: object; portmap?: object } = {}) => {
  const { plugins, ...rest } = JSON.parse(world.list("net", { bridge: backends.bridge })) as {
    plugins: object[];
  };
  const [bridge, portmap, ...others] = plugins;
  const tuning = { type: "tuning", sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } };
  return JSON.stringify({
    ...rest,
    plugins: [bridge, { ...portmap, ...backends.portmap }, ...others, tuning],
  });
};
const IPTABLES = { bridge: { ipMasqBackend: "iptables" }, portmap: { backend: "iptables" } };
const links = (place: { json<T>(...command: string[]): T }) =>
  place.json<{ ifname: string }[]>("ip", "-j", "link").map(one => one.ifname);

/** Everything that an attachment leaves on the host; nothing, behind a DEL. */
function leftOvers(place: World["host"]): unknown {
  return {
    inside: links(place),
    outside: links(world.host).filter(one => one.startsWith("veth")),
    addresses: world.files("networks/net").filter(one => /^\d/.test(one)),
    results: world.files("results"),
    rules: world.host
      .sh("nft", "list", "ruleset")
      .split("\n")
      .filter(one => /10\.77\.0\.2|8080|abc/.test(one)),
  };
}
const NOTHING = { inside: ["lo"], outside: [], addresses: [], results: [], rules: [] };

type Step = (verb: Verb, list: string, attachment: Attachment) => void;
const underLibcni: Step = (verb, list, attachment) => libcni(verb, list, attachment, join(tools, "plugins"));
const goUnderLibcni: Step = (verb, list, attachment) => libcni(verb, list, attachment, "/usr/lib/cni");
const inProcess: Step = (verb, list, attachment) => void ours(verb, list, attachment);

test.each([
  ["our plugins under libcni", underLibcni, underLibcni, underLibcni, {}],
  ["our runtime's ADD, libcni's CHECK and DEL", inProcess, inProcess, underLibcni, {}],
  ["libcni's ADD and CHECK, our runtime's DEL", underLibcni, underLibcni, inProcess, {}],
  ["Go's plugins under libcni, our runtime's DEL", goUnderLibcni, undefined, inProcess, {}],
  ["our plugins under libcni with iptables, Go's DEL", underLibcni, underLibcni, goUnderLibcni, IPTABLES],
] as [string, Step, Step | undefined, Step, object][])(
  "%s: an attachment that works, and nothing left",
  (_, add, check, del, backends) => {
    const place = world.container();
    const attachment = world.attachment("abc", place.path, PORTS);
    const list = chain(backends);
    add("add", list, attachment);
    place.sh("ping", "-c1", "-W2", "10.77.0.1");
    expect(world.host.sh("nft", "list", "ruleset")).toContain("10.77.0.2");
    check?.("check", list, attachment);
    del("del", list, attachment);
    expect(leftOvers(place)).toEqual(NOTHING);
  },
);
