/** Other people's CNI plugins under our engine: Go's in place of ours, and networks whose plugins we have none of. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import type { TestHost } from "../support/host.ts";
import { openHost } from "./world.ts";

let host: TestHost;
beforeAll(async () => {
  host = await openHost("busybox");
}, 60_000);
afterAll(() => host[Symbol.asyncDispose]());

const portolan = (...words: string[]) => host.must("portolan", ...words);
const SERVE = "while :; do echo hello | nc -l -p 80; done";
const serves = (address: string, port: number) =>
  until(
    async () =>
      (await host.run(["timeout", "1", "bash", "-c", `cat </dev/tcp/${address}/${port}`])).stdout ===
      "hello\n",
    () => `nothing answers at ${address}:${port}`,
  );
const reserved = async (network: string) =>
  (await host.run(["ls", `/var/lib/cni/networks/${network}`])).stdout.match(/^\d+\.\S+$/gm) ?? [];
const results = async () => (await host.run(["ls", "/var/lib/cni/results"])).stdout;
const tables = () => host.must("nft", "list", "tables");

const GO = '[network]\ncni_plugin_dirs = ["/usr/lib/cni"]\ncni_foreign_plugins = ["*"]\n';

test("on Go's plugins alone: addresses, published ports, several networks and their names; nothing of ours, and nothing left", async () => {
  await host.write("/etc/containers/containers.conf", GO);
  await portolan("network", "create", "--subnet", "10.60.0.0/24", "web");
  await portolan(
    "run",
    "-d",
    "--name",
    "one",
    "-p",
    "8080:80",
    "--ip",
    "10.88.0.50",
    "busybox",
    "sh",
    "-c",
    SERVE,
  );
  await serves("10.88.0.50", 80);
  await serves("192.168.77.2", 8080);
  const rules = await host.must("iptables-save");
  expect(rules).toContain("--to-destination 10.88.0.50:80");
  expect(rules).toContain("CNI-HOSTPORT-DNAT");
  expect(await tables()).not.toContain("inet portolan");
  const mac = "92:d0:c6:0a:29:33";
  await portolan(
    "run",
    "-d",
    "--name",
    "two",
    "--network",
    "web",
    "--mac-address",
    mac,
    "busybox",
    "sh",
    "-c",
    SERVE,
  );
  expect(await portolan("exec", "two", "cat", "/sys/class/net/eth0/address")).toBe(mac);
  await portolan("network", "connect", "web", "one");
  expect(await portolan("exec", "one", "sh", "-c", "until nc two 80; do sleep 0.1; done </dev/null")).toBe(
    "hello",
  );
  expect(await portolan("run", "--rm", "busybox", "ip", "-4", "-o", "address", "show", "eth0")).toContain(
    "10.88.0.51/16",
  );
  await portolan("rm", "-f", "-t", "0", "one", "two");
  expect([await reserved("podman"), await reserved("web"), await results()]).toEqual([[], [], ""]);
  expect(await host.must("iptables-save")).not.toMatch(/10\.(88|60)\.0\.\d+(\/32)? /);
  await host.must("rm", "/etc/containers/containers.conf");
});

test("a container of Go's plugins is removed by ours, when the configuration has changed", async () => {
  await host.write("/etc/containers/containers.conf", GO);
  await portolan("run", "-d", "--name", "one", "-p", "8081:80", "busybox", "sh", "-c", SERVE);
  await serves("192.168.77.2", 8081);
  await host.must("rm", "/etc/containers/containers.conf");
  await portolan("rm", "-f", "-t", "0", "one");
  expect([await reserved("podman"), await results()]).toEqual([[], ""]);
  expect(await host.must("iptables-save")).not.toContain("8081");
});

/** As flannel: its own configuration decides subnet and bridge, and Go's bridge does the work. */
const FLANNEL = `#!/bin/sh
cat >/tmp/flannel.$CNI_COMMAND
printf '%s' '{"cniVersion":"0.3.1","name":"cbr0","type":"bridge","bridge":"cni9","isGateway":true,"ipMasq":true,"ipam":{"type":"host-local","subnet":"10.244.3.0/24","routes":[{"dst":"0.0.0.0/0"}]}}' |
  exec /usr/lib/cni/bridge
`;
const CBR0 = {
  name: "cbr0",
  cniVersion: "0.3.1",
  plugins: [
    { type: "flannel", delegate: { hairpinMode: true, isDefaultGateway: true } },
    { type: "portmap", capabilities: { portMappings: true } },
  ],
};

