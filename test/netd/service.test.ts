/** The network service of a user: there when it is wanted, gone when it is not, and nobody else's. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { errorText } from "../../src/base/errors.ts";
import { NetdClient } from "../../src/netd/client.ts";
import { connectService } from "../../src/netd/service-socket.ts";
import { closeFd, pipe, readFd } from "../../src/sys/fd.ts";
import { bytes } from "../../src/sys/mem.ts";
import { receiveFds, sendFds } from "../../src/sys/scm-rights.ts";
import { SOCK } from "../../src/sys/socket.ts";
import { until } from "../support/await.ts";
import { askTcp, serveTcp, stopSockets } from "../support/sockets.ts";
import { EXECUTABLE, GUEST, ServiceWorld, TAP } from "./service-world.ts";
import { show, TestSocket } from "./test-socket.ts";

let world: ServiceWorld;
beforeEach(() => {
  world = new ServiceWorld(EXECUTABLE);
});
afterEach(async () => {
  stopSockets();
  await world[Symbol.asyncDispose]();
});

async function refusal(order: Promise<void>, why: RegExp): Promise<void> {
  expect(await order.then(() => "carried out", errorText)).toMatch(why);
}

const ask = (address = "127.0.0.1", port = 8080) => askTcp(world.host, address, port);

test("nobody starts it who only looks", async () => {
  expect(await NetdClient.open(world.runRoot, { start: false })).toBeUndefined();
  expect(existsSync(world.socket)).toBe(false);
});

test("nobody starts it by hand", () => {
  const { exitCode, stderr } = Bun.spawnSync([...EXECUTABLE, "__netd-service", world.runRoot]);
  expect([exitCode, stderr.toString()]).toEqual([
    125,
    "Error: the network service is started by commands, which hand it its socket\n",
  ]);
});

test("the run directory may have any name", async () => {
  const place = mkdtempSync(join(tmpdir(), `portolan-${"long".repeat(30)}-`));
  await using far = new ServiceWorld(EXECUTABLE, relative(process.cwd(), place));
  const client = await far.open();
  await far.served(client, "tap a");
  expect(await client.list()).toHaveLength(1);
  client[Symbol.dispose]();
  process.kill(far.pidOf("netd-service"), "SIGTERM");
  await far.ended();
  expect(existsSync(join(far.runRoot, "netd.log")) ? far.log : "").toBe("");
  expect(readdirSync(far.runRoot)).toEqual(["locks"]);
  rmSync(place, { recursive: true });
});

test("a published port of a guest answers as long as it is wanted, and its number is free at once", async () => {
  using client = await world.open();
  expect(statSync(world.socket).mode & 0o777).toBe(0o600);
  const guest = await world.served(client, "tap a");
  serveTcp(guest, GUEST, 80, "guest");
  await world.publish(client, "ports a", "tap a");
  expect(await ask()).toBe("guest 10.0.2.2");
  const orders = await client.list();
  expect(orders.map(one => [one.key, one.order.op])).toEqual([
    ["tap a", "tap"],
    ["ports a", "ports"],
  ]);

  await client.remove("ports a");
  expect(await ask()).toBe("refused");
  await world.publish(client, "ports again", "tap a");
  expect(await ask()).toBe("guest 10.0.2.2");
  // The tap takes its ports with it.
  await client.remove("tap a");
  expect(await client.list()).toEqual([]);
  await refusal(world.publish(client, "ports of nobody", "tap a"), /there is no tap tap a/);
  await client.remove("never given");
});

test("a caller by IPv6 is served by a guest that has IPv4 only, and takes him for the gateway", async () => {
  using client = await world.open();
  const guest = await world.served(client, "tap a");
  serveTcp(guest, GUEST, 80, "guest");
  using datagrams = TestSocket.bound(guest, GUEST, 53, SOCK.DGRAM);
  for (const [index, hostAddr] of ["0.0.0.0", "::"].entries()) {
    await world.publish(client, `tcp ${index}`, "tap a", { hostAddr });
    await world.publish(client, `udp ${index}`, "tap a", {
      proto: "udp",
      hostAddr,
      hostPort: 5300,
      guestPort: 53,
    });
  }
  for (const address of ["127.0.0.1", "::1", "2001:db8::1"]) {
    expect(await ask(address)).toBe("guest 10.0.2.2");
    using caller = TestSocket.connected(world.host, address, 5300, SOCK.DGRAM);
    caller.send("question");
    const { io } = datagrams.receiveFrom();
    expect(show(io.peer)).toBe(`10.0.2.2 ${caller.local.port}`);
    datagrams.sendTo(io.peer, "answer");
    expect(caller.text()).toBe("answer");
  }
  // Only who can be told as he is, is.
  expect(await ask("192.0.2.1")).toBe("guest 192.0.2.1");
});

test("several who want it at once get one", async () => {
  const clients = await Promise.all(Array.from({ length: 8 }, () => world.open()));
  expect(world.processes().filter(one => one.name === "netd-service")).toHaveLength(1);
  await Promise.all(clients.map((client, index) => world.served(client, `tap ${index}`)));
  expect(await clients[0]!.list()).toHaveLength(8);
  for (const client of clients) client[Symbol.dispose]();
  expect(world.processes().filter(one => one.name === "netd-service")).toHaveLength(1);
});

test("an order of the same key takes the place of the one before", async () => {
  using client = await world.open();
  await world.served(client, "tap a");
  await world.publish(client, "ports a", "tap a");
  const guest = await world.served(client, "tap a");
  expect((await client.list()).map(one => one.key)).toEqual(["tap a"]);
  serveTcp(guest, GUEST, 80, "second");
  await world.publish(client, "ports a", "tap a");
  expect(await ask()).toBe("second 10.0.2.2");
});

test("a tap whose device is gone takes its ports with it", async () => {
  using client = await world.open();
  const guest = await world.served(client, "tap a");
  await world.publish(client, "ports a", "tap a");
  guest.sh("ip", "link", "delete", "tap0");
  await until(
    async () => (await client.list()).length === 0,
    () => "the orders stay",
  );
  expect(await ask()).toBe("refused");
});

test("it ends a moment after the last order, and the next client starts another", async () => {
  const client = await world.open();
  await world.served(client, "tap a");
  client[Symbol.dispose]();
  using second = await world.open();
  expect(await second.list()).toHaveLength(1);
  await second.remove("tap a");
  second[Symbol.dispose]();
  await world.ended();
  expect(existsSync(world.socket)).toBe(false);
  using third = await world.open();
  expect(await third.list()).toEqual([]);
});

test("whoever comes while it ends finds it, or starts another", async () => {
  const { tap } = world.addGuest();
  for (let round = 0; round < 10; round++) {
    const early = await world.open();
    await early.addTap("early", TAP, tap);
    process.kill(world.pidOf("netd-service"), "SIGTERM");
    const late = await Promise.all(Array.from({ length: 4 }, () => world.open()));
    await Promise.all(late.map((client, index) => client.addTap(`late ${index}`, TAP, tap)));
    // Who was connected before is connected again.
    const keys = (await early.list()).map(one => one.key).sort();
    expect(keys.filter(key => key !== "early")).toEqual(["late 0", "late 1", "late 2", "late 3"]);
    for (const client of [early, ...late]) client[Symbol.dispose]();
  }
  closeFd(tap);
});

test("another user is told so", async () => {
  using _client = await world.open();
  // As if permissions did not keep him away.
  chmodSync(world.runRoot, 0o755);
  chmodSync(world.socket, 0o666);
  const script = `use Socket;
    socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0);
    connect($s, pack_sockaddr_un($ARGV[0])) or die $!;
    recv($s, my $answer, 1000, 0); print $answer`;
  const { stdout } = Bun.spawnSync([
    "setpriv",
    "--reuid=4321",
    "--clear-groups",
    "perl",
    "-e",
    script,
    world.socket,
  ]);
  expect(stdout.toString()).toBe('{"seq":0,"error":"this network service is not that of user 4321"}');
});

test("whatever comes in, nobody else notices", async () => {
  using client = await world.open();
  const guest = await world.served(client, "tap a");
  serveTcp(guest, GUEST, 80, "guest");
  await world.publish(client, "ports a", "tap a");
  const order = { op: "tap", key: "tap b", settings: TAP };
  const packets = [
    "no JSON",
    "[]",
    '"text"',
    "{}",
    '{"seq":1,"op":"end"}',
    '{"seq":0,"op":"list"}',
    JSON.stringify({ seq: 1, ...order, settings: { ...TAP, mtu: 1e9 } }),
    JSON.stringify({ seq: 1, ...order }),
    JSON.stringify({ seq: 1, ...order, key: "k".repeat(100_000) }),
    "[".repeat(15_000),
    Uint8Array.of(0xff, 0xfe, 0),
  ];
  const [reading, writing] = pipe();
  const connections = packets.map(packet => {
    const fd = connectService(world.runRoot)!;
    const data = typeof packet === "string" ? new TextEncoder().encode(packet) : packet;
    sendFds(fd, [reading, writing, reading], data);
    return fd;
  });
  for (const fd of connections) {
    const { data } = receiveFds(fd);
    const answer = JSON.parse(new TextDecoder().decode(data));
    expect(answer).toEqual({ seq: 0, error: expect.stringContaining("bad request: ") });
  }
  for (const fd of connections) {
    expect(receiveFds(fd).data.length).toBe(0);
    closeFd(fd);
  }
  closeFd(writing);
  // None of the descriptors is open elsewhere: this is the pipe's end.
  expect(readFd(reading, bytes(1))).toBe(0);
  closeFd(reading);
  // Some connect and say nothing, or go without waiting for the answer.
  const silent = Array.from({ length: 300 }, () => connectService(world.runRoot)!);
  for (const fd of silent.slice(0, 100)) sendFds(fd, [], new TextEncoder().encode('{"seq":1,"op":"list"}'));
  for (const fd of silent) closeFd(fd);
  expect((await client.list()).map(one => one.key)).toEqual(["tap a", "ports a"]);
  expect(await ask()).toBe("guest 10.0.2.2");
});

test("without a free descriptor it goes on with those it has, and clients wait", async () => {
  await using few = new ServiceWorld(["prlimit", "--nofile=40:40", ...EXECUTABLE]);
  using client = await few.open();
  const { tap } = few.addGuest();
  const others = Array.from({ length: 40 }, () => connectService(few.runRoot)!);
  const pid = few.pidOf("netd-service");
  await until(
    () => readdirSync(`/proc/${pid}/fd`).length === 40,
    () => "it has descriptors left",
  );
  expect(await client.list()).toEqual([]);
  const waiting = few.open();
  await refusal(client.addTap("tap a", TAP, tap), /more descriptors than expected/);
  for (const fd of others) closeFd(fd);
  using late = (await waiting)!;
  await late.addTap("tap a", TAP, tap);
  // Who was refused may ask again.
  await client.addTap("tap b", TAP, tap);
  expect(await late.list()).toHaveLength(2);
  closeFd(tap);
});

test("a descriptor that is no tap, or no socket of that kind, is refused and closed", async () => {
  using client = await world.open();
  await world.served(client, "tap a");
  const descriptors = () =>
    world.processes().map(({ pid, name }) => `${name} ${readdirSync(`/proc/${pid}/fd`).length}`);
  const before = descriptors();
  const [reading, writing] = pipe();
  await refusal(client.addTap("tap b", TAP, reading), /TUNGETIFF/);
  const settings = {
    proto: "tcp" as const,
    hostAddr: "127.0.0.1",
    hostPort: 8080,
    guestAddr: GUEST,
    guestPort: 80,
    count: 1,
  };
  await refusal(client.addPorts("ports b", "tap a", settings, [writing]), /no listening TCP socket/);
  closeFd(reading);
  closeFd(writing);
  using second = await world.open();
  expect((await second.list()).map(one => one.key)).toEqual(["tap a"]);
  await until(
    () => descriptors().join() === before.join(),
    () => `${descriptors()} where there were ${before}`,
  );
});
