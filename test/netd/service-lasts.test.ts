/** Whichever of the network service's two processes is killed: the other one starts it again, and the network goes on. */
import { afterEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NetdClient } from "../../src/netd/client.ts";
import { isServing } from "../../src/netd/service-socket.ts";
import { closeFd, O, openFd, setCloseOnExec } from "../../src/sys/fd.ts";
import { mount, umount } from "../../src/sys/mount.ts";
import * as netns from "../../src/sys/netns.ts";
import { until } from "../support/await.ts";
import type { TestNetns } from "../support/netns.ts";
import { askTcp, serveTcp, stopSockets } from "../support/sockets.ts";
import { ask as askDns } from "./dns-client.ts";
import { resolver } from "./host-resolver.ts";
import { CHECKOUT, EXECUTABLE, GUEST, ServiceWorld } from "./service-world.ts";
import { TestSocket } from "./test-socket.ts";

let world: ServiceWorld;
afterEach(async () => {
  stopSockets();
  await world[Symbol.asyncDispose]();
});

const ask = () => askTcp(world.host, "127.0.0.1", 8080);
const PROGRAMS = [
  ["the executable", EXECUTABLE],
  ["a checkout", CHECKOUT],
] as const;

/** A service with a published guest that answers. */
async function begin(command: readonly string[]): Promise<{ client: NetdClient; guest: TestNetns }> {
  world = new ServiceWorld(command);
  const client = await world.open();
  const guest = await world.served(client, "tap a");
  serveTcp(guest, GUEST, 80, "guest");
  await world.publish(client, "ports a", "tap a");
  expect(await ask()).toBe("guest 10.0.2.2");
  expect(isServing(world.runRoot)).toBe(true);
  return { client, guest };
}

/** Kills one of the two and waits for the next. */
async function kill(name: "netd" | "netd-service"): Promise<void> {
  const pid = world.pidOf(name);
  process.kill(pid, "SIGKILL");
  await until(
    () => ![0, pid].includes(world.pidOf(name)),
    () => `no ${name} came after the one that was killed: ${world.log}`,
  );
}

test.each(PROGRAMS)("%s: whichever is killed, as often as you like", async (_, command) => {
  const { client } = await begin(command);
  using _client = client;
  const before = await client.list();
  for (const name of ["netd", "netd-service", "netd-service", "netd", "netd-service", "netd"] as const) {
    await kill(name);
    // Callers who come before it is back wait in the socket's queue.
    expect(await ask()).toBe("guest 10.0.2.2");
    expect(await client.list()).toEqual(before);
    expect(world.processes()).toHaveLength(2);
    expect(world.unburied()).toEqual([]);
  }
  // All is as ever: orders are taken, and taken back.
  const guest = await world.served(client, "tap b");
  serveTcp(guest, GUEST, 80, "other");
  await world.publish(client, "ports b", "tap b", { hostPort: 8081 });
  expect(await askTcp(world.host, "127.0.0.1", 8081)).toBe("other 10.0.2.2");
  await client.remove("ports a");
  expect(await ask()).toBe("refused");
  await client.remove("tap a");
  await client.remove("tap b");
  client[Symbol.dispose]();
  await world.ended();
  using next = await world.open();
  expect(await next.list()).toEqual([]);
});

test("told to end, both end for good, also where the one is not the other's child", async () => {
  for (let round = 0; round < 8; round++) {
    const { client } = await begin(EXECUTABLE);
    if (round % 2 === 1) await kill("netd-service");
    expect(await client.list()).toHaveLength(2);
    client[Symbol.dispose]();
    const before = world.log;
    process.kill(world.pidOf("netd-service"), "SIGTERM");
    await world.ended();
    const after = existsSync(join(world.runRoot, "netd.log")) ? world.log : "";
    expect(after).toBe(before);
    stopSockets();
    await world[Symbol.asyncDispose]();
  }
  world = new ServiceWorld(EXECUTABLE);
});

test("under load: callers wait, and some are reset when it is the data plane, but none is refused", async () => {
  const { client } = await begin(EXECUTABLE);
  using _client = client;
  for (const [name, outcomes] of [
    ["netd-service", ["guest 10.0.2.2"]],
    ["netd", ["", "guest 10.0.2.2"]],
  ] as const) {
    const answers: string[] = [];
    let loaded = true;
    const load = Array.from({ length: 8 }, async () => {
      while (loaded) answers.push(await ask());
    });
    for (let round = 0; round < 3; round++) {
      await kill(name);
      const { length } = answers;
      await until(
        () => answers.length > length + 50,
        () => "callers are not answered any more",
      );
    }
    loaded = false;
    await Promise.all(load);
    expect([...new Set(answers)].filter(answer => !outcomes.includes(answer as never))).toEqual([]);
  }
  expect(await ask()).toBe("guest 10.0.2.2");
});

test("a connection does not notice that the service is killed", async () => {
  const { client, guest } = await begin(EXECUTABLE);
  using _client = client;
  using server = TestSocket.bound(guest, GUEST);
  await world.publish(client, "ports b", "tap a", { hostPort: 8081, guestPort: server.port });
  using caller = TestSocket.connected(world.host, "127.0.0.1", 8081);
  const { socket } = server.accept();
  using _ = socket;
  for (const text of ["before", "after", "long after"]) {
    caller.send(text);
    expect(socket.text()).toBe(text);
    await kill("netd-service");
  }
  socket.send("answer");
  expect(caller.text()).toBe("answer");
});

