/** bandwidth behind a bridge: what it makes in the kernel beside Go's, that the limits hold, and that nothing of it stays. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { until } from "../support/await.ts";
import type { TestNetns } from "../support/netns.ts";
import { World } from "./world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world[Symbol.dispose]());

const bridge = () => JSON.parse(world.list()).plugins[0] as object;
const list = (conf: object) =>
  world.list("net", {
    plugins: [bridge(), { type: "bandwidth", capabilities: { bandwidth: true }, ...conf }],
  });
const go = () => ({ ...world.options, pluginPath: ["/usr/lib/cni"], foreign: ["bandwidth"] });
const LIMITS = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 4_000_000, egressBurst: 400_000 };

interface Qdisc {
  kind: string;
  dev: string;
  handle: string;
  options: { rate?: number; burst?: number; lat?: number };
  packets: number;
  drops: number;
  qlen: number;
}

const qdiscs = () => world.host.json<Qdisc[]>("tc", "-s", "-j", "qdisc", "show");
const through = () =>
  world.host
    .json<{ ifname?: string; address: string }[]>("ip", "-j", "link", "show", "type", "ifb")
    .filter(one => one.ifname);
const filters = (dev: string) =>
  world.host
    .json<{ options?: { actions?: { kind: string; mirred_action: string; to_dev: string }[] } }[]>(
      ...["tc", "-j", "filter", "show", "dev", dev, "ingress"],
    )
    .flatMap(one => one.options?.actions ?? [])
    .map(one => [one.kind, one.mirred_action, one.to_dev]);

const macOf = (place: TestNetns) =>
  place.json<{ address: string }[]>("ip", "-j", "link", "show", "eth0")[0]!.address;

test("links, qdiscs, filter and result are Go's, and each takes away what the other made", () => {
  const seen = [[world.options, go()] as const, [go(), world.options] as const].map(([options, other]) => {
    const attachment = world.attachment("abc", world.container().path);
    const result = world.step({ do: "add", list: list(LIMITS), attachment, options })!;
    const veth = result.interfaces[1]!.name;
    const [ifb] = through();
    expect(result.interfaces.at(-1)).toEqual({ name: ifb!.ifname!, mac: ifb!.address });
    const shown = qdiscs()
      .filter(one => one.dev === veth || one.dev === ifb!.ifname)
      .map(({ dev, kind, handle, options }) => ({ dev: dev.replace(veth, "veth"), kind, handle, options }));
    const [first] = filters(veth);
    world.step({ do: "check", list: list(LIMITS), attachment, options: other });
    world.step({ do: "del", list: list(LIMITS), attachment, options: other });
    expect([through(), qdiscs().filter(one => one.kind === "tbf")]).toEqual([[], []]);
    return { shown, first, interfaces: result.interfaces.length };
  });
  expect(seen[0]!.shown).toEqual([
    { dev: "veth", kind: "tbf", handle: "1:", options: { rate: 1_000_000, burst: 100_000, lat: 25_000 } },
    { dev: "veth", kind: "ingress", handle: "ffff:", options: {} },
    {
      dev: "bwp3ce8a0924fde",
      kind: "tbf",
      handle: "1:",
      options: { rate: 500_000, burst: 50_000, lat: 25_000 },
    },
  ]);
  expect(seen[0]!.first).toEqual(["mirred", "redirect", "bwp3ce8a0924fde"]);
  expect(seen[1]).toEqual(seen[0]!);
});

/** Datagrams that came to a port where nobody listens. */
function arrived(place: TestNetns): number {
  const [names, values] = [...place.sh("cat", "/proc/net/snmp").matchAll(/^Udp: (.*)$/gm)].map(one =>
    one[1]!.split(" "),
  );
  return Number(values![names!.indexOf("NoPorts")]);
}

