/** Debian's podman 4.3.1 in its CNI mode, on our plugins alone: Go's can't be found on this host. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../../support/await.ts";
import { HOST_ADDRESS, type TestHost } from "../../support/host.ts";
import { difference, type Snapshot, snapshot } from "../../support/leaks.ts";
import { udpClient } from "../../support/sockets.ts";
import { clientHost, script } from "./client-host.ts";

let host: TestHost;
let before: Snapshot;

/** Serves the port's number at each of these ports. */
const serve = (...ports: number[]) =>
  `sh -c 'for port in ${ports.join(" ")}; do mkdir /w$port; echo web $port >/w$port/index.html; httpd -p $port -h /w$port; done; exec sleep 1000'`;

/** A page, once somebody answers. */
const page = (url: string) => script(host, `until curl -sSf -m 5 ${url} 2>/dev/null; do sleep 0.02; done`);
const addresses = (...flags: string[]) =>
  script(host, `podman run --rm ${flags.join(" ")} busybox ip -o addr`);

/** Directories of networks that were, with the last address and a lock in each, stay with Go's plugins too. */
const isKept = (path: string) =>
  !/^(\/var\/lib\/cni\/networks\/[^/]+|\/run\/(cni\/tuning|portolan\/cni-names))$/.test(path);

/** What a container leaves: its bridge stays until its network is removed, with Go's plugins too. */
async function traces(): Promise<Snapshot> {
  const { links, addresses, routes, rules, firewall, namespaces, sockets, files } = await snapshot(host);
  const ours = (files ?? []).filter(path => /^\/(var\/lib|run)\/(cni|portolan)\//.test(path)).filter(isKept);
  return { links, addresses, routes, rules, firewall, namespaces, sockets, files: ours } as Snapshot;
}

beforeAll(async () => {
  const made = await clientHost();
  host = made.host;
  await script(host, `podman load -q -i ${made.image}`);
  // The first container brings the bridge, and tables without a rule for anybody.
  await script(host, "podman run --rm -p 8080:80 busybox true");
  before = await traces();
});
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
});

test("no plugin of Go's is there, and each of ours answers podman's VERSION", async () => {
  expect(
    await script(host, "ls /usr/lib/cni /usr/libexec/cni /usr/local/lib/cni 2>/dev/null || true"),
  ).not.toMatch(/bridge/);
  expect(await script(host, "CNI_COMMAND=VERSION /opt/cni/bin/bridge")).toContain('"1.0.0"');
});

test("a container has an address and a way out", async () => {
  expect(await addresses()).toMatch(/eth0 +inet 10\.88\.0\.\d+\/16/);
  expect(await script(host, "podman run --rm busybox ip route")).toContain("default via 10.88.0.1 dev eth0");
  expect(
    await script(host, "podman run --rm --cap-add NET_RAW busybox ping -c 1 -W 5 192.168.77.1"),
  ).toContain("1 packets received");
});

test("published ports answer on 127.0.0.1, on the host's address, to outsiders, and where they were asked for", async () => {
  await script(
    host,
    `podman run -d --name web -p 8080:80 -p 127.0.0.2:8081:81 -p 9000-9002:82-84 busybox ${serve(80, 81, 82, 83, 84)}`,
  );
  expect(await page("127.0.0.1:8080")).toBe("web 80");
  expect(await page(`${HOST_ADDRESS}:8080`)).toBe("web 80");
  expect(host.outside.sh("curl", "-sSf", `http://${HOST_ADDRESS}:8080`)).toBe("web 80\n");
  expect(await page("127.0.0.2:8081")).toBe("web 81");
  expect((await host.run(["curl", "-sS", "-m", "5", `${HOST_ADDRESS}:8081`])).code).toBe(7);
  for (const [index, port] of [82, 83, 84].entries())
    expect(await page(`127.0.0.1:${9000 + index}`)).toBe(`web ${port}`);
  expect(await script(host, "podman port web 80/tcp")).toBe("0.0.0.0:8080");
  await script(host, "podman rm -f -t 0 web");
  expect((await host.run(["curl", "-sS", "-m", "5", "127.0.0.1:8080"])).code).toBe(7);
});

test("a published UDP port answers", async () => {
  await script(host, "podman run -d --name udp -p 5353:53/udp busybox sleep 1000");
  const pid = await script(host, "podman inspect -f '{{.State.Pid}}' udp");
  const echo =
    'Bun.udpSocket({ port: 53, socket: { data: (s, data, port, from) => s.send("for " + from + ": " + data, port, from) } }); console.log("ready")';
  const server = host.spawn(["nsenter", `--net=/proc/${pid}/ns/net`, process.execPath, "-e", echo]);
  for await (const chunk of server.stdout) if (Buffer.from(chunk).includes("ready")) break;
  const client = await udpClient(host.outside, HOST_ADDRESS, 5353);
  expect(await client.ask("hello")).toBe("for 192.168.77.1: hello");
  server.kill();
  await server.exited;
  await script(host, "podman rm -f -t 0 udp");
});

test("an address and a hardware address of the user's choice", async () => {
  const found = await addresses("--ip 10.88.0.77", "--mac-address 02:11:22:33:44:55");
  expect(found).toMatch(/eth0 +inet 10\.88\.0\.77\/16/);
  // The link-local address is made of the hardware address.
  expect(found).toContain("fe80::11:22ff:fe33:4455/64");
  await script(host, "podman run -d --name first --ip 10.88.0.78 busybox sleep 1000");
  const second = await host.run(["podman", "run", "--rm", "--ip", "10.88.0.78", "busybox", "true"]);
  expect(second.code).not.toBe(0);
  expect(second.stderr).toContain("10.88.0.78");
  await script(host, "podman rm -f -t 0 first");
});

