import { expect, describe as group, test } from "bun:test";
import { ask, party, rootful, route, verdictOf } from "../../test/support/facts.ts";
import type { NamespaceView } from "../network/namespace-view.ts";
import { describe } from "./describe.ts";
import { explainPath } from "./explain.ts";
import { type Query, Unseen } from "./facts.ts";
import { descriptionLines, pathLines } from "./render.ts";

group("paths", () => {
  const facts = rootful();
  for (const [from, to, port, said, protocol] of [
    ["web", "db", 80, "yes: nginx (pid 4711) listens on 0.0.0.0:80 in db"],
    ["web", "db", 82, "no: nothing listens on port 82 in db"],
    [
      "web",
      "db",
      81,
      "no: nginx (pid 4711) listens on 127.0.0.1:81 only in db: callers from outside do not reach it",
    ],
    ["side", "db", 81, "yes: nginx (pid 4711) listens on 127.0.0.1:81 in db"],
    ["web", "db", undefined, "yes: the packet arrives in db at 10.88.0.2"],
    [
      "web",
      "far",
      53,
      "yes: something that can't be seen from here listens on 0.0.0.0:53 (UDP) in far",
      "udp",
    ],
    [
      "web",
      "far",
      53,
      "no: something that can't be seen from here listens on port 53 in far by UDP, not by TCP",
    ],
    ["internet", "db", 80, "yes: nginx (pid 4711) listens on 0.0.0.0:80 in db"],
    ["internet", "web", 80, "no: web publishes no port"],
    ["internet", "db", 8080, "no: db does not publish its port 8080: 8080 is the host's, and leads to 80"],
    ["internet", "db", 81, "no: db publishes 80, not 81"],
    ["web", "off", 22, "no: off is not running"],
    ["off", "web", 22, "no: off is not running"],
    ["tap", "db", 80, "yes: nginx (pid 4711) listens on 0.0.0.0:80 in db"],
    ["db", "tap", 80, "yes: httpd (pid 6) listens on 0.0.0.0:80 in tap"],
    ["tap", "10.0.2.2", 80, "no: 10.0.2.2 is the gateway of tap, which does not lead to the host's loopback"],
    ["tap", "10.0.2.3", 53, "yes: the network service answers names at 10.0.2.3", "udp"],
    ["tap", "10.0.2.77", 53, "no: nobody has the address 10.0.2.77 on the network of tap"],
    ["alone", "internet", undefined, "no: alone has no network (--network none)"],
    ["web", "alone", 1, "no: alone has no network (--network none): nobody reaches it"],
    ["web", "10.88.0.9", 1, "no: nobody has the address 10.88.0.9 on network podman"],
    ["web", "fd00::1", 1, "no: web has no IPv6 address"],
    [
      "web",
      "internet",
      undefined,
      "yes: the packet leaves the host by eth0; what is beyond can't be seen from here",
    ],
  ] as const)
    test(`${from} to ${to}${port ? `:${port}` : ""}${protocol ? `/${protocol}` : ""}`, () => {
      expect(verdictOf(ask(facts, from, to, port, protocol))).toBe(said);
    });

  test("what to do is said beside", () => {
    expect(ask(facts, "web", "tap", 81).verdict.advice).toEqual([
      "start it with -p 81:81, or put both on one network",
    ]);
    expect(ask(facts, "internet", "db", 80).notes).toEqual([
      "db publishes 80 on the host; use 192.168.100.8:8080",
    ]);
    expect(ask(facts, "web", "db", 81).verdict.advice).toEqual(["make it listen on 0.0.0.0"]);
    expect(ask(facts, "web", "db", 80).notes).toContain("network podman knows no names: use the address");
  });

  test("lines for people", () => {
    expect(pathLines(ask(facts, "web", "db", 82)).join("\n")).toBe(`web -> db at 10.88.0.2:82
  web: eth0 (10.88.0.3)
  host: bridge cni0, network podman
It stops: nothing listens on port 82 in db
  db listens on 80/tcp, 81/tcp
network podman knows no names: use the address`);
  });
});

