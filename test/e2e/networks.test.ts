/** Networks of one's own: what the kernel has of their options, and that nothing is left of them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/await.ts";
import type { TestHost } from "../support/host.ts";
import { openSettledHost, withoutTrace } from "./without-trace.ts";

let host: TestHost;
beforeAll(async () => {
  host = await openSettledHost();
}, 60_000);
afterAll(() => host[Symbol.asyncDispose]());

const portolan = (...words: string[]) => host.must("portolan", ...words);
const create = (name: string, ...words: string[]) => portolan("network", "create", ...words, name);
/** A container that sleeps. */
const start = (name: string, network: string, ...command: string[]) =>
  portolan(
    "run",
    "-d",
    "--name",
    name,
    "--network",
    network,
    "busybox",
    ...(command.length ? command : SLEEP),
  );
const SLEEP = ["sleep", "1000"];
const inside = (name: string, ...command: string[]) => portolan("exec", name, ...command);
const json = async (...command: string[]) => JSON.parse(await host.must(...command));

const leavesNothing = (body: () => Promise<void>) => withoutTrace(host, body);

/** True when `name` can open a connection to port 80 of `address` within a second. */
async function reaches(name: string, address: string): Promise<boolean> {
  const ask = `nc -w 1 ${address} 80 </dev/null`;
  return (await host.run(["portolan", "exec", name, "sh", "-c", ask])).stdout === "hello\n";
}
/** Between two callers nobody listens for a moment. */
const SERVE = ["sh", "-c", "while :; do echo hello | nc -l -p 80; done"];
const eventually = (name: string, address: string) =>
  until(
    () => reaches(name, address),
    () => `${name} does not reach ${address}`,
  );

test("mtu is that of the container's end, the host's end and the bridge", () =>
  leavesNothing(async () => {
    await create("small", "-o", "mtu=1380");
    await start("one", "small");
    expect(await inside("one", "cat", "/sys/class/net/eth0/mtu")).toBe("1380");
    const links: { ifname: string; mtu: number; master?: string }[] = await json("ip", "-j", "link");
    const ours = links.filter(one => one.ifname === "cni-podman1" || one.master === "cni-podman1");
    expect(ours.map(one => one.mtu)).toEqual([1380, 1380]);
  }));

test("an internal network has no way out and no masquerading; its containers reach each other", () =>
  leavesNothing(async () => {
    await create("closed", "--internal", "--subnet", "10.50.0.0/24", "--subnet", "fd50::/64");
    await start("server", "closed:ip=10.50.0.9,ip=fd50::9", ...SERVE);
    await start("one", "closed");
    await eventually("one", "10.50.0.9");
    await eventually("one", "fd50::9");
    expect(await inside("one", "ip", "route")).not.toContain("default");
    expect(await inside("one", "ip", "-6", "route")).not.toContain("default");
    expect(await host.must("nft", "list", "table", "inet", "portolan")).not.toContain("10.50.0.");
    const { internal } = (await json("portolan", "network", "inspect", "closed"))[0];
    expect(internal).toBe(true);
  }));

test("isolated networks keep each other out, not their own containers; the rule goes with the last", () =>
  leavesNothing(async () => {
    await create("left", "-o", "isolate=true", "--subnet", "10.51.0.0/24");
    await create("right", "-o", "isolate=true", "--subnet", "10.52.0.0/24");
    await create("open", "--subnet", "10.53.0.0/24");
    for (const [network, address] of [
      ["left", "10.51.0.9"],
      ["right", "10.52.0.9"],
      ["open", "10.53.0.9"],
    ] as const)
      await start(`${network}-server`, `${network}:ip=${address}`, ...SERVE);
    await start("one", "left");
    await eventually("one", "10.51.0.9");
    await eventually("open-server", "10.52.0.9");
    expect(await reaches("one", "10.52.0.9")).toBe(false);
    expect(await reaches("right-server", "10.51.0.9")).toBe(false);
    await eventually("one", "10.53.0.9");
    const isolated = async () => host.must("nft", "list", "set", "inet", "portolan", "isolated");
    expect(await isolated()).toMatch(/cni-podman1[\s\S]*cni-podman2/);
    await portolan("rm", "-f", "-t", "0", "one", "left-server");
    expect(await isolated()).not.toContain("cni-podman1");
  }));

