/** Debian 13's podman 5.4 on our network code. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { debian13 } from "../support/debian13.ts";
import { HOST_ADDRESS } from "../support/host.ts";
import { HELPERS, PodmanHost } from "./world.ts";

let engine: PodmanHost;
beforeAll(async () => {
  engine = await PodmanHost.open(debian13());
  await engine.host.must("portolan", "cni", "install", "/opt/cni/bin");
}, 600_000);
const children: Bun.Subprocess[] = [];
afterAll(async () => {
  for (const child of children) child.kill();
  await Promise.all(children.map(child => child.exited));
});
afterAll(() => engine?.[Symbol.asyncDispose]());

const fetched = (url: string) =>
  engine.host.must(
    "curl",
    "-s",
    "--max-time",
    "5",
    "--retry",
    "20",
    "--retry-connrefused",
    "--retry-delay",
    "0",
    url,
  );

test("published ports, names, two networks, options of newer podmans", async () => {
  expect(await engine.podman("version", "--format", "{{.Client.Version}}")).toMatch(/^5\./);
  const options = ["--opt", "metric=300", "--opt", "isolate=strict", "--route", "10.200.0.0/16,10.99.1.9"];
  await engine.podman(
    "network",
    "create",
    "--subnet",
    "10.99.1.0/24",
    "--dns",
    "192.0.2.53",
    ...options,
    "front",
  );
  await engine.podman("network", "create", "--ipv6", "back");
  await engine.serve("web", "--network", "front", "--network", "back", "-p", "8080:80");
  await engine.serve("db", "--network", "back:alias=storage");
  expect(await fetched("http://127.0.0.1:8080/")).toBe("web");
  expect(await fetched(`http://${HOST_ADDRESS}:8080/`)).toBe("web");
  for (const name of ["db", "storage"])
    expect(await engine.exec("web", `wget -qO- http://${name}/`)).toBe("db");
  const routes = await engine.exec("web", "ip route");
  // Which network is eth0 is podman's to say, and it says now this, now that.
  expect(routes).toMatch(/^default via 10\.99\.1\.1 dev eth[01] +metric 300/m);
  expect(routes).toMatch(/^10\.200\.0\.0\/16 via 10\.99\.1\.9 dev eth[01] +metric 300/m);
  const [report] = JSON.parse(await engine.podman("network", "inspect", "back")) as { containers: object }[];
  expect(Object.keys(report!.containers)).toHaveLength(2);
  // `isolate=strict`: no way to a network without the option, and none back.
  await engine.serve("alone", "--network", "front");
  await engine.serve("near", "--network", "front");
  const address = (name: string, network: string) =>
    engine.podman("inspect", "-f", `{{.NetworkSettings.Networks.${network}.IPAddress}}`, name);
  const reaches = async (from: string, to: string) =>
    (await engine.try("exec", from, "timeout", "2", "wget", "-qO-", `http://${to}/`)).code === 0;
  expect(await reaches("near", await address("alone", "front"))).toBe(true);
  expect(await reaches("near", await address("db", "back"))).toBe(false);
  expect(await reaches("db", await address("near", "front"))).toBe(false);
  // The network's own servers are written where aardvark-dns has them, and changed while containers run.
  const entries = () => engine.host.must("cat", "/run/containers/networks/aardvark-dns/front");
  expect(await entries()).toStartWith("10.99.1.1 192.0.2.53\n");
  await engine.podman("network", "update", "--dns-add", "192.0.2.54", "front");
  expect(await entries()).toStartWith("10.99.1.1 192.0.2.53,192.0.2.54\n");
  await engine.podman("network", "reload", "--all");
  expect(await fetched("http://127.0.0.1:8080/")).toBe("web");
  await engine.podman("rm", "-f", "-t", "0", "-a");
  await engine.podman("network", "rm", "front", "back");
  expect(await engine.host.must("sh", "-c", "ip -br link | grep -c podman || true")).toBe("0");
  expect(await engine.host.must("sh", "-c", "nft list table inet portolan | grep -c elements || true")).toBe(
    "0",
  );
  expect(
    await engine.host.must(
      "sh",
      "-c",
      "ls /run/containers/networks/aardvark-dns /run/containers/networks/portolan/results",
    ),
  ).not.toMatch(/front|back/);
});

test("a macvlan's address is of the DHCP server on its wire", async () => {
  const { host } = engine;
  const server = [
    ...[
      "dnsmasq",
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--port=0",
      "--interface=cable",
      "--user=root",
    ],
    ...["--no-ping", "--pid-file=", "--dhcp-leasefile=/dev/null", "--log-dhcp", "--log-facility=-"],
    "--dhcp-range=192.168.77.100,192.168.77.150,255.255.255.0,120",
  ];
  const dnsmasq = host.outside.run(() => Bun.spawn(server, { stdio: ["ignore", "ignore", "pipe"] }));
  const daemon = host.spawn(["/opt/cni/bin/dhcp", "daemon"]);
  children.push(dnsmasq, daemon);
  let said = "";
  void (async () => {
    for await (const chunk of dnsmasq.stderr) said += Buffer.from(chunk).toString();
  })();
  await until(
    async () =>
      (await host.run(["test", "-S", "/run/cni/dhcp.sock"])).code === 0 && said.includes("DHCP, IP range"),
    () => `no server, or no daemon: ${said}`,
  );
  await engine.podman("network", "create", "-d", "macvlan", "-o", "parent=eth0", "lan");
  await engine.podman(
    "run",
    "-d",
    "--name",
    "guest",
    "--hostname",
    "box",
    "--network",
    "lan",
    "busybox",
    "sleep",
    "1000",
  );
  const address = await engine.podman(
    "inspect",
    "-f",
    "{{.NetworkSettings.Networks.lan.IPAddress}}",
    "guest",
  );
  expect(address).toMatch(/^192\.168\.77\.1[0-5]\d$/);
  expect(await engine.exec("guest", "ip -4 addr show eth0; ip route")).toContain(`inet ${address}/24`);
  expect(await engine.exec("guest", "ip route")).toMatch(
    /^default via 192\.168\.77\.1 dev eth0 +metric 100/m,
  );
  expect(said).toContain("client provides name: box");
  await engine.podman("rm", "-f", "-t", "0", "guest");
  await engine.podman("network", "rm", "lan");
  await until(
    () => said.includes(`DHCPRELEASE(cable) ${address}`),
    () => `the lease is not given back: ${said}`,
  );
});

const CONFLIST = {
  cniVersion: "1.0.0",
  name: "old",
  plugins: [
    {
      type: "bridge",
      bridge: "br-old",
      isGateway: true,
      ipMasq: true,
      ipam: { type: "host-local", ranges: [[{ subnet: "10.95.0.0/24" }]], routes: [{ dst: "0.0.0.0/0" }] },
    },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "firewall" },
    { type: "tuning", capabilities: { mac: true } },
  ],
};

test.each(["ours", "Debian's"])("CNI is back: the driver `cni` under %s netavark", async whose => {
  const { host } = engine;
  const helpers = whose === "ours" ? [HELPERS, "/usr/lib/podman"] : ["/usr/lib/podman"];
  const more = `[engine]\nhelper_binaries_dir = ${JSON.stringify(helpers)}\n[network]\nnetavark_plugin_dirs = ["/opt/cni/bin"]\n`;
  await host.write("/etc/containers/more.conf", more);
  await host.write("/etc/cni/net.d/50-old.conflist", JSON.stringify(CONFLIST));
  const env = { CONTAINERS_CONF_OVERRIDE: "/etc/containers/more.conf" };
  const podman = async (...words: string[]) => {
    const { code, stdout, stderr } = await host.run(["timeout", "90", "podman", ...words], { env });
    if (code !== 0) throw new Error(`podman ${words.join(" ")}: ${stderr}`);
    return stdout.trimEnd();
  };
  const made = await host.run(["podman", "network", "create", "-d", "cni", "nothing"], { env });
  expect(made.stderr).toContain("/etc/cni/net.d has no conflist of a network nothing");
  await podman("network", "create", "-d", "cni", "--opt", "conflist=old", "back");
  const script = "mkdir /www && echo web >/www/index.html && exec httpd -f -p 80 -h /www";
  const options = ["--network", "back:mac=92:d0:c6:0a:29:33", "-p", "8085:80"];
  await podman("run", "-d", "--name", "web", ...options, "busybox", "sh", "-c", script);
  expect(await fetched("http://127.0.0.1:8085/")).toBe("web");
  const format = "{{.NetworkSettings.Networks.back.IPAddress}} {{.NetworkSettings.Networks.back.MacAddress}}";
  expect(await podman("inspect", "-f", format, "web")).toMatch(/^10\.95\.0\.\d+ 92:d0:c6:0a:29:33$/);
  expect(await host.must("sh", "-c", "ls /var/lib/cni/results | grep -c old-")).toBe("1");
  await podman("rm", "-f", "-t", "0", "web");
  await podman("network", "rm", "back");
  const left =
    "ls /var/lib/cni/results; ls /var/lib/cni/networks/old | grep -c ^10; nft list ruleset | grep -c 10.95 ";
  expect(await host.must("sh", "-c", `${left}; true`)).toBe("0\n0");
});
