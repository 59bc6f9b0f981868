import { expect, describe as group, test } from "bun:test";
import fc from "fast-check";
import type { Element } from "../firewall/element.ts";
import type { NamespaceView } from "../network/namespace-view.ts";
import { describe, describeHost } from "./describe.ts";
import { explainPath } from "./explain.ts";
import {
  type ContainerFacts,
  type Explanation,
  type Facts,
  type Party,
  type Query,
  Unseen,
  type UserModeFacts,
} from "./facts.ts";
import { descriptionLines, pathLines } from "./render.ts";

/** A namespace with `lo` and the links named, `eth0 10.88.0.2/16`. */
function view(links: string[], more: Partial<NamespaceView> = {}): NamespaceView {
  const parsed = links.map((text, at) => {
    const [name, ...addresses] = text.split(" ");
    return { name: name!, addresses, index: at + 2 };
  });
  const kindOf = (name: string) =>
    name.startsWith("cni")
      ? "bridge"
      : name.startsWith("tap")
        ? "tun"
        : name.startsWith("veth")
          ? "veth"
          : "";
  return {
    links: [
      { index: 1, name: "lo", kind: "", up: true, loopback: true, master: 0, peerIndex: 0 },
      ...parsed.map(({ name, index }) => ({
        ...{ index, name, kind: kindOf(name), up: true, loopback: false, master: 0, peerIndex: 0 },
      })),
    ],
    addresses: parsed.flatMap(({ index, addresses }) =>
      addresses.map(text => {
        const [ip, prefix] = text.split("/");
        return { index, ip: ip!, prefix: Number(prefix), scope: "global" };
      }),
    ),
    routes: parsed.flatMap(({ index, addresses }) =>
      addresses.map(dst => ({ dst, gateway: "", index, metric: 0, source: "", type: 1 })),
    ),
    forwarding: { 4: true, 6: true },
    listening: [],
    ...more,
  };
}

const route = (dst: string, gateway: string, index: number) => ({
  ...{ dst, gateway, index, metric: 0, source: "", type: 1 },
});
const socket = (ip: string, port: number, inode: number, protocol: "tcp" | "udp" = "tcp") => ({
  ...{ protocol, ip, port, inode },
});
const container = (id: string, more: Partial<ContainerFacts> = {}): ContainerFacts => ({
  id,
  name: id,
  status: "running",
  up: true,
  mode: "bridge",
  place: id,
  networks: [],
  attachments: [],
  ports: [],
  ...more,
});
const onBridge = (network: string, bridge: string, ipv4: string, ipv6 = "") => ({
  networks: [network],
  attachments: [{ network, ifName: "eth0", ipv4, ipv6, bridge }],
});
const publish = (hostPort: number, containerPort: number, hostIp = "") => ({
  ...{ hostIp, hostPort, containerPort, protocol: "tcp" as const, range: 1 },
});
/** A container's namespace on a bridge; `peer` is the index of its cable's other end. */
function inside(address: string, gateway: string, peer: number, listening: NamespaceView["listening"] = []) {
  const one = view([`eth0 ${address}`], { listening });
  Object.assign(one.links[1]!, { kind: "veth", peerIndex: peer });
  if (gateway) one.routes.push(route("0.0.0.0/0", gateway, 2));
  return one;
}

const concat = (...fields: (string | number)[]) => ({ concat: fields });
const element = (set: Element["set"], key: Element["key"], data?: Element["data"]): Element => ({
  ...{ set, key, owner: "" },
  ...(data === undefined ? {} : { data }),
});