test("a guest that goes while nobody watches takes its ports with it", async () => {
  const { client, guest } = await begin(EXECUTABLE);
  using _client = client;
  await world.served(client, "tap b");
  process.kill(world.pidOf("netd-service"), "SIGKILL");
  guest.sh("ip", "link", "delete", "tap0");
  await until(
    async () => (await client.list()).length === 1,
    () => "the orders stay",
  );
  expect(await ask()).toBe("refused");
});

test("both killed: the network is gone, and its orders can be given anew", async () => {
  const { client } = await begin(EXECUTABLE);
  using _client = client;
  const pids = world.processes().map(one => one.pid);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await world.ended();
  // The file is still there, and tells nothing.
  expect([existsSync(world.socket), isServing(world.runRoot)]).toEqual([true, false]);
  expect(await ask()).toBe("refused");
  expect(await client.list()).toEqual([]);
  await client.remove("tap a");
  const { opening } = world.host.run(() => ({ opening: world.served(client, "tap a") }));
  serveTcp(await opening, GUEST, 80, "again");
  await world.publish(client, "ports a", "tap a");
  expect(await ask()).toBe("again 10.0.2.2");
});

test.each([
  ["removed", () => rmSync(world.runRoot, { recursive: true })],
  ["replaced", () => renameSync(world.socket, `${world.socket}.old`)],
] as const)("its socket is %s: it ends, so that the ports are free", async (_, wipe) => {
  const { client } = await begin(EXECUTABLE);
  client[Symbol.dispose]();
  // Even a successor, which has no way into the directory, learns of it.
  await kill("netd-service");
  wipe();
  await world.ended();
  expect(await ask()).toBe("refused");
  using next = await world.open();
  expect(await next.list()).toEqual([]);
});

test("both are confined, each successor too, and hold on to nothing of who started them", async () => {
  const leak = openFd("/etc/hostname", O.RDONLY);
  setCloseOnExec(leak, false);
  const { client } = await begin(EXECUTABLE);
  using _client = client;
  closeFd(leak);
  for (const killed of [undefined, "netd-service", "netd"] as const) {
    if (killed) await kill(killed);
    expect(await ask()).toBe("guest 10.0.2.2");
    for (const { pid, name } of world.processes()) {
      for (const task of readdirSync(`/proc/${pid}/task`)) {
        const status = readFileSync(`/proc/${pid}/task/${task}/status`, "utf8");
        expect(status).toMatch(/NoNewPrivs:\s1\n/);
        expect(status).toMatch(/Seccomp:\s2\n/);
        expect(status).toMatch(/CapEff:\s0000000000000400\n/);
      }
      expect(readdirSync(`/proc/${pid}/root/`)).not.toContain("home");
      expect(readlinkSync(`/proc/${pid}/ns/mnt`)).not.toBe(readlinkSync("/proc/self/ns/mnt"));
      expect(readlinkSync(`/proc/${pid}/cwd`)).toBe("/");
      expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(/SigBlk:\s0+\n/);
      // A session of its own; the terminal's signals are not for it.
      expect(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")[4]).toBe("0");
      const files = readdirSync(`/proc/${pid}/fd`).map(fd => readlinkSync(`/proc/${pid}/fd/${fd}`));
      const known = new RegExp(`^(socket|anon_inode):|^/dev/(net/tun|null)$|^${world.runRoot}/netd.log$`);
      const others = files.filter(file => !known.test(file));
      // The service alone has the run directory, to remove its socket at the end.
      expect(others.length).toBeLessThanOrEqual(name === "netd-service" && !killed ? 1 : 0);
    }
  }
});

test("what is mounted in the run directory goes when its owner lets go of it", async () => {
  world = new ServiceWorld(EXECUTABLE, "/run");
  // As the engine makes them: a pin of a namespace, and a container's memory.
  const pin = join(world.runRoot, "netns/red");
  netns.create(pin);
  const memory = join(world.runRoot, "memory");
  mkdirSync(memory);
  mount("tmpfs", memory, "tmpfs");
  try {
    using client = await world.open();
    await world.served(client, "tap a");
    for (const { pid } of world.processes())
      expect(readFileSync(`/proc/${pid}/mountinfo`, "utf8")).not.toContain(world.runRoot);
  } finally {
    netns.remove(pin);
    umount(join(world.runRoot, "netns"));
    umount(memory);
  }
});

test("the host's resolvers are followed from inside: a resolv.conf that is replaced counts from then on", async () => {
  const etc = mkdtempSync(join(tmpdir(), "portolan-etc-"));
  const tell = (address: string) => {
    writeFileSync(join(etc, "new"), `nameserver ${address}\n`);
    renameSync(join(etc, "new"), join(etc, "resolv.conf"));
  };
  tell("127.0.0.1");
  const inIt = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', etc];
  world = new ServiceWorld([...inIt, ...EXECUTABLE]);
  await using _one = await resolver(world.host, "127.0.0.1", "192.0.2.1");
  await using _two = await resolver(world.host, "127.0.0.2", "192.0.2.2");
  using client = await world.open();
  const guest = await world.served(client, "tap a");
  const question = { server: "10.0.2.3", name: "example.org" };
  const heard = async () => (await askDns(guest, question)).data;
  expect(await heard()).toEqual(["192.0.2.1"]);
  tell("127.0.0.2");
  await until(
    async () => (await heard())[0] === "192.0.2.2",
    () => "the new resolver is not asked",
  );
  await kill("netd");
  expect(await heard()).toEqual(["192.0.2.2"]);
  rmSync(etc, { recursive: true });
});

test("nothing is left in the run directory", async () => {
  world = new ServiceWorld(EXECUTABLE);
  (await world.open())[Symbol.dispose]();
  await world.ended();
  expect(existsSync(world.socket)).toBe(false);
  expect(readdirSync(world.runRoot)).toEqual(["locks"]);
});
