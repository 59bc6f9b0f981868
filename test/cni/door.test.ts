/** Our executable as plugins of a foreign runtime: by launcher, by link, and beside Go's. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Call, callPlugin, PORTOLAN } from "./door.ts";
import { World } from "./world.ts";

let world: World;
let directory: string;
beforeEach(() => {
  world = new World();
  directory = join(world.directory, "bin");
});
afterEach(() => world[Symbol.dispose]());

const portolan = (...words: string[]) => {
  const child = Bun.spawnSync([PORTOLAN, ...words]);
  return { exitCode: child.exitCode, stdout: child.stdout.toString(), stderr: child.stderr.toString() };
};
const install = (...options: string[]) => portolan("cni", "install", ...options, directory);
const call = (name: string, more: Omit<Call, "file"> = {}) =>
  callPlugin(world.host, directory, { file: join(directory, name), ...more });

const bridge = (more: object = {}) => ({
  cniVersion: "1.0.0",
  name: "net",
  type: "bridge",
  bridge: "br-net",
  isGateway: true,
  ipMasq: true,
  ipam: { type: "host-local", dataDir: join(world.directory, "networks"), subnet: "10.77.0.0/24" },
  ...more,
});
const portmap = (prevResult: unknown, more: object = {}) => ({
  cniVersion: "1.0.0",
  name: "net",
  type: "portmap",
  runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
  prevResult,
  ...more,
});

test.each([[[]], [["--symlink"]]])("a chain of ADD, CHECK and DEL leaves nothing: install %p", options => {
  expect(install(...options).exitCode).toBe(0);
  const netns = world.container().path;
  const made = call("bridge", { verb: "ADD", conf: bridge(), netns });
  expect([made.exitCode, made.stderr]).toEqual([0, ""]);
  expect(made.stdout).toStartWith('{\n    "cniVersion": "1.0.0",\n    "interfaces": [\n');
  const published = call("portmap", { verb: "ADD", conf: portmap(made.json), netns });
  expect(published.json).toEqual(made.json!);
  expect(world.host.sh("nft", "list", "ruleset")).toContain("10.77.0.2");
  const prevResult = made.json;
  expect(call("bridge", { verb: "CHECK", conf: bridge({ prevResult }), netns }).stdout).toBe("");
  expect(call("portmap", { verb: "CHECK", conf: portmap(prevResult), netns }).stdout).toBe("");
  expect(call("portmap", { verb: "DEL", conf: portmap(prevResult), netns }).stdout).toBe("");
  // containerd has no namespace to name any more.
  const gone = call("bridge", { verb: "DEL", conf: bridge({ prevResult }) });
  expect([gone.exitCode, gone.stdout, gone.stderr]).toEqual([0, "", ""]);
  expect(world.host.sh("nft", "list", "ruleset")).not.toContain("10.77.0.2");
  expect(world.files("networks/net")).toEqual(["last_reserved_ip.0", "lock"]);
  expect(world.host.sh("ip", "-o", "link")).not.toContain("veth");
});

test("launchers and links say the same, byte for byte", () => {
  const calls: [string, Omit<Call, "file">][] = [
    ["bridge", {}],
    ["firewall", { verb: "" }],
    ["portmap", { verb: "VERSION", env: { CNI_PATH: "dummy", CNI_NETNS: "dummy" } }],
    ["host-local", { verb: "ADD", conf: "{" }],
    ["tuning", { verb: "FROB", conf: bridge() }],
    ["bridge", { verb: "ADD", conf: bridge(), netns: "/nowhere" }],
    ["bridge", { verb: "STATUS", conf: bridge({ cniVersion: "1.1.0" }) }],
  ];
  const answers = [[], ["--symlink"]].map(options => {
    install(...options);
    return calls.map(([name, one]) => call(name, one));
  });
  expect(answers[0]!).toEqual(answers[1]!);
  // The ADD that failed for its namespace has reserved nothing.
  expect(world.files("networks/net").filter(name => /^10/.test(name))).toEqual([]);
  expect(answers[0]!.map(one => one.exitCode)).toEqual([0, 0, 0, 1, 1, 1, 0]);
  expect(answers[0]![1]!.stderr).toStartWith(
    "CNI firewall plugin v1.9.1\nCNI protocol versions supported: 0.4.0",
  );
});

test("an address plugin of others is executed with our bytes and variables, and its error is the answer", () => {
  install();
  const log = join(world.directory, "log");
  const file = join(directory, "pool");
  writeFileSync(
    file,
    `#!/bin/sh
cat > ${log}.$CNI_COMMAND; env > ${log}.env; echo "$CNI_CONTAINERID $CNI_IFNAME $CNI_ARGS" >> ${log}
case $CNI_COMMAND in
ADD) echo '{"cniVersion":"0.2.0","ip4":{"ip":"10.5.0.9/24"}}' ;;
CHECK) echo '{"code":11,"msg":"later","details":"busy"}'; exit 1 ;;
esac
`,
  );
  chmodSync(file, 0o755);
  const netns = world.container().path;
  const conf = JSON.stringify(bridge({ ipam: { type: "pool" } }), null, 3);
  const env = { CNI_ARGS: "IgnoreUnknown=1;A=b" };
  const made = call("bridge", { verb: "ADD", conf, netns, env });
  expect(made.json?.ips).toEqual([{ address: "10.5.0.9/24", gateway: "10.5.0.1", interface: 2 }]);
  expect(readFileSync(`${log}.ADD`, "utf8")).toBe(conf);
  // What the launcher says to our own runtime is not for others.
  expect(readFileSync(join(directory, "bridge"), "utf8")).toContain("BUN_JSC_");
  expect(readFileSync(`${log}.env`, "utf8")).not.toContain("BUN_JSC_");
  const checked = call("bridge", {
    verb: "CHECK",
    conf: bridge({ ipam: { type: "pool" }, prevResult: made.json }),
    netns,
    env,
  });
  expect(checked.json).toEqual({ code: 11, msg: "later", details: "busy" });
  expect(call("bridge", { verb: "DEL", conf, netns, env }).stdout).toBe("");
  expect(readFileSync(log, "utf8")).toBe("c1 eth0 IgnoreUnknown=1;A=b\n".repeat(3));
});

test("Go's bridge takes its addresses from our host-local, and ours from Go's, out of one pool", () => {
  install();
  const mixed = join(world.directory, "mixed");
  Bun.spawnSync(["mkdir", mixed]);
  symlinkSync("/usr/lib/cni/bridge", join(mixed, "bridge"));
  symlinkSync(join(directory, "host-local"), join(mixed, "host-local"));
  const [one, two] = [world.container().path, world.container().path];
  const theirs = (verb: string) =>
    callPlugin(world.host, mixed, {
      file: "/usr/lib/cni/bridge",
      verb,
      conf: bridge({ ipMasq: false }),
      netns: one,
    });
  const ours = (verb: string) =>
    callPlugin(world.host, "/usr/lib/cni", {
      file: join(directory, "bridge"),
      verb,
      conf: bridge(),
      netns: two,
      containerId: "c2",
    });
  const address = (json: Record<string, unknown> | undefined) =>
    (json!.ips as { address: string }[])[0]!.address;
  expect([address(theirs("ADD").json), address(ours("ADD").json)]).toEqual(["10.77.0.2/24", "10.77.0.3/24"]);
  expect([theirs("DEL").exitCode, ours("DEL").exitCode]).toEqual([0, 0]);
  expect(world.files("networks/net")).toEqual(["last_reserved_ip.0", "lock"]);
});

test("GC by the bridge gives back what a crash left, and keeps who lives; older versions refuse it", () => {
  install();
  const conf = bridge({ cniVersion: "1.1.0" });
  for (const containerId of ["dead", "alive"])
    call("host-local", { verb: "ADD", conf, netns: world.container().path, containerId });
  const living = [{ containerID: "alive", ifname: "eth0" }];
  const cleaned = call("bridge", { verb: "GC", conf: { ...conf, "cni.dev/valid-attachments": living } });
  expect([cleaned.exitCode, cleaned.stdout]).toEqual([0, ""]);
  expect(world.files("networks/net")).toEqual(["10.77.0.3", "last_reserved_ip.0", "lock"]);
  expect(call("bridge", { verb: "GC", conf: bridge() }).json?.code).toBe(1);
});

test("the host's own namespace is refused before anything is made in it", () => {
  install();
  const refused = call("bridge", { verb: "ADD", conf: bridge(), netns: world.host.path });
  expect([refused.exitCode, refused.json?.code]).toEqual([1, 8]);
  expect(world.host.sh("ip", "-o", "link")).not.toContain("br-net");
  expect(world.files("networks/net")).toEqual([]);
});

test("variables are the caller's: the working directory's .env and bunfig.toml are not read", () => {
  install("--symlink");
  writeFileSync(join(world.directory, ".env"), "CNI_COMMAND=VERSION\n");
  writeFileSync(join(world.directory, "bunfig.toml"), 'preload = ["./nothing.ts"]\n');
  const { exitCode, stdout, stderr } = call("portmap", { cwd: world.directory });
  expect([exitCode, stdout]).toEqual([0, ""]);
  expect(stderr).toStartWith("CNI portmap plugin ");
});

test("a user's namespaces, as rootless podman calls plugins in them: bridge, addresses and rules, and nothing left", () => {
  const place = mkdtempSync("/tmp/portolan-user-");
  chmodSync(place, 0o777);
  // A directory that another user may go through.
  copyFileSync(PORTOLAN, join(place, "portolan"));
  Bun.spawnSync([join(place, "portolan"), "cni", "install", join(place, "bin")]);
  const ipam = { type: "host-local", dataDir: join(place, "networks"), subnet: "10.77.0.0/24" };
  const script = `cd ${place}; ip link set lo up
export CNI_PATH=${place}/bin CNI_CONTAINERID=c1 CNI_IFNAME=eth0 XDG_RUNTIME_DIR=${place}/run
mkfifo wait; unshare --net cat wait & until [ -d /proc/$!/ns ] && [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
export CNI_NETNS=/proc/$!/ns/net
echo '${JSON.stringify(bridge({ ipam }))}' > conf
CNI_COMMAND=ADD bin/bridge < conf | grep -o '10.77.0.2/24'
nft list ruleset | grep -c 'ip saddr 10.77.0.2'
CNI_COMMAND=DEL bin/bridge < conf
nft list ruleset | grep -c 'ip saddr 10.77.0.2'
: > wait`;
  const words = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
  ];
  const child = Bun.spawnSync([...words, "sh", "-c", script]);
  rmSync(place, { recursive: true });
  expect([child.stdout.toString(), child.stderr.toString()]).toEqual(["10.77.0.2/24\n1\n0\n", ""]);
});

test("install keeps off others' files, and uninstall takes its own only", () => {
  Bun.spawnSync(["mkdir", directory]);
  writeFileSync(join(directory, "bridge"), "#!/bin/sh\n");
  writeFileSync(join(directory, "mine"), "");
  const refused = install();
  expect(refused.exitCode).toBe(125);
  expect(refused.stderr).toBe(`Error: ${directory} has plugins of others: bridge (--force replaces them)\n`);
  expect(existsSync(join(directory, "portmap"))).toBeFalse();
  expect(install("--force").stdout).toContain(join(directory, "bridge"));
  // Again, over launchers and over links: no force is needed.
  expect([install("--symlink").exitCode, install().exitCode]).toEqual([0, 0]);
  portolan("cni", "uninstall", directory);
  expect(Bun.spawnSync(["ls", directory]).stdout.toString()).toBe("mine\n");
  expect(portolan("cni", "install", "/proc/nowhere").stderr).toStartWith(
    "Error: can't install plugins in /proc/nowhere: ",
  );
});
