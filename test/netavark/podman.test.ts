/** Debian 12's podman on our network code: its own commands, what packets do, and that nothing is left. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { HOST_ADDRESS, OUTSIDE_ADDRESS } from "../support/host.ts";
import { difference, type Snapshot, snapshot } from "../support/leaks.ts";
import { askTcp, serveTcp, serveUdp, stopSockets, udpClient } from "../support/sockets.ts";
import { PodmanHost } from "./world.ts";

let engine: PodmanHost;
beforeAll(async () => {
  engine = await PodmanHost.open();
  // What podman and its runtime make once and keep.
  await engine.podman("run", "--rm", "busybox", "true");
});
afterAll(async () => {
  stopSockets();
  await engine[Symbol.asyncDispose]();
});

/** What stays by design: podman's own memory of containers and images, our locks and the service's last log. */
const STAYING =
  /^[+-] files: (\/run\/containers|\/run\/libpod|\/run\/lock)|^[+-] (mounts: \/(var\/lib|run)\/containers|files: \/tmp\/)/;
/** Whoever uses the firewall first leaves its table, empty. */
const TABLE = /^\+ firewall: \{"(table|chain|rule|set|map)":.*"portolan"/;

const ownState =
  "find /run/containers/networks -type f -not -path '*/locks/*' -not -name ipam.db -not -name netd.log";

async function left(before: Snapshot): Promise<string[]> {
  const { host } = engine;
  await until(
    async () => (await host.run(["pgrep", "-f", "__netd"])).code === 1,
    () => "the network service does not end",
  );
  const now = difference(before, await snapshot(engine.host)).filter(
    line => !STAYING.test(line) && !TABLE.test(line),
  );
  const files = await engine.host.must("sh", "-c", ownState);
  const elements = await engine.host.must("sh", "-c", "nft list table inet portolan | grep elements || true");
  return [...now, files, elements].filter(Boolean);
}

const fetched = (url: string, ...options: string[]) =>
  engine.host.must("curl", "-s", "--max-time", "5", ...options, url);

test("published ports: from the host, from outside and from a neighbour; tcp, udp, a range, one address of the host", async () => {
  const before = await snapshot(engine.host);
  const ports = ["-p", "8080:80", "-p", "127.0.0.1:8081:80", "-p", "9000-9001:80-81", "-p", "7000:7000/udp"];
  await engine.serve("one", ...ports);
  await engine.serve("two");
  for (const at of [`127.0.0.1:8080`, `${HOST_ADDRESS}:8080`, "127.0.0.1:8081", "127.0.0.1:9000"])
    expect(await fetched(`http://${at}/`)).toBe("one");
  const { outside } = engine.host;
  expect(outside.sh("curl", "-s", "--max-time", "5", `http://${HOST_ADDRESS}:8080/`)).toBe("one\n");
  expect((await engine.host.run(["curl", "-s", `http://${HOST_ADDRESS}:8081/`])).code).toBe(7);
  expect(await engine.exec("two", `wget -qO- http://${HOST_ADDRESS}:8080/`)).toBe("one");
  expect(await engine.exec("one", `wget -qO- http://${HOST_ADDRESS}:8080/`)).toBe("one");
  const server = await serveUdp(await engine.namespace("one"), "0.0.0.0", 7000, "one");
  const client = await udpClient(outside, HOST_ADDRESS, 7000);
  client.send("hello");
  await until(
    () => server.received.length > 0,
    () => "no datagram comes through",
  );
  expect(await engine.podman("port", "one", "80/tcp")).toContain("0.0.0.0:8080");
  await engine.podman("rm", "-f", "-t", "0", "one", "two");
  expect(await left(before)).toEqual([]);
});

test("a static address and hardware address; the way out is the host's address", async () => {
  serveTcp(engine.host.outside, OUTSIDE_ADDRESS, 7001, "outside");
  await engine.serve("fixed", "--ip", "10.88.7.7", "--mac-address", "92:d0:c6:0a:29:33");
  const facts = await engine.exec(
    "fixed",
    "ip -4 addr show eth0; cat /sys/class/net/eth0/address; ip route; ip link show lo",
  );
  expect(facts).toContain("inet 10.88.7.7/16 brd 10.88.255.255");
  expect(facts).toContain("92:d0:c6:0a:29:33");
  expect(facts).toContain("default via 10.88.0.1 dev eth0  metric 100");
  expect(facts).toContain("<LOOPBACK,UP");
  const format =
    "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.MacAddress}} {{.NetworkSettings.Gateway}}";
  expect(await engine.podman("inspect", "-f", format, "fixed")).toBe("10.88.7.7 92:d0:c6:0a:29:33 10.88.0.1");
  expect(await askTcp(await engine.namespace("fixed"), OUTSIDE_ADDRESS, 7001)).toBe(
    `outside ${HOST_ADDRESS}`,
  );
  await engine.podman("rm", "-f", "-t", "0", "fixed");
});

test("networks of one's own: names, two networks, dual stack, connect, disconnect, reload, rm", async () => {
  const before = await snapshot(engine.host);
  await engine.podman("network", "create", "front");
  await engine.podman(
    "network",
    "create",
    "--ipv6",
    "--subnet",
    "10.99.1.0/24",
    "--subnet",
    "fd99:1::/64",
    "back",
  );
  const [back] = JSON.parse(await engine.podman("network", "inspect", "back")) as Record<string, unknown>[];
  expect(back).toMatchObject({ driver: "bridge", ipv6_enabled: true, dns_enabled: true });
  await engine.serve("web", "--network", "front", "--network", "back", "-p", "8090:80");
  await engine.serve("db", "--network", "back", "--network-alias", "storage");
  expect(await engine.exec("web", "cat /etc/resolv.conf")).toContain("search dns.podman");
  for (const name of ["db", "storage", "db.dns.podman"])
    expect(await engine.exec("web", `wget -qO- http://${name}/`)).toBe("db");
  expect(await engine.exec("db", "nslookup web")).toContain("fd99:1::");
  expect((await engine.exec("web", "ip route | grep ^default")).split("\n")).toHaveLength(2);
  expect(await engine.exec("db", "ip -6 route")).toContain("default via fd99:1::1 dev eth0  metric 100");
  expect(await fetched("http://127.0.0.1:8090/")).toBe("web");
  // The port goes on by the network that is left.
  await engine.podman("network", "disconnect", "front", "web");
  expect(await fetched("http://127.0.0.1:8090/")).toBe("web");
  await engine.podman("network", "connect", "front", "web");
  expect(await fetched("http://127.0.0.1:8090/")).toBe("web");
  await engine.host.must("nft", "flush", "ruleset");
  expect((await engine.host.run(["curl", "-s", "--max-time", "2", "http://127.0.0.1:8090/"])).code).not.toBe(
    0,
  );
  await engine.podman("network", "reload", "--all");
  expect(await fetched("http://127.0.0.1:8090/")).toBe("web");
  expect(await engine.exec("web", "wget -qO- http://db/")).toBe("db");
  // A network service that was killed forgets; the next container of the network has it told all again.
  await engine.host.must("sh", "-c", "kill -9 $(pgrep -f '[_]_netd')");
  await engine.podman("run", "--rm", "--network", "back", "busybox", "true");
  expect(await engine.exec("web", "wget -qO- http://storage/")).toBe("db");
  await engine.podman("rm", "-f", "-t", "0", "web", "db");
  await engine.podman("network", "rm", "front", "back");
  expect(await left(before)).toEqual([]);
});

test("isolated networks keep each other out, an internal one has no way out but names", async () => {
  const before = await snapshot(engine.host);
  for (const [name, ...options] of [
    ["left", "--opt", "isolate=true"],
    ["right", "--opt", "isolate=true"],
    ["plain"],
    ["inner", "--internal"],
  ] as const)
    await engine.podman("network", "create", ...options, name);
  for (const name of ["left", "right", "plain"]) await engine.serve(`on-${name}`, "--network", name);
  await engine.serve("in-a", "--network", "inner");
  await engine.serve("in-b", "--network", "inner");
  const address = (name: string, network: string) =>
    engine.podman("inspect", "-f", `{{.NetworkSettings.Networks.${network}.IPAddress}}`, name);
  const reaches = async (from: string, to: string) =>
    (await engine.try("exec", from, "timeout", "2", "wget", "-qO-", `http://${to}/`)).code === 0;
  expect(await reaches("on-left", await address("on-right", "right"))).toBe(false);
  expect(await reaches("on-left", await address("on-plain", "plain"))).toBe(true);
  expect(await engine.exec("in-a", "wget -qO- http://in-b/")).toBe("in-b");
  expect(await engine.exec("in-a", "ip route")).not.toContain("default");
  expect((await engine.try("exec", "in-a", "ping", "-c", "1", "-W", "1", OUTSIDE_ADDRESS)).code).not.toBe(0);
  await engine.podman("rm", "-f", "-t", "0", "-a");
  await engine.podman("network", "rm", "left", "right", "plain", "inner");
  expect(await left(before)).toEqual([]);
});

test("a host that drops by policy, as with ufw: names, ports and the way out all the same", async () => {
  const { host } = engine;
  const filter = (script: string) => host.must("sh", "-c", `set -e; ${script}`);
  const known =
    "INPUT -i lo -j ACCEPT; iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
  serveTcp(host.outside, OUTSIDE_ADDRESS, 7002, "outside");
  await filter(`iptables -A ${known}; iptables -P INPUT DROP; iptables -P FORWARD DROP`);
  await engine.podman("network", "create", "walled");
  await engine.podman("network", "create", "--internal", "cell");
  await engine.serve("web", "--network", "walled", "--network", "cell", "-p", "8095:80");
  await engine.serve("mate", "--network", "cell");
  expect(await fetched("http://127.0.0.1:8095/")).toBe("web");
  expect(host.outside.sh("curl", "-s", "--max-time", "5", `http://${HOST_ADDRESS}:8095/`)).toBe("web\n");
  expect(await engine.exec("web", "wget -qO- http://mate/")).toBe("mate");
  expect(await engine.exec("mate", "wget -qO- http://web/")).toBe("web");
  expect(await askTcp(await engine.namespace("web"), OUTSIDE_ADDRESS, 7002)).toBe(`outside ${HOST_ADDRESS}`);
  await engine.podman("rm", "-f", "-t", "0", "-a");
  await engine.podman("network", "rm", "walled", "cell");
  expect(await host.must("sh", "-c", "iptables -S | grep -c portolan || true")).toBe("0");
  await filter("iptables -P INPUT ACCEPT; iptables -P FORWARD ACCEPT; iptables -F INPUT");
});
