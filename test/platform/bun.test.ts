/**
 * What we rely on of Bun and the kernel, each as an assertion: when Bun's pin is moved, this says first what has changed.
 * Everything here happens in throw-away namespaces and files.
 */
import { dlopen } from "bun:ffi";
import { expect, test } from "bun:test";
import { read } from "node:fs";
import { closeFd, O, openFd, pipe, writeFd } from "../../src/sys/fd.ts";
import { bytes, cstr } from "../../src/sys/mem.ts";
import * as netns from "../../src/sys/netns.ts";
import { NftContext } from "../../src/sys/nftables.ts";
import { AF, SOCK, socket } from "../../src/sys/socket.ts";
import { TestNetns } from "../support/netns.ts";

const ROUNDS = 200_000;
const isRoot = process.getuid?.() === 0;
const skip = () => console.log("skipped: namespaces are made by root");
const linkNames = (text: string) => [...text.matchAll(/^\d+: ([^:@]+)/gm)].map(match => match[1]!);

test("C writes into a view over an ArrayBuffer of its own, and a hot loop reads what was written", () => {
  const { clock_gettime } = dlopen("libc.so.6", {
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  }).symbols;
  const time = new BigInt64Array(new ArrayBuffer(16));
  let before = 0n;
  let backwards = 0;
  for (let round = 0; round < ROUNDS; round++) {
    time[0] = -1n;
    clock_gettime(1, time);
    const now = time[0]! * 1_000_000_000n + time[1]!;
    if (now < before || time[0] === -1n) backwards++;
    before = now;
  }
  expect(backwards).toBe(0);
});

test("errno is that of the call before, whatever is allocated and collected in between calls", () => {
  let wrong = 0;
  for (let round = 0; round < 2000; round++) {
    const junk = Array.from({ length: 50 }, () => ({ round }));
    if (round % 500 === 0) Bun.gc(true);
    try {
      openFd(`/nowhere/${junk.length}`, O.RDONLY);
      wrong++;
    } catch (error) {
      if ((error as { code: string }).code !== "ENOENT") wrong++;
    }
  }
  expect(wrong).toBe(0);
});

test("a process started inside netns.run is in that namespace, we are home again, and so are our other threads", async () => {
  if (!isRoot) return skip();
  using ns = new TestNetns("platform");
  ns.sh("ip", "link", "add", "there", "type", "bridge");
  const inside = ns.run(() => Bun.spawnSync(["ip", "-o", "link"]).stdout.toString());
  expect(linkNames(inside)).toContain("there");
  const child = Bun.spawn(["ip", "-o", "link"], { stdout: "pipe" });
  expect(linkNames(await new Response(child.stdout).text())).not.toContain("there");
  const readByPool = new Promise<string>((resolve, reject) => {
    const fd = openFd("/proc/thread-self/net/dev", O.RDONLY);
    const buffer = Buffer.alloc(65536);
    read(fd, buffer, 0, buffer.length, null, (error, count) => {
      closeFd(fd);
      if (error) reject(error);
      else resolve(buffer.subarray(0, count).toString());
    });
  });
  expect(await readByPool).not.toContain("there:");
});

test("netns.run comes home after what was thrown inside", () => {
  if (!isRoot) return skip();
  using ns = new TestNetns("platform");
  const home = () => Bun.spawnSync(["readlink", "/proc/self/ns/net"]).stdout.toString();
  const before = home();
  expect(() =>
    ns.run(() => {
      throw new Error("inside");
    }),
  ).toThrow("inside");
  expect(home()).toBe(before);
});

test("Bun.listen and raw sockets made inside a namespace stay there", async () => {
  if (!isRoot) return skip();
  using ns = new TestNetns("platform");
  ns.sh("ip", "link", "set", "lo", "up");
  const server = ns.run(() =>
    Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: peer => {
          peer.end("from inside");
        },
        data() {},
      },
    }),
  );
  const ask = (where: string[]) =>
    Bun.spawn([...where, "bash", "-c", `cat </dev/tcp/127.0.0.1/${server.port}`], {
      stdout: "pipe",
      stderr: "ignore",
    });
  expect(await new Response(ask(["nsenter", `--net=${ns.path}`]).stdout).text()).toBe("from inside");
  expect(await ask([]).exited).not.toBe(0);
  server.stop(true);
});

