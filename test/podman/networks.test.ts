/** The verbs on networks: create ls inspect rm prune exists, and what they refuse; the files that they write. */
import { beforeAll, expect, test } from "bun:test";
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root"], "busybox");
const pair = () => callers[0]!.pair();
const FILES = "/etc/cni/net.d";
/** Networks made by a case that are still there, and their bridges. */
const AFTER = `rm -f ${FILES}/n*.conflist ${FILES}/cni-*.conflist /run/containers/cni/*
for bridge in $(ls /sys/class/net | grep 'cni-podman[1-9]'); do ip link del $bridge; done`;
const table = (...cases: Parameters<typeof pairs>[1]) =>
  pairs(callers, cases, { inTurn: true, after: AFTER });
/** The bodies of files and of `inspect` are the same, after `network create` with these words. */
const made = (...words: string[]) =>
  table(`engine network create ${words.join(" ")} n1; cat ${FILES}/n1.conflist; engine network inspect n1`);

// `prune` would take it.
beforeAll(() => pair().host.must("rm", `${FILES}/90-tiny.conflist`));

made();
made("--subnet 10.20.0.0/16 --gateway 10.20.0.7 --ip-range 10.20.5.0/24 --label a=b --label c");
made("-o mtu=1400 --opt isolate=true --disable-dns");
made("-o mtu= -o isolate=false --label 'x=y=z'");
made("--internal --disable-dns --subnet 10.20.0.0/24 --subnet fd01::/64");
made("--ipv6 --subnet fd05::/64");
made("--ipv6 --subnet fd05::/64 --subnet 10.20.0.9/24");
made("--subnet 10.20.0.0/24 --subnet fd02::/64 --gateway 10.20.0.9,fd02::9");
made("--subnet 10.20.0.0/24 --subnet fd02::/64 --ip-range 10.20.0.16/28 --ip-range fd02::10/124");
made("--subnet 10.20.0.0/24 --ip-range 10.20.0.5/32 --ipam-driver host-local");
made("--ipam-driver none --disable-dns");
made("-d macvlan -o parent=eth0 --subnet 10.44.0.0/24 -o mode=private -o mtu=1400");
made("-d macvlan --internal --disable-dns --subnet 10.44.0.0/24 --label a=b");
made("--macvlan eth0 --subnet 10.44.0.0/24");
made("-d macvlan -o parent=eth0");
// Its own wire's subnet, another's network's, and the same twice: what is on a wire is not the host's alone.
made("-d macvlan -o parent=eth0 --subnet 192.168.77.0/24");
table(
  "m='engine network create -d macvlan -o parent=eth0 --subnet'; $m 10.88.0.0/24 n1; $m 192.168.77.0/24 n2; $m 192.168.77.0/25 n3; engine network create --subnet 10.88.0.128/25 n4; engine network create --subnet 192.168.77.0/28 n5; engine network ls -q",
);
table(
  `engine network create --ipv6 n1; sed s/fd..:[0-9a-f:]*::/fdXX::/ ${FILES}/n1.conflist`,
  `engine network create; cat ${FILES}/cni-podman1.conflist; engine network create; engine network create n3; engine network rm cni-podman1; engine network create n4; engine network inspect -f '{{.Name}} {{.NetworkInterface}} {{(index .Subnets 0).Gateway}} {{.DNSEnabled}}' cni-podman2 n3 n4`,
  // Interfaces, addresses and networks of others are kept clear of.
  "ip link add cni-podman1 type bridge; ip addr add 10.89.1.77/20 dev eth0; engine network create n1; engine network inspect -f '{{.NetworkInterface}} {{(index .Subnets 0).Subnet}}' n1; ip addr del 10.89.1.77/20 dev eth0",
);

