/** Names of containers on networks of the user's own: told to whoever is on them, gone with their containers. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import type { TestHost } from "../support/host.ts";
import { difference, snapshot } from "../support/leaks.ts";
import { eventually, openHost } from "./world.ts";

let host: TestHost;

/** A network as `podman network create` writes it. */
async function createNetwork(name: string, third: number, more: { internal?: boolean } = {}): Promise<void> {
  const four = { subnet: `10.89.${third}.0/24`, gateway: `10.89.${third}.1` };
  const six = { subnet: `fd89:${third}::/64`, gateway: `fd89:${third}::1` };
  const bridge = {
    type: "bridge",
    bridge: `cni-podman${third}`,
    isGateway: !more.internal,
    ipMasq: more.internal ? undefined : true,
    hairpinMode: true,
    ipam: {
      type: "host-local",
      routes: more.internal ? undefined : [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
      ranges: [[four], [six]],
    },
    capabilities: { ips: true },
  };
  const plugins = [
    bridge,
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "firewall", backend: "" },
    { type: "tuning" },
    { type: "dnsname", domainName: "dns.podman", capabilities: { aliases: true } },
  ];
  await host.write(
    `/etc/cni/net.d/${name}.conflist`,
    JSON.stringify({ cniVersion: "0.4.0", name, plugins }, null, 3),
  );
}

const portolan = (...words: string[]) => host.must("portolan", ...words);
/** A container that serves its own name. */
const serve = (name: string, ...options: string[]) =>
  portolan(
    ...["run", "-d", "--name", name, ...options, "busybox"],
    ...["sh", "-c", `mkdir /www; echo ${name} >/www/index.html; exec httpd -f -h /www`],
  );
const inside = (container: string, ...command: string[]) =>
  host.run(["portolan", "exec", container, ...command]);
const remove = (...names: string[]) => portolan("rm", "-f", "-t", "0", ...names);
const fetch = (container: string, name: string) =>
  eventually(host, "portolan", "exec", container, "wget", "-q", "-O", "-", `http://${name}/`);
/** Processes of the network service. */
const services = async () => (await host.run(["pgrep", "-a", "netd"])).stdout;
/** The network service ends a moment after its last order. */
const quiet = () =>
  until(
    async () => (await services()) === "",
    () => "the network service goes on without a container",
  );

beforeAll(async () => {
  host = await openHost("busybox");
  await createNetwork("red", 1);
  await createNetwork("blue", 2);
  await createNetwork("vault", 3, { internal: true });
}, 60_000);
afterEach(() => host.must("portolan", "rm", "-f", "-a", "-t", "0"));
afterAll(() => host?.[Symbol.asyncDispose]());

test("a container is known by its name, its aliases and its short id; nobody knows it once it is gone", async () => {
  await portolan("run", "--rm", "--network", "red", "busybox", "true");
  await quiet();
  const before = await snapshot(host);
  const web = await serve("web", "--network", "red", "--network-alias", "www");
  await serve("client", "--network", "red", "--cap-add", "NET_RAW");
  expect(await portolan("exec", "client", "cat", "/etc/resolv.conf")).toBe(
    "search dns.podman\nnameserver 10.89.1.1\nnameserver fd89:1::1",
  );
  for (const name of ["web", "www", "WEB.dns.podman", web.slice(0, 12)])
    expect(await fetch("client", name)).toBe("web\n");
  const formats = [
    "{{.NetworkSettings.Networks.red.IPAddress}}",
    "{{.NetworkSettings.Networks.red.GlobalIPv6Address}}",
  ];
  const [four, six] = (await portolan("inspect", "-f", formats.join(" "), "web")).split(" ");
  expect(await portolan("exec", "client", "ping", "-4", "-c", "1", "web")).toContain(`PING web (${four})`);
  expect(await portolan("exec", "client", "ping", "-6", "-c", "1", "web")).toContain(`PING web (${six})`);
  expect(await portolan("exec", "client", "nslookup", four!)).toContain("web.dns.podman");
  expect((await inside("client", "nslookup", "nobody.dns.podman")).stdout).toContain("NXDOMAIN");
  await remove("web");
  expect((await inside("client", "nslookup", "web.dns.podman")).stdout).toContain("NXDOMAIN");
  await remove("client");
  await quiet();
  expect(difference(before, await snapshot(host))).toEqual([]);
}, 60_000);

test("networks do not know each other's names; whoever is on two knows those of both", async () => {
  await serve("one", "--network", "red");
  await serve("two", "--network", "blue");
  await serve("both", "--network", "red", "--network", "blue");
  expect((await inside("one", "nslookup", "two.dns.podman")).stdout).toContain("NXDOMAIN");
  // Not by asking the other network's resolver either, which the host's addresses lead to.
  expect(
    (await inside("one", "nslookup", "-timeout=1", "-retry=1", "two", "10.89.2.1")).stdout,
  ).not.toContain("10.89.2.");
  expect(await fetch("both", "one")).toBe("one\n");
  expect(await fetch("both", "two")).toBe("two\n");
  expect(await fetch("one", "both")).toBe("both\n");
  expect(await portolan("exec", "both", "cat", "/etc/resolv.conf")).toContain(
    "nameserver 10.89.1.1\nnameserver fd89:1::1\nnameserver 10.89.2.1\n",
  );
}, 60_000);

test("an internal network has names, and asks nobody outside", async () => {
  await serve("safe", "--network", "vault");
  await serve("client", "--network", "vault");
  expect(await fetch("client", "safe")).toBe("safe\n");
  expect((await inside("client", "nslookup", "example.org")).stdout).toContain("NXDOMAIN");
}, 60_000);

test("names are told on when the data plane is killed, and told again when all of the service is", async () => {
  const processes = async (name: string) =>
    (await services()).split("\n").flatMap(line => (line.includes(`__${name} `) ? line.split(" ")[0]! : []));
  await serve("web", "--network", "red");
  await serve("client", "--network", "red");
  const planes = await processes("netd");
  expect(planes).toHaveLength(1);
  await host.must("kill", "-9", ...planes);
  expect(await fetch("client", "web")).toBe("web\n");
  expect(await processes("netd")).not.toEqual(planes);

  await host.must("kill", "-9", ...(await processes("netd-service")));
  await serve("later", "--network", "red");
  for (const name of ["web", "client", "later"]) expect(await fetch("client", name)).toBe(`${name}\n`);
}, 60_000);

test("kill -9 of `run` leaves no name and no service behind", async () => {
  const run = ["portolan", "run", "--rm", "--name", "victim", "--network", "red", "busybox", "true"];
  await host.must(...run);
  const begin = performance.now();
  await host.must(...run);
  const whole = performance.now() - begin;
  let kills = 0;
  for (let round = 0; round < 15; round++) {
    const seconds = `${(Math.random() * whole) / 1000}`;
    if ((await host.run(["timeout", "--foreground", "-s", "KILL", seconds, ...run])).code === 137) kills++;
  }
  expect(kills).toBeGreaterThan(0);
  await until(
    async () => (await portolan("ps", "-aq")) === "" && (await services()) === "",
    () => "a container or the network service is left",
    15,
  );
}, 90_000);