test("a libnftables context acts on the namespace in which it was made", () => {
  if (!isRoot) return skip();
  using ns = new TestNetns("platform");
  using context = ns.run(() => new NftContext());
  expect(context.run("add table inet platform").ok).toBe(true);
  expect(ns.sh("nft", "list", "tables")).toContain("table inet platform");
  expect(Bun.spawnSync(["nft", "list", "tables"]).stdout.toString()).not.toContain("platform");
});

test("a descriptor given to Bun.spawn arrives under its number, and only that one", async () => {
  const [readEnd, writeEnd] = pipe();
  const [other, otherEnd] = pipe();
  const child = Bun.spawn(["sh", "-c", "cat <&3; ls /proc/self/fd"], {
    stdio: ["ignore", "pipe", "inherit", readEnd],
  });
  writeFd(writeEnd, cstr("through 3").subarray(0, 9));
  closeFd(writeEnd);
  const text = await new Response(child.stdout).text();
  for (const fd of [readEnd, other, otherEnd]) closeFd(fd);
  expect(text).toStartWith("through 3");
  const open = text.slice("through 3".length).trim().split("\n").map(Number);
  // ls's own directory is the one above 3.
  expect(open.filter(fd => fd > 3).length).toBeLessThanOrEqual(1);
});

test("a blocking read(2) of a SEQPACKET pair on a pool thread leaves the event loop free", async () => {
  const { socketpair } = dlopen("libc.so.6", {
    socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  }).symbols;
  const pair = new Int32Array(new ArrayBuffer(8));
  expect(socketpair(AF.UNIX, SOCK.SEQPACKET | SOCK.CLOEXEC, 0, pair)).toBe(0);
  const [mine, theirs] = [pair[0]!, pair[1]!];
  const buffer = Buffer.alloc(100);
  let turns = 0;
  const packet = new Promise<number>((resolve, reject) =>
    read(mine, buffer, 0, 100, null, (error, count) => (error ? reject(error) : resolve(count))),
  );
  while (turns < 5) {
    await new Promise(resolve => setImmediate(resolve));
    turns++;
  }
  writeFd(theirs, cstr("one packet").subarray(0, 10));
  expect(await packet).toBe(10);
  expect(buffer.subarray(0, 10).toString()).toBe("one packet");
  closeFd(mine);
  closeFd(theirs);
});

test("what Bun.spawn starts does not ignore SIGPIPE, though we do", () => {
  const status = Bun.spawnSync(["sh", "-c", "grep SigIgn /proc/self/status"]).stdout.toString();
  const ignored = BigInt(`0x${/SigIgn:\s*(\w+)/.exec(status)![1]}`);
  const SIGPIPE_BIT = 1n << 12n;
  expect(ignored & SIGPIPE_BIT).toBe(0n);
});

test("sockets opened by FFI are of the thread's namespace at that moment", () => {
  if (!isRoot) return skip();
  using ns = new TestNetns("platform");
  const fd = ns.run(() => socket(AF.INET, SOCK.DGRAM));
  const { getsockopt } = dlopen("libc.so.6", {
    getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  }).symbols;
  const cookie = (one: number) => {
    const [SOL_SOCKET, SO_NETNS_COOKIE] = [1, 71];
    const value = bytes(8);
    const length = new Uint32Array(new ArrayBuffer(4));
    length[0] = 8;
    expect(getsockopt(one, SOL_SOCKET, SO_NETNS_COOKIE, value, length)).toBe(0);
    return new DataView(value.buffer).getBigUint64(0, true);
  };
  const home = socket(AF.INET, SOCK.DGRAM);
  expect(cookie(fd)).not.toBe(cookie(home));
  expect(netns.isNetns(ns.path)).toBe(true);
  closeFd(fd);
  closeFd(home);
});