// What is refused.
table(
  "for name in a/b 'a b' -x podman bridge none host container slirp4netns; do engine network create -- \"$name\"; echo $?; done; engine network create a b",
  "for subnet in bogus 10.20.0.0 10.88.0.0/24 192.168.77.0/24 10.0.0.0/8 ::/0 fd30::/64,10.1.0.0/24; do engine network create --subnet $subnet n; done",
  "engine network create --subnet 10.20.0.0/24 n1; engine network create --subnet 10.20.0.128/25 n2; engine network create --subnet 10.21.0.0/24 n1",
  "s='--subnet 10.20.0.0/24'; engine network create --gateway 10.20.0.1 n; engine network create $s --gateway 10.21.0.1 n; engine network create $s --gateway x n; engine network create $s --gateway fd00::1 n; engine network create $s --gateway 10.20.0.9 --gateway 10.20.0.8 n",
  "s='--subnet 10.20.0.0/24'; engine network create --ip-range 10.20.0.0/24 n; for range in x 10.21.0.0/24 10.20.0.0/16 10.20.0.1-10.20.0.9; do engine network create $s --ip-range $range n; done; engine network create $s --ip-range 10.20.0.16/30 --ip-range 10.20.0.32/30 n",
  "for option in bogus=1 mtu=x mtu=-1 isolate=x vlan=x vlan=5000 parent=eth0 mode=x ''; do engine network create -o $option n; done; engine network create --label = n; engine network create --label '' n",
  "engine network create -d bogus n; engine network create -d macvlan -o parent=nope0 n; engine network create -d macvlan --subnet 10.1.1.0/24 -o mode=bogus n; engine network create -d macvlan --internal n; engine network create --ipam-driver bogus n; engine network create --ipam-driver none --subnet 10.1.1.0/24 n; engine network create -d macvlan --ipam-driver dhcp --subnet 10.1.1.0/24 n",
  "engine network create --bogus n; engine network create --disable-dns=x n; engine network create --subnet",
  ...(
    [
      ["-d ipvlan --subnet 10.1.2.0/24", /network driver ipvlan is not supported/],
      ["-o vlan=5", /network option vlan is not supported/],
      ["--ipam-driver dhcp", /ipam driver dhcp is not supported/],
      ["--subnet 10.20.0.0/31", /subnet 10\.20\.0\.0\/31 is too small/],
      ["--subnet 10.20.0.0/24 --subnet 10.20.0.0/25", /subnet 10\.20\.0\.0\/25 is already used/],
    ] as const
  ).map(([words, says]) => ({
    script: `engine network create ${words} n1`,
    differs: {
      why: "podman makes a network that no container here can join; what can't work is refused when it is asked for",
      podman: /^exit 0\nn1$/,
      portolan: new RegExp(`^exit 125\\n[\\s\\S]*${says.source}`),
    },
  })),
  {
    script: `engine network create --internal n1; grep -c dnsname ${FILES}/n1.conflist`,
    differs: {
      why: "names of containers are told on internal networks too",
      podman: /^exit 1\nn1\n0\n.*\n.*dnsname and internal networks are incompatible/,
      portolan: /^exit 0\nn1\n1$/,
    },
  },
);

// Looking.
table(
  'engine network create --label a=b --label c n2 >/dev/null; for f in name=n name=^n name=n2 id=2f25 driver=bridge driver=b label=a label=a=b label=a=c label=c dangling=true dangling=false dangling=x until=1h until=2999-01-01T00:00:00Z until=x bogus=1 name; do echo "- $f"; engine network ls -q --filter $f; done',
  "engine network create --label a=b --label c n2 >/dev/null; engine network create --label d=1 n3 >/dev/null; engine network ls; engine network ls --filter name=n2 --filter name=podman; engine network ls -f label=a --filter label=c -q; engine network ls extra; engine network ls --no-trunc; engine network ls -f label=d --format 'table {{.Name}} {{.Labels}}'; engine network ls --format json",
  "engine network create --ipv6 --subnet fd05::/64 n1; engine network ls --format '{{.Name}} {{.NetworkInterface}} {{.IPv6Enabled}} {{.Internal}} {{.DNSEnabled}} {{.Driver}} {{.Options}}'",
  "engine network create n1; engine network create --label a=b n2; engine network inspect -f '{{.Labels}} {{json .Labels}} {{.Options}} {{json .Options}} {{json .IPAMOptions}} {{len .Labels}}' podman n1 n2; engine network inspect n1",
  "engine network exists; echo $?; engine network exists a b; echo $?; engine network exists 2f259bab93; echo $?; engine network inspect; engine network inspect nope podman; engine network inspect -f '{{.Name}}' podman nope; engine network inspect 2f259bab93; engine network inspect -f json podman",
);