test("dual stack: both addresses, gateways and routes, a published port of either family, two subnets of one", () =>
  leavesNothing(async () => {
    await create("dual", "--ipv6");
    const { subnets } = (await json("portolan", "network", "inspect", "dual"))[0];
    expect(subnets.map((one: { subnet: string }) => one.subnet)).toEqual([
      expect.stringMatching(/^10\.89\.\d+\.0\/24$/),
      expect.stringMatching(/^fd[0-9a-f]{2}:.*::\/64$/),
    ]);
    await portolan("run", "-d", "--name", "one", "--network", "dual", "-p", "8080:80", "busybox", ...SERVE);
    const bridge: { addr_info: { local: string }[] }[] = await json(
      "ip",
      "-j",
      "addr",
      "show",
      "cni-podman1",
    );
    const addresses = bridge[0]!.addr_info.map(one => one.local);
    const [four, six] = subnets.map((one: { gateway: string }) => one.gateway);
    expect(addresses).toEqual(expect.arrayContaining([four, six]));
    expect(await inside("one", "ip", "route")).toContain(`default via ${four}`);
    expect(await inside("one", "ip", "-6", "route")).toContain(`default via ${six}`);
    const settings = (await json("portolan", "inspect", "one"))[0].NetworkSettings.Networks.dual;
    expect(settings).toMatchObject({ Gateway: four, IPv6Gateway: six, GlobalIPv6PrefixLen: 64 });
    await create("client", "--ipv6");
    await start("two", "client");
    for (const address of [four, six])
      await until(
        async () =>
          (await host.run(["portolan", "exec", "two", "nc", "-w", "1", address, "8080"])).stdout ===
          "hello\n",
        () => `the port is not published at ${address}`,
      );
    // Of one family, too.
    await create("wide", "--subnet", "10.54.0.0/24", "--subnet", "10.55.0.0/24");
    await start("three", "wide");
    expect(await inside("three", "ip", "-o", "-4", "addr", "show", "eth0")).toMatch(
      /10\.54\.0\.[\s\S]*10\.55\.0\./,
    );
  }));

test("a macvlan is a machine on its parent's wire", () =>
  leavesNothing(async () => {
    await create(
      "wire",
      "-d",
      "macvlan",
      "-o",
      "parent=eth0",
      "-o",
      "mtu=1400",
      "--subnet",
      "192.168.78.0/24",
    );
    host.outside.sh("ip", "address", "add", "192.168.78.1/24", "dev", "cable");
    try {
      await start("one", "wire:ip=192.168.78.9,mac=92:d0:c6:0a:29:33", ...SERVE);
      await until(
        () =>
          host.outside
            .run(() => Bun.spawnSync(["curl", "-s", "--http0.9", "192.168.78.9"]))
            .stdout.toString() === "hello\n",
        () => "nobody answers on the wire",
      );
      expect(await inside("one", "ip", "route")).toContain("default via 192.168.78.1 dev eth0");
      expect(await inside("one", "cat", "/sys/class/net/eth0/mtu", "/sys/class/net/eth0/address")).toBe(
        "1400\n92:d0:c6:0a:29:33",
      );
    } finally {
      host.outside.sh("ip", "address", "del", "192.168.78.1/24", "dev", "cable");
    }
  }));

test("a network as a Kubernetes distribution writes it, of lines without a bridge", () =>
  leavesNothing(async () => {
    const ipam = {
      type: "host-local",
      ranges: [[{ subnet: "10.52.0.0/24" }]],
      routes: [{ dst: "0.0.0.0/0" }],
    };
    const plugins = [
      { type: "ptp", ipMasq: true, ipam, mtu: 1400 },
      { type: "portmap", capabilities: { portMappings: true } },
    ];
    const file = "/etc/cni/net.d/10-kindnet.conflist";
    const conf = JSON.stringify({ cniVersion: "0.3.1", name: "kindnet", plugins });
    await host.must("sh", "-c", `echo '${conf}' > ${file}`);
    try {
      await portolan(
        "run",
        "-d",
        "--name",
        "one",
        "--network",
        "kindnet",
        "-p",
        "8099:80",
        "busybox",
        ...SERVE,
      );
      await start("two", "kindnet");
      await start("three", "podman");
      await eventually("two", "10.52.0.2");
      await eventually("three", "10.52.0.2");
      const published = ["curl", "-s", "--http0.9", "192.168.77.2:8099"];
      await until(
        () => host.outside.run(() => Bun.spawnSync(published)).stdout.toString() === "hello\n",
        () => "the port is not published",
      );
      expect(await portolan("explain", "two", "one:80")).toContain("It gets there");
      expect(await portolan("network", "ls", "-f", "name=kindnet")).toContain("ptp");
    } finally {
      await portolan("rm", "-f", "-t", "0", "-a");
      await portolan("network", "rm", "kindnet");
    }
  }));

