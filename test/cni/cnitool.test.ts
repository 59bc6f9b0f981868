/** `portolan cni add|check|del|gc|status` with cnitool's variables, on a host of its own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { TestHost } from "../support/host.ts";
import { TestUser } from "../support/user.ts";

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
  await host.must("ip", "netns", "add", "one");
});
afterAll(() => host[Symbol.asyncDispose]());

const NETNS = "/run/netns/one";
const ID = `cnitool-${createHash("sha512").update(NETNS).digest("hex").slice(0, 20)}`;

const write = (path: string, value: unknown) => host.write(path, JSON.stringify(value));
const cni = (words: string, env: Record<string, string> = {}) =>
  host.run(["portolan", "cni", ...words.split(" ")], { env });
const list = async (directory: string) => (await host.run(["ls", directory])).stdout;

const bridge = { type: "bridge", bridge: "br-one", ipam: { type: "host-local", subnet: "10.66.0.0/24" } };

test("a single configuration is a network: the result is printed, under cnitool's id, and DEL leaves nothing", async () => {
  await write("/srv/net/10-x.conf", { cniVersion: "0.3.1", name: "one", ...bridge });
  const env = { NETCONFPATH: "/srv/net", CNI_IFNAME: "net7", CNI_ARGS: "IgnoreUnknown=1;IP=10.66.0.77" };
  const { code, stdout, stderr } = await cni(`add one ${NETNS}`, env);
  expect([code, stderr]).toEqual([0, ""]);
  const result = JSON.parse(stdout) as { cniVersion: string; ips: object[] };
  expect(result.cniVersion).toBe("0.3.1");
  expect(result.ips).toEqual([
    { version: "4", interface: 2, address: "10.66.0.77/24", gateway: "10.66.0.1" },
  ]);
  expect(await list("/var/lib/cni/results")).toBe(`one-${ID}-net7\n`);
  expect(await host.must("ip", "-n", "one", "-br", "address", "show", "net7")).toContain("10.66.0.77/24");
  expect((await cni(`del one ${NETNS}`, env)).code).toBe(0);
  expect(await list("/var/lib/cni/results")).toBe("");
  expect(await list("/var/lib/cni/networks/one")).not.toContain("10.66");
});

test("plugins of our own are preferred, those of CNI_PATH are executed for --foreign and for what is not ours", async () => {
  const script = (name: string, answer: string) =>
    host
      .write(`/srv/bin/${name}`, `#!/bin/sh\ncat >/srv/${name}.$CNI_COMMAND\n${answer}\n`)
      .then(() => host.must("chmod", "+x", `/srv/bin/${name}`));
  await script("bridge", `echo '{"code":11,"msg":"not today"}'; exit 1`);
  await script(
    "other",
    `[ $CNI_COMMAND != ADD ] || echo '{"cniVersion":"1.0.0","ips":[{"address":"10.66.0.9/24"}]}'`,
  );
  const plugins = [bridge, { type: "other", capabilities: { color: true } }];
  await write("/etc/cni/net.d/two.conflist", { cniVersion: "1.0.0", name: "two", plugins });
  const env = { CNI_PATH: "/srv/bin", CAP_ARGS: '{"color":"blue"}' };
  expect((await cni(`add two ${NETNS}`, env)).stdout).toContain("10.66.0.9/24");
  expect(await host.must("cat", "/srv/other.ADD")).toContain('"runtimeConfig":{"color":"blue"}');
  expect((await cni(`gc two ${NETNS}`, env)).code).toBe(0);
  expect(await list("/var/lib/cni/results")).toBe("");
  const refused = await cni(`add --foreign bridge two ${NETNS}`, env);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    'Error: plugin type="bridge" failed (add): not today\n',
  ]);
  // What containers.conf says of the engine's networks holds here too, until somebody says otherwise.
  const conf = '[network]\ncni_plugin_dirs = ["/srv/bin"]\ncni_foreign_plugins = ["bridge"]\n';
  await host.write("/srv/containers.conf", conf);
  const { CNI_PATH: _, ...rest } = env;
  const configured = { ...rest, CONTAINERS_CONF: "/srv/containers.conf" };
  expect((await cni(`add two ${NETNS}`, configured)).stderr).toBe(refused.stderr);
  expect((await cni(`add --foreign other two ${NETNS}`, configured)).stdout).toContain("10.66.0.9/24");
  expect((await cni(`del --foreign other two ${NETNS}`, configured)).code).toBe(0);
});

test("who has no rights is told so in one line, whatever he asks for", async () => {
  const user = await TestUser.add(host);
  const alone = ["unshare", "--user", "--map-root-user"];
  for (const verb of ["add", "check", "del", "gc", "status"]) {
    const { code, stderr } = await user.run(["portolan", "cni", verb, "two", NETNS]);
    expect([code, stderr]).toEqual([
      1,
      "Error: no rights to network two and to network namespaces (run it as root; `portolan run --network` needs no rights)\n",
    ]);
  }
  // Root of a user namespace is nobody to the host.
  const { code, stderr } = await user.run([...alone, "portolan", "cni", "add", "two", NETNS]);
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(
      /^Error: no rights to network two and to network namespaces: .+ \(run it as root; .+\)\n$/,
    ),
  ]);
  for (const words of ["install", "uninstall"]) {
    await host.must("mkdir", "-p", "/srv/roots");
    await host.must("portolan", "cni", "install", "/srv/roots");
    const { code, stderr } = await user.run(["portolan", "cni", words, "/srv/roots"]);
    expect([code, stderr]).toEqual([
      125,
      expect.stringMatching(
        /^Error: can't .+ \/srv\/roots: permission denied \(run it as root, or name a directory of yours\)\n$/,
      ),
    ]);
  }
});

test("what can't be done is one line, and exit code 1", async () => {
  const refusals: [string, Record<string, string>, string][] = [
    [`add nowhere ${NETNS}`, {}, 'no net configuration with name "nowhere" in /etc/cni/net.d'],
    [`add nowhere ${NETNS}`, { NETCONFPATH: "/srv/void" }, "no net configurations found in /srv/void"],
    [`add two ${NETNS}`, { CNI_ARGS: "A" }, 'invalid CNI_ARGS pair "A"'],
    [`add two ${NETNS}`, { CAP_ARGS: "[]" }, 'CAP_ARGS must be an object, such as {"portMappings": [...]}'],
    [
      `status two ${NETNS}`,
      { CNI_PATH: "/srv/void" },
      'plugin type="other" failed (status): failed to find plugin "other" in path [/srv/void]',
    ],
    [`add two ${NETNS}`, { CNI_IFNAME: "a/b" }, "interface name contains / or : or whitespace characters"],
  ];
  for (const [words, env, line] of refusals) {
    const { code, stderr } = await cni(words, env);
    expect([code, stderr]).toEqual([1, `Error: ${line}\n`]);
  }
});

test("what was mistyped is told, and nothing is done", async () => {
  await write("/srv/typed/10-x.conf", { cniVersion: "1.0.0", name: "typed", ...bridge });
  await host.write("/srv/typed/05-broken.conflist", "{oops");
  const env = { NETCONFPATH: "/srv/typed" };
  const refused = async (words: string) => {
    const { code, stdout, stderr } = await cni(words, env);
    expect([code, stdout]).toEqual([1, ""]);
    return stderr.trim().split("\n").at(-1);
  };
  expect(await refused(`add --foreign bridg typed ${NETNS}`)).toBe(
    'Error: no plugin of network typed is of the type "bridg" of --foreign: it has bridge, host-local',
  );
  for (const verb of ["add", "check", "gc", "status"])
    expect(await refused(`${verb} typed /etc/passwd`)).toBe("Error: /etc/passwd is no network namespace");
  expect(await refused(`add nothere ${NETNS}`)).toBe(
    'Error: no net configuration with name "nothere" in /srv/typed',
  );
  expect(await list("/var/lib/cni/results")).toBe("");
  // The broken file of another network is warned of, and no more.
  const { code, stderr } = await cni(`add typed ${NETNS}`, env);
  expect([code, stderr]).toEqual([0, expect.stringContaining("/srv/typed/05-broken.conflist")]);
  expect((await cni(`gc typed ${NETNS}`, env)).code).toBe(0);
  expect((await cni("uninstall /srv/nowhere", env)).stderr).toBe("Error: /srv/nowhere does not exist\n");
  for (const verb of ["install", "uninstall"])
    expect(await cni(`${verb} /srv/typed/10-x.conf`, env)).toMatchObject({
      code: 125,
      stderr: "Error: /srv/typed/10-x.conf is not a directory\n",
    });
});
