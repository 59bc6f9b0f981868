/** The firewall plugin in iptables and with firewalld: who comes through, what DEL leaves, CHECK and STATUS. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestNetns } from "../support/netns.ts";
import { askTcp, serveTcp, serveUdp, stopSockets, udpClient } from "../support/sockets.ts";
import { World } from "./world.ts";

let world: World;
let outside: TestNetns;
let number = 0;
beforeAll(() => {
  world = new World();
  outside = world.outside();
});
afterAll(() => world[Symbol.dispose]());
afterEach(stopSockets);

const listOf = (name: string, subnet: string, firewall: object) =>
  world.list(name, {
    ipam: { ranges: [[{ subnet }]], routes: [{ dst: "0.0.0.0/0" }] },
    firewall: { backend: "iptables", ...firewall },
  });

function attach(list: string) {
  const place = world.container();
  const attachment = world.attachment(`c${++number}`, place.path);
  const result = world.step({ do: "add", list, attachment })!;
  world.step({ do: "check", list, attachment });
  return {
    place,
    attachment,
    ip: result.ips[0]!.address.split("/")[0]!,
    [Symbol.dispose]: () => void world.step({ do: "del", list, attachment }),
  };
}

/** The rules in iptables' filter that speak of an address or a bridge. */
const traces = () =>
  world.host
    .sh("sh", "-c", "iptables-save -t filter; ip6tables-save -t filter")
    .split("\n")
    .filter(line => /10\.7\d\.0|br-/.test(line));

/** True when a datagram from `from` reaches `ip`; one from `witness`, sent later, shows that it has had its time. */
async function reaches(from: TestNetns, ip: string, target: TestNetns, witness: TestNetns): Promise<boolean> {
  const server = await serveUdp(target, "0.0.0.0", 7000, "x");
  (await udpClient(from, ip, 7000)).send("probe");
  (await udpClient(witness, ip, 7000)).send("witness");
  await server.until("witness");
  stopSockets();
  return server.received.includes("probe");
}

test("iptables: containers come through a filter that drops, the administrator's chain is asked first", async () => {
  world.host.sh("iptables", "-P", "FORWARD", "DROP");
  {
    using one = attach(listOf("drop", "10.71.0.0/24", { iptablesAdminChainName: "OURS" }));
    serveTcp(outside, "0.0.0.0", 90, "out");
    expect(await askTcp(one.place, "192.0.2.2", 90)).toBe("out 192.0.2.1");
    world.host.sh("iptables", "-A", "OURS", "-s", one.ip, "-j", "REJECT");
    expect(await askTcp(one.place, "192.0.2.2", 90)).toBe("refused");
    world.host.sh("iptables", "-F", "OURS");
  }
  expect(traces()).toEqual([]);
  world.host.sh("iptables", "-P", "FORWARD", "ACCEPT");
});

test("iptables: same-bridge keeps other bridges out, isolated neighbours too; it goes with a bridge's last container", async () => {
  const listA = listOf("a", "10.72.0.0/24", { ingressPolicy: "same-bridge" });
  const listB = listOf("b", "10.73.0.0/24", { ingressPolicy: "isolated" });
  {
    using a1 = attach(listA);
    {
      using a2 = attach(listA);
      using b = attach(listB);
      expect(await reaches(b.place, a1.ip, a1.place, a2.place)).toBe(false);
      expect(await reaches(a1.place, b.ip, b.place, world.host)).toBe(false);
      serveTcp(outside, "0.0.0.0", 90, "out");
      expect(await askTcp(b.place, "192.0.2.2", 90)).toBe("out 192.0.2.1");
    }
    expect(traces().filter(line => line.includes("br-b"))).toEqual([]);
    expect(traces().filter(line => line.includes("br-a")).length).toBe(2);
    world.step({ do: "check", list: listA, attachment: a1.attachment });
  }
  expect(traces()).toEqual([]);
});

