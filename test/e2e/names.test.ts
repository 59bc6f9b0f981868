/** Names of containers on networks that tell them: known to whoever is on them, gone with their containers. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { buildImage } from "../../scripts/images/build.ts";
import { run as inNetns } from "../../src/sys/netns.ts";
import { resolver } from "../netd/host-resolver.ts";
import { until } from "../support/await.ts";
import { OUTSIDE_ADDRESS, TestHost } from "../support/host.ts";
import { Killer } from "../support/killer.ts";
import { difference, snapshot } from "../support/leaks.ts";
import { TestUser } from "../support/user.ts";

/** A network as `podman network create` writes it; an internal one has no gateway. */
function confList(name: string, third: number, internal = false): string {
  const four = { subnet: `10.89.${third}.0/24`, gateway: internal ? undefined : `10.89.${third}.1` };
  const six = { subnet: `fd89:${third}::/64`, gateway: internal ? undefined : `fd89:${third}::1` };
  const bridge = {
    type: "bridge",
    bridge: `cni-podman${third}`,
    isGateway: !internal,
    ipMasq: internal ? undefined : true,
    hairpinMode: true,
    ipam: {
      type: "host-local",
      routes: internal ? undefined : [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
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
  return JSON.stringify({ cniVersion: "0.4.0", name, plugins }, null, 3);
}

describe.each(["root", "an ordinary user"])("%s:", who => {
  let host: TestHost;
  let person: TestHost | TestUser;

  const portolan = (...words: string[]) => person.must("portolan", ...words);
  /** A container that serves its own name. */
  const serve = (name: string, ...options: string[]) =>
    portolan(
      ...["run", "-d", "--name", name, ...options, "busybox"],
      ...["sh", "-c", `mkdir /www; echo ${name} >/www/index.html; exec httpd -f -h /www`],
    );
  const inside = async (container: string, ...command: string[]) =>
    (await person.run(["portolan", "exec", container, ...command])).stdout;
  const remove = (...names: string[]) => portolan("rm", "-f", "-t", "0", ...names);
  /** What the server called `name` says to the container; it may take a moment to listen. */
  async function fetch(container: string, name: string): Promise<string> {
    let said = "";
    await until(
      async () => {
        said = await inside(container, "wget", "-q", "-O", "-", `http://${name}/`);
        return said !== "";
      },
      () => `${name} says nothing to ${container}`,
    );
    return said.trimEnd();
  }
  /** Processes of the network service, with their pids. */
  const services = async () => (await host.run(["pgrep", "-a", "netd"])).stdout;
  const pidsOf = async (name: string) =>
    (await services()).split("\n").flatMap(line => (line.includes(`__${name} `) ? line.split(" ")[0]! : []));
  /** The network service ends a moment after its last order. */
  const quiet = () =>
    until(
      async () => (await services()) === "",
      () => "the network service goes on without a container",
    );

  beforeAll(async () => {
    host = await TestHost.create();
    person = who === "root" ? host : await TestUser.add(host);
    await portolan("load", "-q", "-i", await buildImage("busybox"));
    const directory = person instanceof TestUser ? ".config/cni/net.d" : "/etc/cni/net.d";
    await person.write(`${directory}/red.conflist`, confList("red", 1));
    await person.write(`${directory}/blue.conflist`, confList("blue", 2));
    await person.write(`${directory}/vault.conflist`, confList("vault", 3, true));
  }, 60_000);
  afterEach(() => portolan("rm", "-f", "-a", "-t", "0"));
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
      expect(await fetch("client", name)).toBe("web");
    const formats = [
      "{{.NetworkSettings.Networks.red.IPAddress}}",
      "{{.NetworkSettings.Networks.red.GlobalIPv6Address}}",
    ];
    const [four, six] = (await portolan("inspect", "-f", formats.join(" "), "web")).split(" ");
    expect(await portolan("exec", "client", "ping", "-4", "-c", "1", "web")).toContain(`PING web (${four})`);
    expect(await portolan("exec", "client", "ping", "-6", "-c", "1", "web")).toContain(`PING web (${six})`);
    expect(await portolan("exec", "client", "nslookup", four!)).toContain("web.dns.podman");
    expect(await inside("client", "nslookup", "nobody.dns.podman")).toContain("NXDOMAIN");
    await portolan("stop", "-t", "0", "web");
    expect(await inside("client", "nslookup", "web.dns.podman")).toContain("NXDOMAIN");
    await portolan("start", "web");
    expect(await fetch("client", "web")).toBe("web");
    await remove("web");
    expect(await inside("client", "nslookup", "web.dns.podman")).toContain("NXDOMAIN");
    await remove("client");
    await quiet();
    expect(difference(before, await snapshot(host))).toEqual([]);
  }, 60_000);

  test("networks do not know each other's names; whoever is on two knows those of both", async () => {
    await serve("one", "--network", "red");
    await serve("two", "--network", "blue");
    await serve("both", "--network", "red", "--network", "blue");
    expect(await inside("one", "nslookup", "two.dns.podman")).toContain("NXDOMAIN");
    // Not by asking the other network's resolver either, which the host's addresses lead to.
    expect(await inside("one", "nslookup", "-timeout=1", "-retry=1", "two", "10.89.2.1")).not.toContain(
      "10.89.2.",
    );
    expect(await fetch("both", "one")).toBe("one");
    expect(await fetch("both", "two")).toBe("two");
    expect(await fetch("one", "both")).toBe("both");
    expect(await portolan("exec", "both", "cat", "/etc/resolv.conf")).toContain(
      "nameserver 10.89.1.1\nnameserver fd89:1::1\nnameserver 10.89.2.1\n",
    );
  }, 60_000);

  test("many that come at once know each other, and leave no service when they go at once", async () => {
    const names = Array.from({ length: 6 }, (_, index) => `one-${index}`);
    await Promise.all(names.map(name => serve(name, "--network", "red")));
    for (const [index, name] of names.entries())
      expect(await fetch(name, names.at(-1 - index)!)).toBe(names.at(-1 - index)!);
    await Promise.all(names.map(name => remove(name)));
    await quiet();
  }, 60_000);

  test("a running container that is connected is known there, and knows; disconnected, no more", async () => {
    await serve("one", "--network", "red");
    await serve("two", "--network", "blue");
    await portolan("network", "connect", "--alias", "guest", "red", "two");
    expect(await fetch("two", "one")).toBe("one");
    expect(await fetch("one", "guest")).toBe("two");
    await portolan("network", "disconnect", "red", "two");
    expect(await inside("two", "nslookup", "one.dns.podman")).toContain("NXDOMAIN");
    expect(await inside("one", "nslookup", "guest.dns.podman")).toContain("NXDOMAIN");
  }, 60_000);

  test("an internal network has names, and asks nobody outside", async () => {
    await serve("safe", "--network", "vault");
    await serve("client", "--network", "vault");
    expect(await fetch("client", "safe")).toBe("safe");
    expect(await inside("client", "nslookup", "example.org")).toContain("NXDOMAIN");
  }, 60_000);

  test("other names are those of the host's resolvers, whichever they are by then", async () => {
    const others = { [OUTSIDE_ADDRESS]: "198.51.100.1", "192.168.77.3": "198.51.100.2" };
    host.outside.sh("ip", "address", "replace", "192.168.77.3/24", "dev", "cable");
    await serve("client", "--network", "red");
    for (const [server, address] of Object.entries(others)) {
      await using _ = await resolver(host.outside, server, address);
      await host.write("/etc/resolv.conf", `nameserver ${server}\n`);
      await until(
        async () => (await inside("client", "nslookup", "-type=a", "example.org")).includes(address),
        () => `${server} is not asked`,
      );
    }
  }, 60_000);

  test("a container with --dns has that resolver asked, and knows the others' names all the same", async () => {
    host.outside.sh("ip", "address", "replace", "192.168.77.3/24", "dev", "cable");
    await using _ = await resolver(host.outside, "192.168.77.3", "198.51.100.3");
    await serve("web", "--network", "red");
    await serve("client", "--network", "red", "--dns", "192.168.77.3");
    expect(await fetch("client", "web")).toBe("web");
    expect(await inside("client", "nslookup", "-type=a", "example.org")).toContain("198.51.100.3");
    // A resolver that only the container gets to is its own to ask.
    await serve("own", "--network", "red", "--dns", "127.0.0.1");
    expect(await inside("own", "cat", "/etc/resolv.conf")).toContain("nameserver 127.0.0.1\n");
  }, 60_000);

  test("names are told on when the data plane is killed, and told again when all of the service is", async () => {
    await serve("web", "--network", "red");
    await serve("client", "--network", "red");
    const planes = await pidsOf("netd");
    expect(planes).toHaveLength(1);
    await host.must("kill", "-9", ...planes);
    expect(await fetch("client", "web")).toBe("web");
    expect(await pidsOf("netd")).not.toEqual(planes);

    await host.must("kill", "-9", ...(await pidsOf("netd-service")), ...(await pidsOf("netd")));
    await serve("later", "--network", "red");
    for (const name of ["web", "client", "later"]) expect(await fetch("client", name)).toBe(name);
  }, 60_000);

  // A user's bridges are where nobody else listens.
  if (who === "root")
    test("where another name server of the host has the address, that is said, and nothing is left", async () => {
      const run = ["portolan", "run", "--rm", "--network", "blue", "busybox", "true"];
      await host.must(...run);
      await quiet();
      const before = await snapshot(host);
      const other = inNetns(`/proc/${host.pid}/ns/net`, () => ({
        server: Bun.listen({ hostname: "0.0.0.0", port: 53, socket: { data() {} } }),
      }));
      try {
        const { code, stderr } = await host.run(run);
        expect(code).toBe(126);
        expect(stderr).toContain("can't tell names on network blue: can't listen on tcp 10.89.2.1:53");
      } finally {
        other.server.stop(true);
      }
      await quiet();
      expect(difference(before, await snapshot(host))).toEqual([]);
    }, 60_000);

  test("kill -9 of `run` leaves no name and no service behind", async () => {
    const run = ["portolan", "run", "--rm", "--name", "victim", "--network", "red", "busybox", "true"];
    await person.must(...run);
    const killer = await Killer.from(person, ...run);
    for (let round = 0; round < 15; round++) await killer.run(...run);
    expect(killer.kills).toBeGreaterThan(0);
    await until(
      async () => (await portolan("ps", "-aq")) === "" && (await services()) === "",
      () => "a container or the network service is left",
      15,
    );
  }, 90_000);
});
