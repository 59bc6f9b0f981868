/** The engine's containers on networks whose chains limit, tune and route: through their life, and nothing is left. */
import { expect, test } from "bun:test";
import { openHost } from "./world.ts";

const bridge = (name: string, subnet: string, routes: object[] = []) => ({
  type: "bridge",
  bridge: `br-${name}`,
  isGateway: true,
  ipam: { type: "host-local", subnet, routes },
});
const LIMITED = {
  cniVersion: "1.0.0",
  name: "limited",
  plugins: [
    bridge("limited", "10.71.0.0/24", [{ dst: "0.0.0.0/0" }]),
    {
      type: "bandwidth",
      ingressRate: 8_000_000,
      ingressBurst: 800_000,
      egressRate: 4_000_000,
      egressBurst: 400_000,
    },
    { type: "tuning", mtu: 1400, capabilities: { mac: true } },
  ],
};
const VOICE = {
  cniVersion: "1.0.0",
  name: "voice",
  plugins: [bridge("voice", "10.73.0.0/24"), { type: "sbr" }],
};

test("bandwidth, tuning and sbr follow a container through restart, disconnect and connect, and go with it", async () => {
  await using host = await openHost("busybox");
  const sh = async (command: string) => {
    const { stdout, stderr, code } = await host.run(["sh", "-c", command]);
    expect([command, stderr, code]).toEqual([command, "", 0]);
    return stdout;
  };
  for (const list of [LIMITED, VOICE])
    await sh(`echo '${JSON.stringify(list)}' > /etc/cni/net.d/${list.name}.conflist`);
  const mac = "92:d0:c6:0a:29:33";
  await sh(`portolan run -d --name a --network limited:mac=${mac} --network voice busybox sleep 1000`);
  const rates = async () =>
    [...(await sh("tc qdisc show")).matchAll(/tbf .* rate (\S+)/g)].map(one => one[1]);
  const rules = async () => (await sh("portolan exec a ip rule")).match(/\S+ lookup 100/g) ?? [];
  const backups = () => sh("ls /run/cni/tuning 2>/dev/null | wc -l");
  for (const again of ["true", "portolan restart -t0 a"]) {
    await sh(again);
    expect(await sh("portolan exec a ip link show eth0")).toMatch(new RegExp(`mtu 1400 [^]*${mac}`));
    expect([await rates(), (await rules()).length, await backups()]).toEqual([["8Mbit", "4Mbit"], 1, "1\n"]);
  }
  await sh("portolan network disconnect voice a");
  expect(await rules()).toEqual([]);
  await sh("portolan network connect voice a");
  expect(await rules()).toHaveLength(1);
  expect(await sh("portolan exec a ip route show table 100")).toContain("default via 10.73.0.1 dev eth1");
  await sh("portolan rm -f -t0 a");
  expect([await rates(), await sh("ip link show type ifb"), await backups()]).toEqual([[], "", "0\n"]);
}, 60_000);