/** Root's: `db` (80 published as 8080) and `web` on podman, `far` on net2, `tap` behind a tap, `off` not running. */
function rootful(): Facts & { views: Map<string, NamespaceView | null> } {
  const host = view(
    ["eth0 192.168.100.8/24", "cni0 10.88.0.1/16", "cni-2 10.89.0.1/24", "veth1", "veth2", "veth3"],
    {
      firewall: {
        closed: { 4: false, 6: false },
        elements: [
          element("port4", concat(6, 8080), concat("10.88.0.2", 80)),
          element("masquerade4", "10.88.0.2"),
          element("masquerade4", "10.88.0.3"),
          element("masquerade4", "10.89.0.2"),
        ],
      },
    },
  );
  host.routes.push(route("0.0.0.0/0", "192.168.100.1", 2));
  for (const [at, master] of [
    [4, 3],
    [5, 3],
    [6, 4],
  ] as const)
    host.links[at]!.master = master;
  return {
    rootless: false,
    containers: [
      container("db", { ...onBridge("podman", "cni0", "10.88.0.2"), ports: [publish(8080, 80)] }),
      container("web", onBridge("podman", "cni0", "10.88.0.3")),
      container("far", onBridge("net2", "cni-2", "10.89.0.2")),
      container("tap", { mode: "slirp4netns", userMode: TAP, ports: [publish(7070, 80)] }),
      container("off", { status: "exited", up: false, ports: [publish(22, 22)] }),
      container("own", { mode: "host", place: "host" }),
      container("side", { mode: "container", sharedWith: "db", place: "db" }),
      container("alone", { mode: "none" }),
    ],
    networks: [
      { name: "podman", driver: "bridge", bridge: "cni0", internal: false, isolated: false, dns: false },
      { name: "net2", driver: "bridge", bridge: "cni-2", internal: false, isolated: false, dns: true },
    ],
    service: {
      taps: ["tap"],
      names: [],
      ports: [
        {
          key: "tap:0",
          tap: "tap",
          settings: {
            ...{ proto: "tcp", hostAddr: "0.0.0.0", hostPort: 7070, guestAddr: "10.0.2.100", guestPort: 80 },
            count: 1,
          },
        },
      ],
    },
    views: new Map<string, NamespaceView | null>([
      ["host", host],
      [
        "db",
        inside("10.88.0.2/16", "10.88.0.1", 5, [socket("0.0.0.0", 80, 11), socket("127.0.0.1", 81, 12)]),
      ],
      ["web", inside("10.88.0.3/16", "10.88.0.1", 6)],
      ["far", inside("10.89.0.2/24", "10.89.0.1", 7, [socket("0.0.0.0", 53, 13, "udp")])],
      ["tap", tapView()],
      ["alone", view([])],
    ]),
    owners: new Map([
      [11, { pid: 4711, program: "nginx" }],
      [12, { pid: 4711, program: "nginx" }],
      [13, null],
      [14, { pid: 5, program: "sshd" }],
      [15, { pid: 6, program: "httpd" }],
    ]),
  };
}
const TAP: UserModeFacts = {
  settings: {
    ipv4: { subnet: "10.0.2.0/24", gateway: "10.0.2.2", dns: "10.0.2.3", guest: "10.0.2.100" },
    mtu: 65520,
    hostLoopback: false,
    dns: true,
    outbound: {},
  },
  ifName: "tap0",
  guest: { ipv4: "10.0.2.100", ipv6: "" },
  hostAddress: "192.168.100.8",
};
function tapView() {
  const one = view(["tap0 10.0.2.100/24"], { listening: [socket("0.0.0.0", 80, 15)] });
  one.routes.push(route("0.0.0.0/0", "10.0.2.2", 2));
  return one;
}

function party(text: string): Party {
  if (text === "host" || text === "internet") return { kind: text };
  return /^[\d.]+$|:/.test(text)
    ? { kind: "address", text, addresses: [text] }
    : { kind: "container", id: text };
}
function ask(facts: Facts, from: string, to: string, port?: number, protocol: "tcp" | "udp" = "tcp") {
  const query: Query = { from: party(from), to: party(to), protocol, ...(port ? { port } : {}) };
  const found = explainPath(facts, query);
  if (found instanceof Unseen) throw new Error(`not looked at: ${JSON.stringify(found.what)}`);
  return found;
}
const verdictOf = ({ reached, verdict }: Explanation) => `${reached ? "yes" : "no"}: ${verdict.text}`;

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

/** The verdict after something was broken. */
function broken(
  from: string,
  to: string,
  port: number,
  breaking: (facts: ReturnType<typeof rootful>) => unknown,
) {
  const facts = rootful();
  breaking(facts);
  return verdictOf(ask(facts, from, to, port));
}