test("networks are made, listed, inspected and joined, several at once, and removed", async () => {
  await script(
    host,
    "podman network create one && podman network create --subnet fd05::/64 --subnet 10.55.0.0/24 two",
  );
  expect(await script(host, "podman network ls -q --format '{{.Name}}'")).toBe("one\npodman\ntwo");
  const [two] = JSON.parse(await script(host, "podman network inspect two"));
  expect(two).toMatchObject({ driver: "bridge", ipv6_enabled: true, ipam_options: { driver: "host-local" } });
  const found = await addresses("--network one,two");
  // Which of them is eth0 is chance: podman 4 goes over a map of Go.
  const [one, other] = ["10.89.0.2/24", "10.55.0.2/24"].map(
    address => new RegExp(`(eth\\d) +inet ${address} `).exec(found)?.[1],
  );
  expect([one, other].toSorted()).toEqual(["eth0", "eth1"]);
  expect(found).toMatch(new RegExp(`${other} +inet6 fd05::2/64`));
  await script(host, `podman run -d --name web --network one,two -p 8080:80 busybox ${serve(80)}`);
  expect(await page("127.0.0.1:8080")).toBe("web 80");
  expect(
    await script(host, "podman inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' web"),
  ).toMatch(/10\.55\.0\.3|10\.89\.0\.3/);
  await script(host, "podman rm -f -t 0 web && podman network rm one two");
  expect(await script(host, "ip -br link")).not.toContain("cni-podman1");
});

test("an internal network has no way out, and isolated networks do not reach each other", async () => {
  await script(
    host,
    `podman network create --internal inner && podman network create other
    for name in alone apart; do podman network create -o isolate=true $name; done`,
  );
  expect(await script(host, "podman run --rm --network inner busybox ip route")).not.toContain("default");
  for (const name of ["other", "apart"])
    await script(host, `podman run -d --name ${name} --network ${name} busybox ${serve(80)}`);
  const ask = async (from: string, name: string) => {
    const format = `{{.NetworkSettings.Networks.${name}.IPAddress}}`;
    const address = await script(host, `podman inspect -f '${format}' ${name}`);
    await page(address);
    const request = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${address} 80`;
    return (await host.run(["podman", "run", "--rm", "--network", from, "busybox", "sh", "-c", request]))
      .stdout;
  };
  expect(await ask("podman", "other")).toEndWith("web 80\n");
  // As with Go's plugins: an isolated network may speak to one that is not.
  expect(await ask("alone", "other")).toEndWith("web 80\n");
  expect(await ask("alone", "apart")).toBe("");
  await script(host, "podman rm -f -t 0 other apart && podman network rm inner alone apart other");
});

test("containers of a network know each other's names", async () => {
  await script(
    host,
    "podman network create named && podman run -d --name db --network-alias store --network named busybox sleep 1000",
  );
  const ask = (name: string) => script(host, `podman run --rm --network named busybox nslookup ${name}`);
  const address = await script(host, "podman inspect -f '{{.NetworkSettings.Networks.named.IPAddress}}' db");
  for (const name of ["db", "store", "db.dns.podman"])
    expect(await ask(name)).toContain(`Address: ${address}`);
  await script(host, "podman rm -f -t 0 db");
  expect(
    (await host.run(["podman", "run", "--rm", "--network", "named", "busybox", "nslookup", "db"])).code,
  ).not.toBe(0);
  await script(host, "podman network rm named");
});

test("a macvlan network is the cable's own", async () => {
  await script(
    host,
    "podman network create -d macvlan -o parent=eth0 --subnet 192.168.77.0/24 --gateway 192.168.77.1 lan",
  );
  const seen = await script(
    host,
    "podman run --rm --network lan --ip 192.168.77.50 --cap-add NET_RAW busybox sh -c 'ip -o addr; ping -c 1 -W 5 192.168.77.1'",
  );
  expect(seen).toContain("192.168.77.50/24");
  expect(seen).toContain("1 packets received");
  await script(host, "podman network rm lan");
});

test("reload puts back what emptied rules took, with the same address", async () => {
  await script(host, `podman run -d --name web -p 8080:80 busybox ${serve(80)}`);
  const address = () => script(host, "podman inspect -f '{{.NetworkSettings.IPAddress}}' web");
  const first = await address();
  await page("127.0.0.1:8080");
  await script(host, "nft flush ruleset");
  // podman itself listens at the port, so nobody refuses.
  expect((await host.run(["curl", "-sS", "-m", "1", "127.0.0.1:8080"])).code).toBe(28);
  await script(host, "podman network reload web");
  expect(await page("127.0.0.1:8080")).toBe("web 80");
  expect(await address()).toBe(first);
  await script(host, "podman rm -f -t 0 web");
});

test("a container that ends by itself and one that is killed take their ports and addresses along", async () => {
  await script(host, "podman run -d --name short -p 8080:80 busybox true && podman wait short");
  await script(
    host,
    "podman run -d --name killed -p 8081:80 busybox sleep 1000 && podman kill killed && podman wait killed || true",
  );
  // conmon's command cleans up a moment later.
  await until(
    async () => !/\n10\.88/.test(`\n${await script(host, "ls /var/lib/cni/networks/podman")}`),
    () => "addresses of ended containers stay",
  );
  await script(host, "podman rm -f -t 0 -a");
});

test("nothing of all this is left", async () => {
  expect(await script(host, "podman ps -aq; podman network ls -q")).toBe("podman");
  expect(difference(before, await traces())).toEqual([]);
  expect(await script(host, "nft list ruleset")).not.toMatch(/\b10\.(55|88|89)\.|fd05/);
});