test("a macvlan without subnets has the addresses of the DHCP server of its wire", () =>
  leavesNothing(async () => {
    await create("wire", "-d", "macvlan", "-o", "parent=eth0");
    const [info] = await json("portolan", "network", "inspect", "wire");
    expect(info).toMatchObject({ driver: "macvlan", ipam_options: { driver: "dhcp" } });
    const directory = mkdtempSync(join(tmpdir(), "portolan-dnsmasq-"));
    const leases = join(directory, "leases");
    const words = [
      "dnsmasq",
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--port=0",
      "--user=root",
      "--pid-file=",
    ];
    words.push("--interface=cable", "--no-ping", `--dhcp-leasefile=${leases}`);
    words.push("--dhcp-range=192.168.77.100,192.168.77.100", "--dhcp-option=option:dns-server,192.168.77.53");
    const server = host.outside.run(() => Bun.spawn(words, { stdio: ["ignore", "ignore", "ignore"] }));
    const given = () => (existsSync(leases) ? readFileSync(leases, "utf8").split(" ")[2] : undefined);
    const daemon = host.spawn(["portolan", "__cni", "dhcp", "daemon", "-pidfile", "/run/dhcp.pid"]);
    try {
      await host.must("sh", "-c", "until [ -S /run/cni/dhcp.sock ]; do sleep 0.01; done");
      await start("one", "wire", ...SERVE);
      expect(given()).toBe("192.168.77.100");
      expect(await inside("one", "cat", "/etc/resolv.conf")).toContain("nameserver 192.168.77.53");
      expect(
        await host.must("portolan", "inspect", "-f", "{{.NetworkSettings.Networks.wire.IPAddress}}", "one"),
      ).toBe("192.168.77.100");
      await host.must("portolan", "rm", "-f", "-t", "0", "one");
      await until(
        () => given() === undefined,
        () => `the server has a lease of ${given()}`,
      );
    } finally {
      await host.must("sh", "-c", "kill $(cat /run/dhcp.pid)");
      await daemon.exited;
      server.kill();
      await server.exited;
      rmSync(directory, { recursive: true });
      await host.run(["rmdir", "/run/cni"]);
    }
  }));

test("networks made at the same time have subnets and bridges of their own", () =>
  leavesNothing(async () => {
    const names = Array.from({ length: 12 }, (_, index) => `n${index}`);
    await Promise.all(names.map(name => create(name, "--ipv6")));
    const unnamed = await Promise.all(Array.from({ length: 4 }, () => portolan("network", "create")));
    const all: { network_interface: string; subnets: { subnet: string }[] }[] = await json(
      ...["portolan", "network", "inspect", ...names, ...unnamed],
    );
    expect(new Set(all.flatMap(one => one.subnets.map(({ subnet }) => subnet))).size).toBe(12 * 2 + 4);
    expect(new Set(all.map(one => one.network_interface)).size).toBe(16);
    // Of one name, one is made.
    const rivals = await Promise.all(
      Array.from({ length: 4 }, () => host.run(["portolan", "network", "create", "same"])),
    );
    expect(rivals.map(one => one.code).sort()).toEqual([0, 125, 125, 125]);
  }));

test("names and the resolver come and go with a connection", () =>
  leavesNothing(async () => {
    await create("web", "--subnet", "10.58.0.0/24");
    await start("db", "web:ip=10.58.0.9");
    await portolan("run", "-d", "--name", "one", "--hostname", "box", "busybox", ...SLEEP);
    const resolv = await inside("one", "cat", "/etc/resolv.conf");
    await portolan("network", "connect", "--alias", "api", "--ip", "10.58.0.7", "web", "one");
    expect(await inside("one", "cat", "/etc/resolv.conf")).toContain("nameserver 10.58.0.1");
    const lookUp = async (from: string, name: string) =>
      (await host.run(["portolan", "exec", from, "nslookup", "-type=a", name])).stdout;
    expect(await lookUp("one", "db.dns.podman")).toContain("10.58.0.9");
    for (const name of ["one", "api"])
      expect(await lookUp("db", `${name}.dns.podman`)).toMatch(/Name:[^\n]*\nAddress: 10\.58\.0\.7/);
    await portolan("network", "disconnect", "web", "one");
    expect(await lookUp("db", "api.dns.podman")).not.toContain("10.58.0.7");
    expect(await inside("one", "cat", "/etc/resolv.conf")).toBe(resolv);
  }));

test("a network whose file somebody removed can be left, and the container's ports stay", () =>
  leavesNothing(async () => {
    await create("lost", "--subnet", "10.59.0.0/24");
    await create("kept", "--subnet", "10.60.0.0/24");
    await portolan(
      ...["run", "-d", "--name", "one", "--network", "lost", "--network", "kept", "-p", "8080:80"],
      ...["busybox", ...SERVE],
    );
    await host.must("rm", "/etc/cni/net.d/lost.conflist");
    const { code, stderr } = await host.run(["portolan", "network", "disconnect", "lost", "one"]);
    expect([code, stderr]).toEqual([
      125,
      "Error: unable to find network with name or ID lost: network not found\n",
    ]);
    await portolan("network", "disconnect", "-f", "lost", "one");
    expect(await portolan("ps", "--format", "{{.Networks}}")).toBe("kept");
    await until(
      async () =>
        (await host.run(["curl", "-s", "-m", "1", "--http0.9", "127.0.0.1:8080"])).stdout === "hello\n",
      () => "the port is not published any more",
    );
    await host.must("ip", "link", "del", "cni-podman1");
    await host.must("rm", "-r", "/var/lib/cni/networks/lost");
  }));