group("over lines of ptp", () => {
  /** `db` and `web` as kind's containers are: each at the end of a pair, the host's ends are `veth1` and `veth2`. */
  function lines(change: (host: NamespaceView) => void = () => {}) {
    const facts = rootful();
    facts.networks[0]!.driver = "ptp";
    const host = facts.views.get("host")!;
    host.routes = host.routes.filter(one => !one.dst.startsWith("10.88."));
    for (const [name, end, address] of [
      ["db", "veth1", "10.88.0.2"],
      ["web", "veth2", "10.88.0.3"],
    ] as const) {
      facts.containers.find(one => one.name === name)!.attachments[0]!.bridge = end;
      const { index } = host.links.find(one => one.name === end)!;
      host.addresses.push({ index, ip: "10.88.0.1", prefix: 32, scope: "global" });
      host.routes.push({ ...route(`${address}/32`, "", index) });
      const inside = facts.views.get(name)!;
      inside.links[1]!.peerIndex = index;
      inside.routes = [route("10.88.0.1/32", "", 2), route("0.0.0.0/0", "10.88.0.1", 2)];
    }
    change(host);
    return facts;
  }
  test("from one container to another, by the host", () => {
    expect(pathLines(ask(lines(), "web", "db", 80)).slice(0, 4)).toEqual([
      "web -> db at 10.88.0.2:80",
      "  web: eth0 (10.88.0.3) by gateway 10.88.0.1",
      "  host: veth2, network podman",
      "  host: veth1",
    ]);
    expect(verdictOf(ask(lines(), "web", "db", 80))).toStartWith("yes: nginx (pid 4711) listens on");
    expect(verdictOf(ask(lines(), "far", "db", 80))).toStartWith("yes: nginx (pid 4711) listens on");
    expect(verdictOf(ask(lines(), "web", "far", 53, "udp"))).toStartWith("yes: something");
  });
  test("an end that is down or has gone", () => {
    const link = (host: NamespaceView, name: string) => host.links.find(one => one.name === name)!;
    const down = (name: string) => lines(host => Object.assign(link(host, name), { up: false }));
    const { verdict } = ask(down("veth2"), "web", "db", 80);
    expect(verdict.text).toBe("veth2, web's end of the cable on the host, is down");
    expect(verdict.advice).toEqual(["ip link set veth2 up"]);
    expect(verdictOf(ask(down("veth1"), "web", "db", 80))).toBe("no: veth1 in host is down");
    const gone = lines(host => {
      host.links = host.links.filter(one => one.name !== "veth2");
    });
    expect(verdictOf(ask(gone, "web", "db", 80))).toBe("no: web's eth0 does not lead to the host any more");
  });
});

test("what has not been looked at is asked for, one thing after the other", () => {
  const all = rootful();
  const views = new Map<string, NamespaceView | null>();
  const owners = new Map<number, null>();
  const query: Query = { from: party("web"), to: party("db"), port: 80, protocol: "tcp" };
  const asked: unknown[] = [];
  for (;;) {
    const found = explainPath({ ...all, views, owners }, query);
    if (!(found instanceof Unseen)) break;
    asked.push("place" in found.what ? found.what.place : found.what.inode);
    if ("place" in found.what) views.set(found.what.place, all.views.get(found.what.place) ?? null);
    else owners.set(found.what.inode, null);
  }
  expect(asked.toSorted()).toEqual([11, "db", "host", "web"]);
});

test("a container's network alone", () => {
  const found = describe(rootful(), "db");
  if (found instanceof Unseen) throw new Error("not looked at");
  expect(descriptionLines(found)).toEqual([
    "db is running",
    "network: bridge: podman",
    "address: 10.88.0.2/16 on eth0",
    "listens: 0.0.0.0:80/tcp, nginx (pid 4711)",
    "listens: 127.0.0.1:81/tcp, nginx (pid 4711)",
    "published: 0.0.0.0:8080 -> 80/tcp",
    "from the host: 10.88.0.2",
    "from containers on podman: 10.88.0.2",
    "from containers elsewhere: 192.168.100.8:8080 for 80/tcp",
    "from outside: 192.168.100.8:8080",
    "to the internet: yes",
  ]);
});