test("the limits hold: of a burst of packets either way, only the bucket's worth passes, and what can't wait is dropped", async () => {
  // A kilobyte a second, of which 14 of these frames may come at once, and as many may wait: however slow the machine is,
  // the bucket does not fill again while the test runs.
  const slow = { Rate: 8_000, Burst: 120_000 };
  const COUNT = 100;
  const other = world.container();
  world.step({ do: "add", list: list({}), attachment: world.attachment("other", other.path) });
  for (const way of ["ingress", "egress", undefined]) {
    const place = world.container();
    const attachment = world.attachment(`abc${way}`, place.path);
    const conf = list(way ? { [`${way}Rate`]: slow.Rate, [`${way}Burst`]: slow.Burst } : {});
    const { interfaces, ips } = world.step({ do: "add", list: conf, attachment })!;
    const address = ips[0]!.address.split("/")[0]!;
    // Questions for neighbours would have to wait for tokens too.
    for (const [here, there, ip] of [
      [other, place, address],
      [place, other, "10.77.0.2"],
    ] as const)
      here.sh("ip", "neigh", "replace", ip, "lladdr", macOf(there), "dev", "eth0", "nud", "permanent");
    const [from, to, ip] = way === "egress" ? [place, other, "10.77.0.2"] : [other, place, address];
    const before = arrived(to);
    // A socket each, so that none has to wait for packets of its own that wait.
    from.sh("bash", "-c", `for i in {1..${COUNT}}; do printf %01000d 0 > /dev/udp/${ip}/9; done`);
    const passed = () => arrived(to) - before;
    if (way) {
      const dev = way === "ingress" ? interfaces[1]!.name : interfaces.at(-1)!.name;
      const bucket = () => qdiscs().find(one => one.dev === dev && one.kind === "tbf")!;
      const all = () => bucket().packets + bucket().qlen + bucket().drops;
      await until(
        () => all() >= COUNT && passed() > 5,
        () => `${passed()} of ${all()} passed`,
      );
      expect(bucket().drops).toBeGreaterThan(40);
      expect(passed()).toBeLessThan(50);
    } else
      await until(
        () => passed() === COUNT,
        () => `${passed()} passed without a limit`,
      );
    world.step({ do: "del", list: conf, attachment: { ...attachment, netns: "" } });
    expect([through(), qdiscs().filter(one => one.kind === "tbf")]).toEqual([[], []]);
  }
});

test("the runtime's limits are taken where the configuration has none; no limit is no change", () => {
  const attachment = {
    ...world.attachment("abc", world.container().path),
    capabilityArgs: { bandwidth: { ...LIMITS, egressRate: 0, egressBurst: 0 } },
  };
  for (const options of [world.options, go()]) {
    const asked = world.step({ do: "add", list: list({}), attachment, options })!;
    expect(asked.interfaces).toHaveLength(3);
    expect(qdiscs().filter(one => one.kind === "tbf")).toMatchObject([{ options: { rate: 1_000_000 } }]);
    world.step({ do: "del", list: list({}), attachment, options });
    const own = list({ ingressRate: 80_000, ingressBurst: 800_000 });
    world.step({ do: "add", list: own, attachment, options });
    expect(qdiscs().filter(one => one.kind === "tbf")).toMatchObject([{ options: { rate: 10_000 } }]);
    world.step({ do: "del", list: own, attachment, options });
  }
  const plain = world.attachment("def", world.container().path);
  expect(world.step({ do: "add", list: list({}), attachment: plain })!.interfaces).toHaveLength(3);
  expect(qdiscs().filter(one => one.kind === "tbf")).toEqual([]);
});

test("numbers that can't be, in Go's words, and nothing is left", () => {
  for (const [conf, says] of [
    [{ ingressRate: 8 }, "if rate is set, burst must also be set"],
    [{ egressBurst: 8 }, "if burst is set, rate must also be set"],
    [{ egressRate: 8, egressBurst: 999_999_999_999 }, "burst cannot be more than 4GB"],
    [{ ingressRate: -8, ingressBurst: 8 }, "rate and burst must be a positive integer"],
    [{ ingressRate: 7, ingressBurst: 8 }, "a rate of 7 bits a second is less than a byte"],
  ] as const) {
    const attachment = world.attachment("abc", world.container().path);
    expect(world.steps({ do: "add", list: list(conf), attachment })[0]).toMatchObject({
      error: says,
      code: 7,
    });
    expect(world.steps({ do: "status", list: list(conf) })[0]!.error).toBe(says);
    if (!/positive|byte/.test(says))
      expect(world.steps({ do: "add", list: list(conf), attachment, options: go() })[0]!.error).toContain(
        says,
      );
  }
  const asked = { ...world.attachment("abc", world.container().path), capabilityArgs: { bandwidth: "fast" } };
  expect(world.steps({ do: "add", list: list({}), attachment: asked })[0]!.error).toContain(
    'bandwidth must be object, not "fast"',
  );
  expect(through()).toEqual([]);
  world.step({ do: "status", list: list(LIMITS) });
  const first = world.list("net", { plugins: [{ type: "bandwidth", ...LIMITS }] });
  const attachment = world.attachment("abc", world.container().path);
  expect(world.steps({ do: "add", list: first, attachment })[0]!.error).toBe(
    "must be called as chained plugin",
  );
});