group("what is broken", () => {
  const hostOf = (facts: ReturnType<typeof rootful>) => facts.views.get("host")!;
  const linkOf = (one: NamespaceView, name: string) => one.links.find(link => link.name === name)!;
  for (const [what, said, from, to, breaking] of [
    [
      "bridge",
      "no: bridge cni0 is down",
      "web",
      "db",
      f => Object.assign(linkOf(hostOf(f), "cni0"), { up: false }),
    ],
    [
      "forwarding",
      "no: ip_forward is off on host",
      "internet",
      "db",
      f => Object.assign(hostOf(f).forwarding, { 4: false }),
    ],
    [
      "interface",
      "no: eth0 in web is down",
      "web",
      "db",
      f => Object.assign(linkOf(f.views.get("web")!, "eth0"), { up: false }),
    ],
    [
      "cable",
      "no: db's eth0 is not on bridge cni0 any more",
      "web",
      "db",
      f => Object.assign(linkOf(hostOf(f), "veth1"), { master: 0 }),
    ],
    ["route", "no: no default route in far", "far", "internet", f => f.views.get("far")!.routes.pop()],
    [
      "firewall's map",
      "no: port 8080 of the host was published for db, and that is lost",
      "internet",
      "db",
      f => hostOf(f).firewall!.elements.shift(),
    ],
    [
      "FORWARD",
      "no: host's firewall drops it: FORWARD has the policy DROP",
      "internet",
      "db",
      f => Object.assign(hostOf(f).firewall!.closed, { 4: true }),
    ],
    [
      "way back",
      "no: db has no route back to a caller from outside",
      "internet",
      "db",
      f => f.views.get("db")!.routes.pop(),
    ],
    ["tap", "no: the network service does not serve tap0 of tap", "tap", "db", f => f.service.taps.pop()],
    ["namespace", "no: db is not running", "web", "db", f => f.views.set("db", null)],
    [
      "isolation",
      "no: net2 and podman are isolated from each other",
      "far",
      "db",
      f => hostOf(f).firewall!.elements.push(element("isolated", "cni0"), element("isolated", "cni-2")),
    ],
    [
      "masquerading",
      "no: nothing masquerades 10.88.0.3: answers don't find back to web",
      "web",
      "1.2.3.4",
      f => hostOf(f).firewall!.elements.splice(2, 1),
    ],
  ] as [string, string, string, string, (facts: ReturnType<typeof rootful>) => unknown][])
    test(what, () => {
      expect(broken(from, to, 80, breaking)).toBe(said);
    });

  test("a port that somebody else holds", () => {
    const facts = rootful();
    hostOf(facts).listening.push(socket("0.0.0.0", 22, 14));
    expect(ask(facts, "host", "off", 22).verdict.advice).toEqual([
      "portolan start off",
      "port 22 of the host is held by somebody else: sshd (pid 5)",
    ]);
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

test("whatever the facts, there is a verdict", () => {
  const ips = fc.constantFrom(
    "10.88.0.1",
    "10.88.0.2",
    "10.89.0.2",
    "10.0.2.100",
    "192.168.1.2",
    "fd00::1",
    "127.0.0.1",
  );
  const subnets = fc.constantFrom(
    "0.0.0.0/0",
    "::/0",
    "10.88.0.0/16",
    "10.89.0.0/24",
    "10.88.0.2/32",
    "fd00::/64",
  );
  const index = fc.integer({ min: 0, max: 4 });
  const links = fc.array(
    fc.record({
      index,
      name: fc.constantFrom("lo", "eth0", "tap0", "cni0", "veth1"),
      kind: fc.constantFrom("", "bridge", "veth", "tun", "macvlan"),
      up: fc.boolean(),
      loopback: fc.boolean(),
      master: index,
      peerIndex: index,
    }),
    { maxLength: 4 },
  );
  const sockets = fc.array(
    fc.record({
      protocol: fc.constantFrom("tcp" as const, "udp" as const),
      ip: fc.oneof(ips, fc.constantFrom("0.0.0.0", "::")),
      port: fc.constantFrom(80, 8080),
      inode: fc.constantFrom(0, 1),
    }),
    { maxLength: 3 },
  );
  const both = fc.record({ 4: fc.boolean(), 6: fc.boolean() });
  const elements = fc.array(
    fc.constantFrom(
      element("port4", concat(6, 8080), concat("10.88.0.2", 80)),
      element("port4", concat(6, 80), concat("10.88.0.1", 80)),
      element("masquerade4", "10.88.0.2"),
      element("isolated", "cni0"),
      element("strict4", concat("cni0", "10.88.0.2")),
      element("range4", { concat: [6, { range: [80, 90] }] }, "10.89.0.2"),
    ),
  );
  const anyView: fc.Arbitrary<NamespaceView | null> = fc.option(
    fc.record(
      {
        links,
        addresses: fc.array(
          fc.record({
            index,
            ip: ips,
            prefix: fc.constant(24),
            scope: fc.constantFrom("global", "link", "host"),
          }),
          { maxLength: 3 },
        ),
        routes: fc.array(
          fc.record({
            ...{ dst: subnets, gateway: fc.oneof(ips, fc.constant("")), index, metric: fc.nat(2) },
            ...{ source: fc.oneof(ips, fc.constant("")), type: fc.constantFrom(1, 1, 7) },
          }),
          { maxLength: 4 },
        ),
        forwarding: both,
        listening: sockets,
        firewall: fc.record({ elements, closed: both }),
      },
      { requiredKeys: ["links", "addresses", "routes", "forwarding", "listening"] },
    ),
  );
  const base = rootful();
  const places = ["host", "home", ...base.containers.map(one => one.id)];
  const anyFacts = fc
    .record({
      views: fc.array(anyView, { minLength: places.length, maxLength: places.length }),
      rootless: fc.boolean(),
    })
    .map(
      ({ views, rootless }): Facts => ({
        ...base,
        rootless,
        home: TAP,
        // The host is there always.
        views: new Map(places.map((place, at) => [place, at === 0 ? (views[0] ?? view([])) : views[at]!])),
        owners: new Map([[1, null]]),
      }),
    );
  const ends = fc.constantFrom(
    "host",
    "internet",
    "db",
    "web",
    "tap",
    "own",
    "side",
    "alone",
    "10.88.0.2",
    "fd00::1",
  );
  fc.assert(
    fc.property(anyFacts, ends, ends, fc.constantFrom(undefined, 80, 8080), (facts, from, to, port) => {
      const found = ask(facts, from, to, port);
      expect(found.verdict.text).not.toBe("");
      expect(found.verdict.text).not.toContain("undefined");
      expect(found.hops.length).toBeLessThan(100);
      for (const one of [describe(facts, "db"), describe(facts, "tap"), describeHost(facts)])
        expect(one).not.toBeInstanceOf(Unseen);
    }),
    { numRuns: 300 },
  );
});
