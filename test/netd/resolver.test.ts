/** Names of containers, told by a data plane under its supervisor, at gateway addresses of a host of the test's own. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { childPlanes } from "../../src/netd/child-plane.ts";
import { bindResolver } from "../../src/netd/port-sockets.ts";
import { Supervisor } from "../../src/netd/supervisor.ts";
import { bindSocket, SocketAddress } from "../../src/sys/inet.ts";
import { SOCK } from "../../src/sys/socket.ts";
import { parseIP } from "../../src/wire/addr.ts";
import { until } from "../support/await.ts";
import { TestNetns } from "../support/netns.ts";
import { ask, askByTcp, encodeQuestion } from "./dns-client.ts";
import { type HostResolver, resolver } from "./host-resolver.ts";
import { TestSocket } from "./test-socket.ts";

const RED = "10.89.0.1";
const RED6 = "fd89::1";
const BLUE = "10.89.1.1";
/** `web` on red, `db` on red and blue, `mail` on blue; somebody who has no name. */
const WEB = "10.89.0.2";
const DB_RED = "10.89.0.3";
const MAIL = "10.89.1.2";
const STRANGER = "10.89.0.99";
const OUTSIDE = "198.51.100.7";

const scratch = mkdtempSync(join(tmpdir(), "portolan-resolver-"));
let host: TestNetns;
let supervisor: Supervisor;
let upstream: HostResolver;

const MAIN = resolve(import.meta.dir, "../../src/main.ts");

/** The data plane in the test's namespace, where `/etc/resolv.conf` is the test's. */
function command(): string[] {
  const file = join(scratch, "resolv.conf");
  writeFileSync(file, "nameserver 127.0.0.1\nnameserver 10.89.0.1\n");
  const script = `mount --bind ${file} /etc/resolv.conf; exec "$@"`;
  return [
    "nsenter",
    `--net=${host.path}`,
    "unshare",
    "--mount",
    "sh",
    "-c",
    script,
    "sh",
    process.execPath,
    MAIN,
  ];
}

async function addNetwork(network: string, internal: boolean, ...addresses: string[]): Promise<void> {
  const subnets = addresses.map(one => (one.includes(":") ? "fd89::/64" : one.replace(/\d+$/, "0/24")));
  const settings = { network, domain: "dns.podman", internal, addresses, subnets };
  const sockets = host.run(() => bindResolver(addresses));
  await supervisor.keep({ op: "resolver", key: `resolver ${network}`, settings }, sockets);
}

async function addName(
  network: string,
  container: string,
  names: string[],
  ...addresses: string[]
): Promise<void> {
  const resolvers = container === "own" ? ["127.0.0.2"] : [];
  const settings = { network, container, names, addresses, outside: true, resolvers };
  await supervisor.keep({ op: "name", key: `name ${network} ${container}`, settings }, []);
}

beforeAll(async () => {
  host = new TestNetns("names");
  host.sh("ip", "link", "set", "lo", "up");
  for (const one of [RED, WEB, DB_RED, STRANGER, BLUE, MAIL, "10.89.2.1", "10.89.2.2"])
    host.sh("ip", "address", "add", `${one}/24`, "dev", "lo");
  for (const one of [RED6, "fd89::2"]) host.sh("ip", "address", "add", `${one}/64`, "dev", "lo", "nodad");
  upstream = await resolver(host, "127.0.0.1", OUTSIDE);
  supervisor = new Supervisor(childPlanes({ command: command(), seccomp: true }), { gaveUp() {} });
  supervisor.start();
  await addNetwork("red", false, RED, RED6);
  await addNetwork("blue", false, BLUE);
  await addName("red", "1", ["web", "www"], WEB, "fd89::2");
  await addName("red", "2", ["db"], DB_RED);
  await addName("blue", "2", ["db"], "10.89.1.3");
  await addName("blue", "3", ["mail"], MAIL);
});

afterAll(async () => {
  supervisor.stop();
  await upstream[Symbol.asyncDispose]();
  host[Symbol.dispose]();
  rmSync(scratch, { recursive: true, force: true });
});

const heard = (...data: string[]) => ({ rcode: "NOERROR", data, cut: false });
const nobody = { rcode: "NXDOMAIN", data: [], cut: false };

test("names are told by UDP and TCP, at IPv4 and IPv6; other names are the host's resolvers'", async () => {
  expect(await ask(host, { server: RED, name: "WWW.dns.podman" })).toEqual(heard(WEB));
  expect(await ask(host, { server: RED6, name: "web", type: "AAAA", size: 1232 })).toEqual(heard("fd89::2"));
  expect(await ask(host, { server: RED, name: "db", type: "AAAA" })).toEqual(heard());
  expect(await ask(host, { server: RED, name: "nobody.dns.podman" })).toEqual(nobody);
  expect(await ask(host, { server: RED, name: "2.0.89.10.in-addr.arpa", type: "PTR" })).toEqual(
    heard("web.dns.podman"),
  );
  const asked = upstream.asked;
  expect(await ask(host, { server: RED, name: "example.org" })).toEqual(heard(OUTSIDE));
  expect(await ask(host, { server: RED, name: "web", type: "A", from: STRANGER })).toEqual(heard(WEB));
  expect(upstream.asked).toBe(asked + 1);
  for (const server of [RED, RED6]) {
    const answers = await askByTcp(host, server, "web", "example.org", "nobody.dns.podman", "www");
    expect(answers.toSorted((a, b) => ((a.data[0] ?? "") < (b.data[0] ?? "") ? -1 : 1))).toEqual([
      nobody,
      heard(WEB),
      heard(WEB),
      heard(OUTSIDE),
    ]);
  }
});