test("CHECK: rate, bucket, link and filter are looked at", () => {
  const attachment = world.attachment("abc", world.container().path);
  const conf = list(LIMITS);
  const veth = world.step({ do: "add", list: conf, attachment })!.interfaces[1]!.name;
  const ifb = through()[0]!.ifname!;
  const tc = (...words: string[]) => world.host.sh("tc", ...words);
  const bucket = (dev: string, rate: number, burst: number) =>
    tc(
      ...`qdisc replace dev ${dev} root handle 1: tbf rate ${rate}bit burst ${burst} latency 25ms`.split(" "),
    );
  const says = () => world.steps({ do: "check", list: conf, attachment })[0]!.error;
  expect(says()).toBeUndefined();
  bucket(veth, 8_000_008, 100_000);
  expect(says()).toBe(`Rate doesn't match: it is 1000001 on ${veth}, not 1000000`);
  bucket(veth, 8_000_000, 90_000);
  expect(says()).toStartWith("Limit doesn't match");
  tc("qdisc", "del", "dev", veth, "root");
  expect(says()).toBe(`Failed to find qdisc: ${veth} has no token bucket`);
  bucket(veth, 8_000_000, 100_000);
  expect(says()).toBeUndefined();
  tc("filter", "del", "dev", veth, "ingress");
  expect(says()).toBe(`what comes from the container by ${veth} is not sent through ${ifb}`);
  world.host.sh("ip", "link", "del", ifb);
  expect(says()).toBe(`get ifb device: Link not found: ${ifb}`);
});

test("two interfaces of one container on one network have a link each, and lose their own", () => {
  const place = world.container();
  const on = (ifName: string) => ({ ...world.attachment("abc", place.path), ifName });
  const names = ["eth0", "eth1"].map(
    ifName => world.step({ do: "add", list: list(LIMITS), attachment: on(ifName) })!.interfaces.at(-1)!.name,
  );
  expect(names[0]).toBe("bwp3ce8a0924fde");
  expect(new Set(through().map(one => one.ifname))).toEqual(new Set(names));
  for (const ifName of ["eth0", "eth1"])
    world.step({ do: "check", list: list(LIMITS), attachment: on(ifName) });
  world.step({ do: "del", list: list(LIMITS), attachment: { ...on("eth0"), netns: "" } });
  expect(through().map(one => one.ifname)).toEqual([names[1]]);
  world.step({ do: "check", list: list(LIMITS), attachment: on("eth1") });
  world.step({ do: "del", list: list(LIMITS), attachment: on("eth0") });
  expect(through().map(one => one.ifname)).toEqual([names[1]]);
  world.step({ do: "del", list: list(LIMITS), attachment: on("eth1") });
  expect(through()).toEqual([]);
});

test("GC: links of attachments that nobody knows go, ours by what they say, Go's once nothing is sent through them", () => {
  const add = (id: string, name: string, options: object) => {
    const attachment = world.attachment(id, world.container().path);
    const conf = JSON.stringify({ ...JSON.parse(list(LIMITS)), name });
    return world.step({ do: "add", list: conf, attachment, options })!.interfaces;
  };
  // Their results are kept somewhere that GC does not look into, as after a crash.
  const lost = { ...world.options, cacheDirectory: join(world.directory, "lost") };
  const goLost = { ...go(), cacheDirectory: join(world.directory, "lost") };
  const ours = add("dead", "net", lost);
  const goDead = add("dead2", "net", goLost);
  const goUsed = add("used", "net", goLost);
  const living = add("living", "net", world.options);
  const otherNet = add("dead", "other", lost);
  world.host.sh("ip", "link", "del", goDead[1]!.name);
  // The bridge's part would take the ports of the dead along.
  const alone = world.list("net", { plugins: [{ type: "bandwidth", ...LIMITS }] });
  world.step({ do: "gc", list: alone, valid: [{ containerId: "living", ifName: "eth0" }] });
  const names = through().map(one => one.ifname);
  expect(names).not.toContain(ours.at(-1)!.name);
  expect(names.sort()).toEqual([goUsed, living, otherNet].map(one => one.at(-1)!.name).sort());
});
