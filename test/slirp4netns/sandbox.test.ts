/** What the process that was started, and its data plane, can still see and do; as root and as an ordinary user. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { askTcp, serveTcp, stopSockets } from "../support/sockets.ts";
import { createUser, network, OURS } from "./ordinary-user.ts";
import { OUTSIDE, type Running, World } from "./world.ts";

const world = new World();
beforeAll(() => serveTcp(world.outside, OUTSIDE, 7000, "outside"));
afterAll(async () => {
  stopSockets();
  await world[Symbol.asyncDispose]();
});

/** Fields of /proc/PID/status. */
function status(pid: number): Record<string, string> {
  const lines = readFileSync(`/proc/${pid}/status`, "utf8").trim().split("\n");
  return Object.fromEntries(lines.map(line => line.split(/:\s*/) as [string, string]));
}

/** The same of every thread. */
function threads(pid: number): Record<string, string>[] {
  return readdirSync(`/proc/${pid}/task`).map(tid => status(Number(tid)));
}

const NET_BIND_SERVICE = "0000000000000400";
const SETS = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
const everyone = (running: Running) => [running.pid, ...running.children()];

describe("root", () => {
  let running: Running;
  beforeAll(async () => {
    running = await world.start("ours", ["-c", "--enable-sandbox", "--enable-seccomp"]);
  });

  test("every thread of both processes keeps the right to bind low ports and gains none", () => {
    expect(everyone(running)).toHaveLength(2);
    for (const pid of everyone(running))
      for (const fields of threads(pid)) {
        expect(SETS.map(set => fields[set])).toEqual(SETS.map(() => NET_BIND_SERVICE));
        expect(fields.NoNewPrivs).toBe("1");
      }
  });

  test("seccomp filters every thread, the data plane's once more", () => {
    const [supervisor, dataPlane] = everyone(running);
    for (const fields of threads(supervisor!))
      expect([fields.Seccomp, fields.Seccomp_filters]).toEqual(["2", "1"]);
    for (const fields of threads(dataPlane!))
      expect([fields.Seccomp, fields.Seccomp_filters]).toEqual(["2", "2"]);
  });

  test("their root holds next to nothing, and can't be written to", () => {
    for (const pid of everyone(running)) {
      expect(readlinkSync(`/proc/${pid}/ns/mnt`)).not.toBe(readlinkSync("/proc/self/ns/mnt"));
      expect(readdirSync(`/proc/${pid}/root/`).sort()).toEqual(["etc", "lib", "lib64", "proc", "run", "usr"]);
      expect(readdirSync(`/proc/${pid}/root/proc`)).toEqual(["self"]);
      expect(existsSync(`/proc/${pid}/root/etc/resolv.conf`)).toBe(true);
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8").trim().split("\n");
      // Pins of network namespaces, of which others on this machine may make some meanwhile, hold nothing to be written.
      const writable = mounts.filter(line => !/^ro,/.test(line.split(" ")[5]!) && !line.includes(" - nsfs "));
      expect(writable).toEqual([]);
    }
  });

  test("no descriptor leads out", () => {
    for (const pid of everyone(running)) {
      const targets = readdirSync(`/proc/${pid}/fd`).map(fd => readlinkSync(`/proc/${pid}/fd/${fd}`));
      const known = /^(socket|pipe|anon_inode):|^\/dev\/(net\/tun|null)$/;
      expect(targets.filter(target => !known.test(target))).toEqual([]);
    }
  });

  test("the network works, and ports below 1024 can be published", async () => {
    serveTcp(running.guest, "10.0.2.100", 80, "guest");
    expect(await askTcp(running.guest, OUTSIDE, 7000)).toBe("outside 192.0.2.1");
    const args = { proto: "tcp", host_addr: "192.0.2.1", host_port: 80, guest_port: 80 };
    await running.api({ execute: "add_hostfwd", arguments: args });
    expect(await askTcp(world.outside, "192.0.2.1", 80)).toBe("guest 192.0.2.2");
  });

  test("without the options capabilities are dropped all the same", async () => {
    const plain = await world.start("ours");
    for (const pid of everyone(plain)) {
      expect(status(pid).CapEff).toBe(NET_BIND_SERVICE);
      expect(status(pid).NoNewPrivs).toBe("1");
      expect(status(pid).Seccomp).toBe("0");
      expect(readlinkSync(`/proc/${pid}/ns/mnt`)).toBe(readlinkSync("/proc/self/ns/mnt"));
    }
  });
});

describe("an ordinary user", () => {
  /** What the host's root sees of a process, line by line. */
  const LOOK = `pid=$1
grep -E '^(Uid|CapEff|NoNewPrivs)' /proc/$pid/status | tr -s '\\t' ' '
readlink /proc/$pid/ns/user /proc/$pid/ns/net
ls /proc/$pid/root/ | tr '\\n' ' '`;

  test.each([
    ["in a sandbox", ["--enable-sandbox", "--enable-seccomp"], true],
    ["outside of one", [], false],
  ])("%s", async (_, options, sandboxed) => {
    const user = await createUser();
    await using _host = user.host;
    const { target, pid, ready, end } = await network(user, ["-c", ...options]);
    expect(ready).toBe("1");
    const look = async (one: number) =>
      (await user.host.must("sh", "-c", LOOK, "sh", String(one))).trim().split("\n");
    const child = await user.host.must("cat", `/proc/${pid}/task/${pid}/children`);
    const [, , , targetUser, targetNet] = await look(target);
    for (const one of [pid, Number(child)]) {
      const [uid, capabilities, noNew, userns, netns, root] = await look(one);
      expect([uid, capabilities, noNew]).toEqual([
        "Uid: 4321 4321 4321 4321",
        `CapEff: ${NET_BIND_SERVICE}`,
        "NoNewPrivs: 1",
      ]);
      // Its rights are in the target's user namespace only; its sockets are the host's.
      expect(userns).toBe(targetUser!);
      expect(netns).not.toBe(targetNet!);
      expect(root!.split(" ").includes("home")).toBe(!sandboxed);
    }
    expect(await user.host.must("nsenter", "-t", `${target}`, "-n", "ip", "-br", "-4", "address")).toContain(
      "10.0.2.100/24",
    );
    expect(await end()).toEqual({ code: 0, stderr: "" });
  });

  test("a user namespace in which the user is not root is refused with what to do", async () => {
    const user = await createUser();
    await using _host = user.host;
    const script = `unshare --user --net sleep infinity &
until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
${OURS} -a api.sock $! tap0; code=$?; ls api.sock; kill $!; exit $code`;
    const { code, stderr } = await user.run(["sh", "-c", script]);
    expect(code).toBe(1);
    expect(stderr).toContain("the target's user namespace does not map you to its root (make it with");
    expect(stderr).toContain("cannot access 'api.sock'");
  });

  test("who may not enter the target is told so", async () => {
    const user = await createUser();
    await using _host = user.host;
    const { code, stderr } = await user.run([OURS, "1", "tap0"]);
    expect(code).toBe(1);
    expect(stderr).toBe("/proc/1/ns/net: permission denied\n");
  });
});
