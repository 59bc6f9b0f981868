/** containerd's `ctr run --cni` on our plugins alone. At DEL it gives no namespace (CNI_NETNS is empty), and Go's plugins then leave their rules. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { TestHost } from "../../support/host.ts";
import { clientHost, script } from "./client-host.ts";

let host: TestHost;
const IMAGE = "docker.io/library/busybox:latest";

/** The first file of this directory is the network. */
const CONFLIST = {
  cniVersion: "1.0.0",
  name: "wire",
  plugins: [
    {
      type: "bridge",
      bridge: "wire0",
      isGateway: true,
      ipMasq: true,
      ipam: {
        type: "host-local",
        ranges: [[{ subnet: "10.66.0.0/24" }], [{ subnet: "fd66::/64" }]],
        routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
      },
    },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "firewall" },
    { type: "tuning", sysctl: { "net.core.somaxconn": "500" } },
  ],
};

const DAEMON = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
`;

/** All that an attachment could leave: addresses, cached results, rules, links on the bridge. */
const traces = () =>
  script(
    host,
    `ls /var/lib/cni/networks/wire /var/lib/cni/results | grep -E '^(10|fd|wire)' || true
    nft list ruleset | grep -E '10\\.66|fd66|id:' || true
    ip -o link show type veth | grep -v eth0@ || true`,
  );

beforeAll(async () => {
  const made = await clientHost();
  host = made.host;
  await host.write("/etc/cni/net.d/10-wire.conflist", JSON.stringify(CONFLIST));
  await host.write("/etc/containerd.toml", DAEMON);
  await script(
    host,
    `mount -t tmpfs tmpfs /var/lib/containerd
    setsid containerd --config /etc/containerd.toml >/tmp/containerd.log 2>&1 &
    timeout 20 sh -c 'until ctr version >/dev/null 2>&1; do sleep 0.05; done' || { cat /tmp/containerd.log; exit 1; }
    ctr image import ${made.image}`,
  );
});
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
});

test("a container has its addresses, reaches out by both families, and leaves nothing", async () => {
  const seen = await script(
    host,
    `ctr run --rm --cni ${IMAGE} one sh -c 'ip -o addr show eth0; ip route; ip -6 route; cat /proc/sys/net/core/somaxconn'`,
  );
  expect(seen).toMatch(/inet 10\.66\.0\.2\/24/);
  expect(seen).toMatch(/inet6 fd66::2\/64/);
  expect(seen).toContain("default via 10.66.0.1 dev eth0");
  expect(seen).toContain("default via fd66::1 dev eth0");
  expect(seen).toEndWith("500");
  expect(
    await script(host, `ctr run --rm --cni --privileged ${IMAGE} two ping -c 1 -W 5 192.168.77.1`),
  ).toContain("1 packets received");
  expect(await traces()).toBe("");
});

test("containers side by side have addresses of their own", async () => {
  await script(host, `ctr run -d --cni ${IMAGE} a sleep 1000 && ctr run -d --cni ${IMAGE} b sleep 1000`);
  const address = (id: string) =>
    script(
      host,
      `ctr task exec --exec-id look ${id} ip -4 -o addr show eth0 | grep -o '10[.0-9]*/' | head -1`,
    );
  const [a, b] = [await address("a"), await address("b")];
  expect(a).not.toBe(b);
  expect(await traces()).toContain(`${a.slice(0, -1)}\n`);
});

test("what ctr forgets, `portolan cni gc` takes away", async () => {
  // Of a detached container ctr itself calls no DEL.
  await script(
    host,
    `for id in a b; do
      ctr task kill -s KILL $id
      until ctr task ls | grep -q "^$id .*STOPPED"; do sleep 0.02; done
      ctr task rm $id || true; ctr container rm $id
    done`,
  );
  expect(await traces()).toContain("wire-default-a-eth0");
  await script(host, "portolan cni status wire && portolan cni gc wire");
  expect(await traces()).toBe("");
});