test("an answer that is too long by UDP says so, and is whole by TCP", async () => {
  const all = Array.from({ length: 60 }, (_, index) => `10.89.0.${100 + index}`);
  for (const [index, address] of all.entries()) await addName("red", `many${index}`, ["many"], address);
  const short = await ask(host, { server: RED, name: "many" });
  expect(short.cut).toBe(true);
  expect(short.data.length).toBeGreaterThan(20);
  expect(await ask(host, { server: RED, name: "many", size: 1232 })).toEqual(heard(...all));
  expect(await askByTcp(host, RED, "many")).toEqual([heard(...all)]);
  for (const index of all.keys()) await supervisor.remove(`name red many${index}`);
  expect(await ask(host, { server: RED, name: "many.dns.podman" })).toEqual(nobody);
});

test("networks are told apart; who is on two is told the names of both; others are not answered", async () => {
  const mail = "mail.dns.podman";
  expect(await ask(host, { server: RED, name: mail, from: WEB })).toEqual(nobody);
  expect(await ask(host, { server: RED, name: mail, from: DB_RED })).toEqual(heard(MAIL));
  expect(await ask(host, { server: BLUE, name: "web.dns.podman", from: MAIL })).toEqual(nobody);
  using foreign = TestSocket.open(host, 4, SOCK.DGRAM);
  bindSocket(foreign.fd, new SocketAddress().set(4, parseIP(MAIL)!.bytes, 0));
  foreign.sendTo(
    new SocketAddress().set(4, parseIP(RED)!.bytes, 53),
    encodeQuestion({ server: RED, name: "web" }),
  );
  // Who asked later has heard already.
  expect(await ask(host, { server: RED, name: "web", from: WEB })).toEqual(heard(WEB));
  expect(foreign.waits()).toBe(false);
});

test("on an internal network nothing is asked outside", async () => {
  await addNetwork("secret", true, "10.89.2.1");
  const asked = upstream.asked;
  expect(await ask(host, { server: "10.89.2.1", name: "example.org" })).toEqual(nobody);
  expect(await askByTcp(host, "10.89.2.1", "example.org")).toEqual([nobody]);
  expect(upstream.asked).toBe(asked);
  await supervisor.remove("resolver secret");
  expect(() => TestSocket.connected(host, "10.89.2.1", 53)).toThrow("connection refused");
});

test("a container with resolvers of its own has these asked", async () => {
  const from = "10.89.0.50";
  host.sh("ip", "address", "add", `${from}/24`, "dev", "lo");
  await addName("red", "own", ["picky"], from);
  await using _ = await resolver(host, "127.0.0.2", "198.51.100.8");
  expect(await ask(host, { server: RED, name: "example.org", from })).toEqual(heard("198.51.100.8"));
  expect(await ask(host, { server: RED, name: "web", from })).toEqual(heard(WEB));
  expect(await ask(host, { server: RED, name: "example.org", from: WEB })).toEqual(heard(OUTSIDE));
});

test("what is no DNS does no harm, by UDP or TCP", async () => {
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  {
    using socket = TestSocket.connected(host, RED, 53, SOCK.DGRAM);
    for (let length = 1; length < 200; length++) socket.send(random(length));
  }
  // A length and half a message, then the end; a message of no bytes; many who say nothing.
  using half = TestSocket.connected(host, RED, 53);
  half.send(Uint8Array.of(0, 200, 1, 2, 3));
  half.end();
  expect(half.rest().length).toBe(0);
  using empty = TestSocket.connected(host, RED, 53);
  empty.send(Uint8Array.of(0, 0));
  expect(empty.rest().length).toBe(0);
  const address = new SocketAddress().set(4, parseIP(WEB)!.bytes, 0);
  using patient = TestSocket.connected(host, RED, 53, SOCK.STREAM, address);
  const silent = Array.from({ length: 300 }, () => TestSocket.connected(host, RED, 53));
  // Byte by byte is not wrong.
  using slow = TestSocket.connected(host, RED, 53);
  const message = encodeQuestion({ server: RED, name: "web" });
  for (const byte of [0, message.length, ...message]) slow.send(Uint8Array.of(byte));
  slow.end();
  expect(slow.rest().length).toBe(2 + message.length + 16);
  // Who holds many loses the oldest of his own, and nobody else does.
  expect(silent[0]!.rest().length).toBe(0);
  patient.send(Uint8Array.of(0, message.length, ...message));
  expect(patient.receive().length).toBe(2 + message.length + 16);
  for (const one of silent) one[Symbol.dispose]();
  expect(await ask(host, { server: RED, name: "web" })).toEqual(heard(WEB));
  expect(await askByTcp(host, RED, "web")).toEqual([heard(WEB)]);
});

test("a data plane that is killed is told all again: names are told as before", async () => {
  const { pid } = supervisor;
  process.kill(pid, "SIGKILL");
  // Asked while nobody is there: the sockets are still open, and the question waits in them.
  expect(await ask(host, { server: RED, name: "web" })).toEqual(heard(WEB));
  await until(
    () => supervisor.pid > 0 && supervisor.pid !== pid,
    () => "there is no other data plane",
  );
  expect(await askByTcp(host, RED, "db", "www")).toEqual([heard(DB_RED), heard(WEB)]);
  expect(await ask(host, { server: BLUE, name: "mail" })).toEqual(heard(MAIL));
});