test("iptables: CHECK names the rule that is gone", () => {
  using one = attach(listOf("check", "10.74.0.0/24", {}));
  world.host.sh("iptables", "-F", "CNI-FORWARD");
  const list = listOf("check", "10.74.0.0/24", {});
  const [outcome] = world.steps({ do: "check", list, attachment: one.attachment });
  expect(outcome!.error).toStartWith(`container c${number} has lost a rule of iptables: `);
});

/** Calls STATUS of one plugin in a process with this PATH; `before` is done in its own view of the file system. */
function status(conf: object, path: string, before = "true") {
  const code = `
    const { loadPlugin } = await import(${JSON.stringify(join(import.meta.dir, "../../src/cni/plugins/table.ts"))});
    const conf = ${JSON.stringify(conf)};
    try { (await loadPlugin(conf.type)).status({ conf, network: "n", dataDirectory: "/nowhere" }); console.log("fine"); }
    catch (error) { console.log(error.code, error.message); }`;
  const child = world.host.run(() =>
    Bun.spawnSync(
      [
        "/usr/bin/unshare",
        "-m",
        "/bin/sh",
        "-c",
        `${before} && exec "$@"`,
        "sh",
        process.execPath,
        "-e",
        code,
      ],
      {
        env: { PATH: path },
        stderr: "inherit",
      },
    ),
  );
  return child.stdout.toString().trim();
}

test("STATUS: what is asked for is there, or the answer is 50 and says what is missing", () => {
  for (const type of ["portmap", "firewall"]) {
    expect(status({ type }, process.env.PATH!)).toBe("fine");
    expect(status({ type, backend: "iptables" }, process.env.PATH!)).toBe("fine");
  }
  const without = "mount --bind /dev/null /usr/sbin/xtables-nft-multi";
  for (const type of ["portmap", "firewall"])
    expect(status({ type, backend: "iptables" }, process.env.PATH!, without)).toBe(
      "50 the configuration asks for iptables, and iptables-restore is not there",
    );
  expect(status({ type: "firewall", backend: "firewalld" }, "/nowhere")).toStartWith(
    "50 the configuration asks for firewalld: ",
  );
});

test("firewalld: addresses are put into the zone and taken out again, by firewall-cmd", () => {
  // A stand-in that keeps a list, as firewall-cmd's: the daemon itself wants a system bus.
  const bin = join(world.directory, "bin");
  const log = join(world.directory, "zone");
  mkdirSync(bin);
  writeFileSync(
    join(bin, "firewall-cmd"),
    `#!/bin/sh
case "$2" in
--add-source=*) echo "$1 $2" >>${log} ;;
--query-source=*) grep -q "add-source=\${2#*=}" ${log} ;;
--remove-source=*) sed -i "\\#\${2#*=}#d" ${log} ;;
esac
`,
  );
  chmodSync(join(bin, "firewall-cmd"), 0o755);
  const before = process.env.PATH;
  process.env.PATH = `${bin}:${before}`;
  try {
    const list = listOf("zone", "10.75.0.0/24", { backend: "firewalld", firewalldZone: "pods" });
    const one = attach(list);
    expect(readFileSync(log, "utf8")).toBe(`--zone=pods --add-source=${one.ip}/32\n`);
    writeFileSync(log, "");
    const [outcome] = world.steps({ do: "check", list, attachment: one.attachment });
    expect(outcome!.error).toBe(`failed to find the address ${one.ip}/32 in pods zone`);
    one[Symbol.dispose]();
    expect(readFileSync(log, "utf8")).toBe("");
  } finally {
    process.env.PATH = before;
  }
});

test("firewalld that is not there: one line, and nothing is left", () => {
  const place = world.container();
  const attachment = world.attachment("f", place.path);
  const list = listOf("none", "10.76.0.0/24", { backend: "firewalld" });
  const [outcome] = world.steps({ do: "add", list, attachment });
  expect(outcome!.error).toStartWith("failed to add the address 10.76.0.2/32 to trusted zone: ");
  expect(world.files("networks/none").filter(name => /^\d/.test(name))).toEqual([]);
});
