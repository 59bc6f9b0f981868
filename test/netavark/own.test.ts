/** What Debian's netavark 1.4 has not, and what happens to commands that are killed or meet. */
import { expect, test } from "bun:test";
import { Killer } from "../support/killer.ts";
import { TestNetns } from "../support/netns.ts";
import { CONTAINER, Twin } from "./twin.ts";

const NETWORK = {
  name: "net",
  id: "53ce4390f2adb1681eb1a90ec8b48c49c015e0a8d336c197637e7f65e365fa9e",
  driver: "bridge",
  network_interface: "podman1",
  subnets: [{ subnet: "10.91.0.0/24", gateway: "10.91.0.1" }],
  internal: false,
  dns_enabled: false,
  ipv6_enabled: false,
};

function requestOf(network: object = {}, wish: object = {}, more: object = {}): object {
  return {
    container_id: CONTAINER,
    container_name: "one",
    networks: { net: { interface_name: "eth0", static_ips: ["10.91.0.5"], ...wish } },
    network_info: { net: { ...NETWORK, ...network } },
    port_mappings: [{ container_port: 80, host_ip: "", host_port: 8080, protocol: "tcp", range: 1 }],
    ...more,
  };
}

function expectNothing(twin: Twin): void {
  const { host, container } = twin.facts([], []);
  expect([...host!, ...container!.slice(1)]).toEqual([]);
  expect([twin.files(), twin.elements()]).toEqual([[], ""]);
}

test("routes of all kinds, a metric, no default route", () => {
  using twin = new Twin("ours");
  const routes = [
    { destination: "10.200.0.0/16", gateway: "10.91.0.9" },
    { destination: "10.201.0.0/16", gateway: "10.91.0.9", metric: 7 },
    { destination: "10.202.0.0/16", route_type: "blackhole" },
    { destination: "10.203.0.0/16", route_type: "unreachable" },
    { destination: "10.204.0.0/16", route_type: "prohibit" },
  ];
  const request = requestOf({ routes, options: { metric: "250", no_default_route: "true" } });
  expect(twin.answer("setup", request)[0]).toBe("exit 0");
  expect(twin.facts([], ["eth0"]).routes).toEqual([
    "10.200.0.0/16 via 10.91.0.9 dev eth0 metric 250 static",
    "10.201.0.0/16 via 10.91.0.9 dev eth0 metric 7 static",
    "10.91.0.0/24 via undefined dev eth0 metric undefined kernel",
    "blackhole 10.202.0.0/16 via undefined dev undefined metric 250 static",
    "prohibit 10.204.0.0/16 via undefined dev undefined metric 250 static",
    "unreachable 10.203.0.0/16 via undefined dev undefined metric 250 static",
  ]);
  twin.call("teardown", request);
  expectNothing(twin);
});

test("an unmanaged bridge is used as it is, and stays; one that is not there is not made", () => {
  using twin = new Twin("ours");
  const request = requestOf({ options: { mode: "unmanaged" } });
  expect(twin.answer("setup", request)[1]).toContain("bridge interface podman1 not found");
  expectNothing(twin);
  twin.host.sh("ip", "link", "add", "podman1", "type", "bridge");
  expect(twin.answer("setup", request)[0]).toBe("exit 0");
  expect(twin.facts([], []).host).toEqual([
    "host podman1 bridge mtu 1500",
    "host veth veth mtu 1500 podman1",
  ]);
  expect(twin.elements()).toBe("");
  twin.call("teardown", request);
  expect(twin.facts([], []).host).toEqual(["host podman1 bridge mtu 1500"]);
});