test("a Kubernetes node's networks are shown, and containers join them by plugins that we have none of", async () => {
  await host.write("/opt/cni/bin/flannel", FLANNEL);
  await host.must("chmod", "+x", "/opt/cni/bin/flannel");
  await host.write("/etc/cni/net.d/10-flannel.conflist", JSON.stringify(CBR0));
  await host.write("/etc/cni/net.d/99-loopback.conf", '{"cniVersion":"1.0.0","name":"lo","type":"loopback"}');
  const shown = await portolan("network", "ls", "--format", "{{.Name}} {{.Driver}}");
  expect(shown.split("\n")).toEqual(expect.arrayContaining(["cbr0 flannel", "lo loopback"]));
  const [info] = JSON.parse(await portolan("network", "inspect", "cbr0"));
  expect([info.driver, info.subnets, info.ipam_options]).toEqual(["flannel", undefined, { driver: "none" }]);
  await portolan(
    "run",
    "-d",
    "--name",
    "pod",
    "--network",
    "cbr0",
    "-p",
    "8082:80",
    "busybox",
    "sh",
    "-c",
    SERVE,
  );
  expect(await portolan("inspect", "-f", "{{.NetworkSettings.Networks.cbr0.IPAddress}}", "pod")).toBe(
    "10.244.3.2",
  );
  await serves("10.244.3.2", 80);
  await serves("192.168.77.2", 8082);
  // What the foreign plugin was told is its own object, with the list's name and version.
  expect(await host.must("cat", "/tmp/flannel.ADD")).toBe(
    '{"cniVersion":"0.3.1","delegate":{"hairpinMode":true,"isDefaultGateway":true},"name":"cbr0","type":"flannel"}',
  );
  await portolan("rm", "-f", "-t", "0", "pod");
  expect([await reserved("cbr0"), await results()]).toEqual([[], ""]);
  await host.must("rm", "/etc/cni/net.d/10-flannel.conflist", "/etc/cni/net.d/99-loopback.conf");
});

test("a network whose plugin is nowhere: one line says which, and where it was looked for", async () => {
  await host.write(
    "/etc/cni/net.d/10-x.conflist",
    JSON.stringify({ ...CBR0, name: "x", plugins: [{ type: "nowhere" }] }),
  );
  const { code, stderr } = await host.run(["portolan", "run", "--rm", "--network", "x", "busybox", "true"]);
  expect([code, stderr]).toEqual([
    126,
    expect.stringMatching(
      /^Error: plugin type="nowhere" failed \(add\): failed to find plugin "nowhere" in path \[.*\/usr\/lib\/cni.*\]\n$/,
    ),
  ]);
  await host.must("rm", "/etc/cni/net.d/10-x.conflist");
});

test("addresses whose containers died with an earlier boot are given out again", async () => {
  await portolan("network", "create", "--subnet", "10.70.0.0/30", "tiny");
  const directory = "/var/lib/cni/networks/tiny";
  await host.must("mkdir", "-p", directory);
  await host.write(`${directory}/10.70.0.2`, "0123456789ab\r\neth0");
  await host.write(`${directory}/last_reserved_ip.0`, "10.70.0.2");
  await host.must("touch", "-d", "2020-01-01", `${directory}/10.70.0.2`, `${directory}/last_reserved_ip.0`);
  expect(
    await portolan("run", "--rm", "--network", "tiny", "busybox", "ip", "-4", "-o", "address"),
  ).toContain("10.70.0.2/30");
  // One of this boot stays its owner's.
  await host.write(`${directory}/10.70.0.2`, "0123456789ab\r\neth0");
  const { code, stderr } = await host.run([
    "portolan",
    "run",
    "--rm",
    "--network",
    "tiny",
    "busybox",
    "true",
  ]);
  expect([code, stderr]).toEqual([
    126,
    expect.stringContaining("no IP addresses available in range set: 10.70.0.1-10.70.0.2"),
  ]);
});
