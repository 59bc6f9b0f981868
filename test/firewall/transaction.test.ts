/** The firewall's table in a real kernel: all or nothing, by owner, by several processes at once. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { FirewallBatch } from "../../src/firewall/batch.ts";
import type { Element } from "../../src/firewall/element.ts";
import { masqueraded } from "../../src/firewall/masquerade.ts";
import { findConflict, type PublishedPort, publish } from "../../src/firewall/ports.ts";
import { layTable, listElements } from "../../src/firewall/transaction.ts";
import { until } from "../support/await.ts";
import { TestNetns } from "../support/netns.ts";

let host: TestNetns;
beforeEach(() => {
  host = new TestNetns("firewall");
});
afterEach(() => host[Symbol.dispose]());

const target = (last: number) =>
  ({ version: 4, address: `10.88.0.${last}`, network: { address: "10.88.0.0", length: 16 } }) as const;
const port = (hostPort: number, more: Partial<PublishedPort> = {}): PublishedPort => ({
  protocol: "tcp",
  hostPort,
  containerPort: 80,
  count: 1,
  ...more,
});

function add(...elements: Element[]): void {
  host.run(() => {
    const batch = new FirewallBatch();
    batch.add(...elements);
    batch.commit();
  });
}

function remove(owner: string): void {
  host.run(() => {
    const batch = new FirewallBatch();
    batch.remove(owner);
    batch.commit();
  });
}

const all = () => host.run(() => listElements());
const owners = () => [...new Set(all().map(one => one.owner))].sort();

test("what was put in comes out again, element by element", () => {
  const elements = [
    ...masqueraded("a:eth0", target(5)),
    ...publish("a:eth0", target(5), [
      port(8080),
      port(9000, { containerPort: 9000, count: 11, protocol: "udp" }),
      port(8081, { host: { version: 4, address: "192.0.2.1" } }),
      port(5000, { protocol: "sctp" }),
    ]),
  ];
  add(...elements);
  const text = (list: readonly Element[]) =>
    list.map(({ set, key, data, owner }) => JSON.stringify([set, key, data, owner])).sort();
  const numbered = (list: Element[]) =>
    text(list).map(one => one.replaceAll('"sctp"', "132").replaceAll('"tcp"', "6").replaceAll('"udp"', "17"));
  expect(numbered(all())).toEqual(text(elements));
  remove("a:eth0");
  expect(all()).toEqual([]);
});

test("an address that is a network of its own (static /32 and /128) is found again too", () => {
  const alone = [
    { version: 4, address: "10.88.0.5", network: { address: "10.88.0.5", length: 32 } },
    { version: 6, address: "fd00::5", network: { address: "fd00::5", length: 128 } },
  ] as const;
  const elements = alone.flatMap(one => [
    ...masqueraded("a:eth0", one),
    ...publish("a:eth0", one, [port(8080)]),
  ]);
  add(...elements);
  const keys = (list: readonly Element[]) => list.map(({ set, key }) => JSON.stringify([set, key])).sort();
  expect(keys(all()).map(one => one.replaceAll('"tcp"', "6"))).toEqual(keys(elements));
});

test("adding again what is there is no change; one bad element and nothing is added", () => {
  const mine = publish("a:eth0", target(5), [port(8080)]);
  add(...mine);
  add(...mine);
  expect(() => add(...publish("b:eth0", target(6), [port(8070), port(8080)]))).toThrow(
    "port 8080/tcp is already published by container a",
  );
  expect(owners()).toEqual(["a:eth0"]);
});

test("removing: by owner only, twice, and where there is no table at all", () => {
  remove("nobody");
  add(...publish("a:eth0", target(5), [port(8080)]));
  add(...publish("a:eth1", target(7), [port(8081)]));
  remove("a:eth0");
  remove("a:eth0");
  expect(owners()).toEqual(["a:eth1"]);
});

test("an address that a dead container left in the table goes over to its new owner", () => {
  add(...masqueraded("dead:eth0", target(5)));
  add(...masqueraded("alive:eth0", target(5)));
  remove("dead:eth0");
  expect(owners()).toEqual(["alive:eth0"]);
});

test("findConflict: by port, range, protocol, address and family, and never with oneself", () => {
  add(
    ...publish("a:eth0", target(5), [
      port(8080),
      port(9000, { containerPort: 9000, count: 10 }),
      port(7000, { host: { version: 4, address: "192.0.2.1" } }),
    ]),
  );
  const found = (...list: PublishedPort[]) => host.run(() => findConflict(list, "b:eth0")?.message);
  expect(found(port(8080))).toBe("port 8080/tcp is already published by container a");
  expect(found(port(8070, { count: 20 }))).toBe("port 8080/tcp is already published by container a");
  expect(found(port(8995, { containerPort: 8995, count: 10 }))).toBe(
    "ports 9000-9004/tcp are already published by container a",
  );
  expect(found(port(7000))).toBe("port 7000/tcp is already published by container a");
  expect(found(port(8080, { host: { version: 4, address: "192.0.2.9" } }))).toBeString();
  expect(found(port(7000, { host: { version: 4, address: "192.0.2.2" } }))).toBeUndefined();
  expect(found(port(8080, { protocol: "udp" }))).toBeUndefined();
  expect(found(port(8080, { host: { version: 6 } }))).toBeUndefined();
  expect(host.run(() => findConflict([port(8080)], "a:eth0"))).toBeUndefined();
});

test("laying the table again restores its rules and keeps its elements", () => {
  add(...publish("a:eth0", target(5), [port(8080)]));
  const before = host.sh("nft", "list", "ruleset");
  host.sh("nft", "flush", "chain", "inet", "portolan", "hostports");
  host.run(() => layTable());
  host.run(() => layTable());
  expect(host.sh("nft", "list", "ruleset")).toBe(before);
});

test("eight processes that come and go at once: nobody fails, nothing is left", async () => {
  const children = Array.from({ length: 8 }, (_, index) =>
    host.run(() =>
      Bun.spawn(
        [process.execPath, join(import.meta.dir, "come-and-go.ts"), `c${index}`, String(index), "10"],
        {
          stdout: "pipe",
          stderr: "pipe",
        },
      ),
    ),
  );
  for (const child of children) {
    expect(await new Response(child.stderr).text()).toBe("");
    expect(await child.exited).toBe(0);
  }
  expect(all()).toEqual([]);
});

test("a process that ends after a removal leaves neither an element nor a socket", async () => {
  const child = host.run(() =>
    Bun.spawnSync([process.execPath, join(import.meta.dir, "come-and-go.ts"), "c", "1", "2"]),
  );
  expect([child.exitCode, child.stderr.toString()]).toEqual([0, ""]);
  // Protocol 12 is NETLINK_NETFILTER; the kernel's own has no port id.
  const sockets = () =>
    host
      .sh("cat", "/proc/net/netlink")
      .split("\n")
      .map(line => line.split(/\s+/))
      .filter(([, protocol, port]) => protocol === "12" && port !== "0");
  await until(
    () => sockets().length === 0,
    () => `still there: ${JSON.stringify(sockets())}`,
  );
  expect(all()).toEqual([]);
});

test("without the right to, the error says so", () => {
  const child = host.run(() =>
    Bun.spawnSync([
      "setpriv",
      "--bounding-set",
      "-net_admin",
      "--inh-caps",
      "-net_admin",
      process.execPath,
      join(import.meta.dir, "come-and-go.ts"),
      "c",
      "1",
      "1",
    ]),
  );
  // libnftables adds a line of its own before ours.
  expect(child.stderr.toString()).toEndWith("can't change the firewall: Operation not permitted\n");
});