test("a name for the host's end; a caller who wants no rules", () => {
  using twin = new Twin("ours");
  const request = requestOf({}, { options: { host_interface_name: "one-host" } });
  expect(twin.answer("setup", request)[0]).toBe("exit 0");
  expect(twin.facts([], []).host).toContain("host one-host veth mtu 1500 podman1");
  twin.call("teardown", request, "/run/netns/nothing");
  expectNothing(twin);
  const words = [...twin.words("setup"), "--firewall-driver=none"];
  const child = twin.host.run(() => Bun.spawnSync(words, { stdin: Buffer.from(JSON.stringify(request)) }));
  expect(child.exitCode).toBe(0);
  expect(twin.elements()).toBe("");
  expect(twin.facts([], []).host).toContain("host podman1 10.91.0.1/24 global 10.91.0.255");
  twin.call("teardown", request);
  expectNothing(twin);
});

test("an interface that is there already is refused, and stays", () => {
  using twin = new Twin("ours");
  const request = requestOf();
  expect(twin.answer("setup", request)[0]).toBe("exit 0");
  const before = twin.facts([], []);
  expect(twin.answer("setup", request)[1]).toContain("interface eth0 already exists on container namespace");
  expect(twin.facts([], [])).toEqual(before);
  twin.call("teardown", request);
  expectNothing(twin);
});

test("a second network fails: of the first nothing is left", () => {
  using twin = new Twin("ours");
  const other = { ...NETWORK, name: "other", network_interface: "lo" };
  const request = requestOf(
    {},
    {},
    {
      networks: {
        net: { interface_name: "eth0", static_ips: ["10.91.0.5"] },
        other: { interface_name: "eth1", static_ips: ["10.91.0.6"] },
      },
      network_info: { net: NETWORK, other },
    },
  );
  expect(twin.answer("setup", request)[1]).toContain("already exists but is not a bridge");
  expectNothing(twin);
});

test("whenever setup or teardown is killed, the next teardown takes all of it", async () => {
  using twin = new Twin("ours");
  const request = requestOf();
  const stdin = () => new Blob([JSON.stringify(request)]);
  const caller = {
    async run(command: string[]) {
      const child = twin.host.run(() =>
        Bun.spawn(command, { stdin: stdin(), stdout: "ignore", stderr: "ignore" }),
      );
      return { code: await child.exited };
    },
  };
  const setup = await Killer.from(caller, ...twin.words("setup"));
  const teardown = await Killer.from(caller, ...twin.words("teardown"));
  for (let round = 0; round < 12; round++) {
    await setup.run(...twin.words("setup"));
    expect(twin.answer("teardown", request)).toEqual(["exit 0"]);
    expectNothing(twin);
    expect(twin.call("setup", request).code).toBe(0);
    await teardown.run(...twin.words("teardown"));
    expect(twin.answer("teardown", request)).toEqual(["exit 0"]);
    expectNothing(twin);
  }
  expect(setup.kills).toBeGreaterThan(0);
  expect(teardown.kills).toBeGreaterThan(0);
});

test("containers that come and go at once share a bridge, which goes with the last", async () => {
  using twin = new Twin("ours");
  using places = new DisposableStack();
  const all = Array.from({ length: 6 }, (_, index) => ({
    place: places.use(new TestNetns("guest")),
    request: requestOf(
      {},
      { static_ips: [`10.91.0.${10 + index}`] },
      { container_id: `c${index}`, port_mappings: [] },
    ),
  }));
  const run = async (verb: string) => {
    const children = all.map(({ place, request }) =>
      twin.host.run(() =>
        Bun.spawn(twin.words(verb, place.path), {
          stdin: new Blob([JSON.stringify(request)]),
          stdout: "pipe",
          stderr: "pipe",
        }),
      ),
    );
    const outcomes = await Promise.all(
      children.map(async child => [await child.exited, await child.stdout.text()]),
    );
    expect(outcomes.filter(([code]) => code !== 0)).toEqual([]);
  };
  for (let round = 0; round < 3; round++) {
    await run("setup");
    expect(twin.files()).toHaveLength(6);
    await run("teardown");
    expectNothing(twin);
  }
});