// Going.
table(
  "engine network rm nope; echo $?; engine network rm; echo $?; engine network rm podman; echo $?; engine network create n1; engine network rm n1 nope; echo $?; engine network create n1; engine network rm nope n1; echo $?; engine network rm -f nope; echo $?; engine network rm -t 0 nope",
  "engine network create n1; engine network rm $(engine network inspect -f '{{slice .ID 0 8}}' n1); echo $?; engine network remove n1; echo $?",
  "engine network create n1; engine run -d --name one --network n1 busybox sleep 100; engine network rm n1; echo $?; engine network rm -f -t 0 n1; echo $?; engine ps -aq; ip link show cni-podman1",
  "engine network create n1; engine create --name one --network n1 busybox sleep 100; engine network rm n1; echo $?; engine network prune -f; engine network ls -q; engine network rm -f n1; engine ps -aq",
  "engine network create n1 >/dev/null; engine network create --label a=b n2 >/dev/null; engine network prune -f --filter label=a; engine network prune -f --filter until=1h; engine network prune -f --filter bogus=1; echo y | engine network prune; echo n | engine network prune; engine network ls -q; engine network prune x",
  "engine network create --label a=b n2 >/dev/null; engine network prune -f --filter label!=a; engine network prune -f --filter name=x; engine network prune -f --filter label!=b",
  "engine network create --subnet 10.20.0.0/24 n1; engine pod create --name p --network n1 | wc -c; engine run -d --pod p busybox sleep 100 | wc -c; engine network rm n1; echo $?; engine network rm -f -t 0 n1; echo $?; engine pod ls -q; engine ps -aq",
  refused("engine network bogus", /unrecognized command/),
);

test("each engine reads, uses and removes the network that the other made", async () => {
  const { host } = pair();
  for (const [maker, other] of [
    ["podman", "portolan"],
    ["portolan", "podman"],
  ] as const) {
    await host.must(
      ...[maker, "network", "create", "--subnet", "10.20.0.0/24", "--subnet", "fd20::/64", "-o", "mtu=1400"],
      ...["--label", "a=b", "both"],
    );
    const inspected = [maker, other].map(engine => host.must(engine, "network", "inspect", "both"));
    const [mine, theirs] = await Promise.all(inspected);
    expect(theirs).toBe(mine!);
    const run = (engine: string, ip: string, ...words: string[]) =>
      host.must(engine, "run", "--rm", "--network", `both:ip=${ip}`, "busybox", ...words);
    expect(await run(other, "10.20.0.9", "ip", "addr", "show", "eth0")).toMatch(
      /mtu 1400[\s\S]*10\.20\.0\.9\/24[\s\S]*fd20::/,
    );
    const serve = "while :; do echo hello | nc -l -p 80; done";
    const peer = ["--name", "peer", "--network", "both:ip=10.20.0.7", "busybox", "sh", "-c", serve];
    await host.must(maker, "run", "-d", ...peer);
    const ask = "until nc -w 5 10.20.0.7 80 </dev/null; do sleep 0.05; done";
    expect(await run(other, "10.20.0.9", "sh", "-c", ask)).toBe("hello");
    await host.must(maker, "rm", "-f", "-t", "0", "peer");
    expect(await host.must(other, "network", "rm", "both")).toBe("both");
    expect(await host.must(maker, "network", "ls", "-q")).toBe("podman");
  }
});

test("a network on whose bridge podman's containers are is left, unless -f says otherwise", async () => {
  const { host } = pair();
  const ours = (...words: string[]) => host.run(["portolan", "network", ...words]);
  await host.must("portolan", "network", "create", "--disable-dns", "n1");
  await host.must("podman", "run", "-d", "--name", "peer", "--network", "n1", "busybox", "sleep", "100");
  // One of ours comes and goes beside it.
  await host.must("portolan", "run", "--rm", "--network", "n1", "busybox", "true");
  const { code, stderr } = await ours("rm", "n1");
  expect(stderr).toMatch(
    /^Error: "n1" has others than our containers on its bridge cni-podman1 \(veth\w+\)\. Use -f .*: network is being used\n/,
  );
  expect(code).toBe(2);
  expect((await ours("prune", "-f")).stdout).toBe("");
  expect((await host.run(["portolan", "system", "prune", "-f"])).stdout).not.toContain("n1");
  expect(await host.must("ip", "-o", "link", "show", "master", "cni-podman1")).toMatch(/veth.* state UP /);
  expect(await ours("rm", "-f", "n1")).toEqual({ code: 0, stdout: "n1\n", stderr: "" });
  expect((await host.run(["ip", "link", "show", "cni-podman1"])).code).toBe(1);
  await host.must("podman", "rm", "-f", "-t", "0", "peer");
});
