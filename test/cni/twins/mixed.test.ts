/**
 * What one side's plugins made, the other's take away: Go's ADD and our DEL, our ADD and Go's DEL. Afterwards the host and the
 * container must be as they were before, but for what Go leaves itself.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { newestGoPlugins, oldGoPlugins } from "../../support/go-plugins.ts";
import type { Case, Step } from "./case.ts";
import { BRIDGE, DUAL, port } from "./cases/parts.ts";
import { differences } from "./compare.ts";
import { inTurns, OurPlugins, run } from "./twin.ts";

let ours: OurPlugins;
/** What each test awaits, begun before the first. */
const jobs: { name: string; run(newest: string): Promise<void>; done: PromiseWithResolvers<void> }[] = [];
let all: Promise<void>;

beforeAll(() => {
  ours = new OurPlugins();
  const newest = newestGoPlugins();
  all = inTurns(
    jobs.map(
      ({ run, done }) =>
        () =>
          run(newest).then(done.resolve, done.reject),
    ),
  );
});
afterAll(async () => {
  await all;
  ours[Symbol.dispose]();
});

const RATES = { ingressRate: 1_000_000, ingressBurst: 200_000, egressRate: 2_000_000, egressBurst: 400_000 };
const published = (backend: string) => ({
  backend,
  runtimeConfig: {
    portMappings: [port(8080, 80), port(53, 5353, "udp"), port(8081, 80, "tcp", "127.0.0.2")],
  },
});
const masquerading = (backend: string) => ({ ...BRIDGE, ipMasq: true, ipMasqBackend: backend });

/** By name; a second list is what the newest of Go's alone can do. */
const CHAINS: Record<string, object[]> = {
  "bridge and host-local": [BRIDGE],
  "bridge with masquerade": [masquerading("iptables")],
  ptp: [{ type: "ptp", ipMasq: true, ipMasqBackend: "iptables", ipam: DUAL }],
  macvlan: [{ type: "macvlan", master: "up0", ipam: DUAL }],
  "host-device": [{ type: "host-device", device: "dev0", ipam: DUAL }],
  "bridge and static": [
    { ...BRIDGE, ipam: { type: "static", addresses: [{ address: "10.77.0.5/24", gateway: "10.77.0.1" }] } },
  ],
  portmap: [BRIDGE, { type: "portmap", ...published("iptables") }],
  firewall: [BRIDGE, { type: "firewall", backend: "iptables" }],
  tuning: [BRIDGE, { type: "tuning", mtu: 1400, promisc: true, mac: "02:11:22:33:44:55" }],
  bandwidth: [BRIDGE, { type: "bandwidth", ...RATES }],
  sbr: [BRIDGE, { type: "sbr" }],
  "bridge, host-local, portmap, firewall and tuning": [
    masquerading("iptables"),
    { type: "portmap", ...published("iptables") },
    { type: "firewall", backend: "iptables" },
    { type: "tuning", mtu: 1400 },
  ],
};
const NEWEST: Record<string, object[]> = {
  "bridge with masquerade by nftables": [masquerading("nftables")],
  "portmap by nftables": [BRIDGE, { type: "portmap", ...published("nftables") }],
  "bridge, host-local, portmap, firewall and tuning by nftables": [
    masquerading("nftables"),
    { type: "portmap", ...published("nftables") },
    { type: "firewall", backend: "iptables" },
    { type: "tuning", mtu: 1400 },
  ],
};

const PLACE = `ip link add up0 type veth peer name down0 && ip link set up0 up && ip link set down0 up
ip link add dev0 type veth peer name dev0p && ip link set dev0p up`;

/** Both sides once each with another container, for the bridge and tables that stay, and then across. */
const steps = (add: "go" | "ours", del: "go" | "ours"): Step[] => [
  ...(["go", "ours"] as const).flatMap((by): Step[] => [
    { do: "ADD", by, id: "before" },
    { do: "DEL", by, id: "before" },
  ]),
  "LOOK",
  { do: "ADD", by: add },
  "LOOK",
  { do: "DEL", by: del },
  "LOOK",
];

/** Each ADD takes the next address; v1.1.1 does not take back the alias of a device, of its own ADD neither. */
const STAYS = /last_reserved_ip|links\/dev0\/ifalias$/;

async function across(plugins: object[], go: string, add: "go" | "ours", del: "go" | "ours") {
  const one: Case = { name: "mixed", before: PLACE, plugins, steps: steps(add, del) };
  const seen = await run({ directory: ours.directory, others: go, version: "1.0.0", case: one });
  const failed = seen.filter(({ what }) => (what as { rc?: number }).rc);
  // With iptables 1.8.9 v1.9.1's DEL of its own nftables rules fails, after it has removed them: it looks for old chains.
  const isItsOwn = failed.some(({ step }) => /^2 DEL/.test(step));
  expect(
    failed.filter(({ step }) => !(isItsOwn && (del === "go" ? /^[28] DEL/ : /^2 DEL/).test(step))),
  ).toEqual([]);
  const [before, between, after] = seen.filter(({ step }) => step.endsWith("LOOK")).map(({ what }) => what);
  const look = (what: unknown) => [{ step: "LOOK", what }];
  expect(differences("", look(before), look(between))).not.toEqual([]);
  const left = differences("", look(before), look(after));
  expect(left.filter(({ path }) => !STAYS.test(path))).toEqual([]);
}

function mixed(name: string, run: (newest: string) => Promise<void>): void {
  const done = Promise.withResolvers<void>();
  // Whoever fails is told of in its own test.
  done.promise.catch(() => {});
  jobs.push({ name, run, done });
}

for (const [name, plugins] of Object.entries(CHAINS)) {
  mixed(`${name}: v1.1.1 adds, ours take away`, () => across(plugins, oldGoPlugins, "go", "ours"));
  mixed(`${name}: ours add, v1.1.1 take away`, () => across(plugins, oldGoPlugins, "ours", "go"));
}
for (const [name, plugins] of Object.entries({ ...CHAINS, ...NEWEST })) {
  mixed(`${name}: the newest add, ours take away`, newest => across(plugins, newest, "go", "ours"));
  mixed(`${name}: ours add, the newest take away`, newest => across(plugins, newest, "ours", "go"));
}
for (const { name, done } of jobs) test(name, () => done.promise);
