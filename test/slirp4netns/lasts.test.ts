/** A data plane that is killed is back at once: interface, addresses and ports as before, old connections reset. */
import { afterAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { programOf } from "../support/program-memory.ts";
import { askTcp, serveTcp, stopSockets } from "../support/sockets.ts";
import { GUEST, HOST, OUTSIDE, type Running, World } from "./world.ts";

/** KiB; at its start it has some 30,000. */
const MOST_OF_IT = 15_000;

const world = new World();
serveTcp(world.outside, OUTSIDE, 7000, "outside");
afterAll(async () => {
  stopSockets();
  await world[Symbol.asyncDispose]();
});

/** Kills the data plane and waits for the next one. */
async function killDataPlane(running: Running): Promise<void> {
  const [old] = running.children();
  process.kill(old!, "SIGKILL");
  await until(
    () => running.children().some(pid => pid !== old),
    () => "no data plane came after the one that was killed",
  );
}

/** A connection from the guest that says nothing; `closed` resolves with how it ended. */
async function openConnection(running: Running, port: number) {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { connecting } = running.guest.run(() => ({
    connecting: Bun.connect({
      hostname: OUTSIDE,
      port,
      socket: {
        data() {},
        error: (_, error) => resolve((error as { code?: string }).code ?? error.message),
        close: (_, error) => resolve((error as { code?: string } | undefined)?.code ?? "closed"),
      },
    }),
  }));
  return { socket: await connecting, closed: promise };
}

test.each([[[]], [["--enable-sandbox", "--enable-seccomp"]]])("with options %p", async options => {
  const running = await world.start("ours", ["-c", ...options]);
  serveTcp(running.guest, GUEST, 80, "guest");
  const { host, outside } = world;
  const silent = outside.run(() =>
    Bun.listen({ hostname: OUTSIDE, port: 0, socket: { data() {}, open() {} } }),
  );
  const args = { proto: "tcp", host_addr: HOST, host_port: 8080, guest_port: 80 };
  const { return: added } = await running.api({ execute: "add_hostfwd", arguments: args });
  const before = running.guest.sh("ip", "address", "show", "tap0");
  const connection = await openConnection(running, silent.port);

  for (let round = 0; round < 3; round++) {
    await killDataPlane(running);
    // Callers who come before it is back wait in the socket's queue.
    expect(await askTcp(outside, HOST, 8080)).toBe(`guest ${OUTSIDE}`);
    expect(await askTcp(running.guest, OUTSIDE, 7000)).toBe(`outside ${HOST}`);
  }
  // What was open is reset as soon as the guest speaks.
  connection.socket.write("are you there?");
  expect(await connection.closed).not.toBe("");
  expect(running.guest.sh("ip", "address", "show", "tap0")).toBe(before);

  const { entries } = await running.api({ execute: "list_hostfwd" });
  expect(entries).toEqual([{ id: (added as { id: number }).id, guest_addr: GUEST, ...args }]);
  await running.api({ execute: "remove_hostfwd", arguments: { id: (added as { id: number }).id } });
  expect(await askTcp(host, HOST, 8080)).toBe("refused");
  silent.stop(true);
});

test("a port that is asked for while the data plane is away is opened all the same", async () => {
  const running = await world.start("ours");
  serveTcp(running.guest, GUEST, 80, "guest");
  process.kill(running.children()[0]!, "SIGKILL");
  const args = { proto: "tcp", host_addr: HOST, host_port: 8081, guest_port: 80 };
  const answer = await running.api({ execute: "add_hostfwd", arguments: args });
  expect(answer).toHaveProperty("return.id");
  expect(await askTcp(world.outside, HOST, 8081)).toBe(`guest ${OUTSIDE}`);
});

test("three thousand ports come back with it", async () => {
  const running = await world.start("ours");
  serveTcp(running.guest, GUEST, 80, "guest");
  const args = { proto: "tcp", host_addr: HOST, host_port: "20000-22999", guest_port: "20000-22999" };
  expect(await running.api({ execute: "add_hostfwd", arguments: args })).toHaveProperty("return.id");
  const last = { proto: "tcp", host_addr: HOST, host_port: 8082, guest_port: 80 };
  await running.api({ execute: "add_hostfwd", arguments: last });
  await killDataPlane(running);
  expect(await askTcp(world.outside, HOST, 8082)).toBe(`guest ${OUTSIDE}`);
  serveTcp(running.guest, GUEST, 22_999, "last of the range");
  expect(await askTcp(world.outside, HOST, 22_999)).toBe(`last of the range ${OUTSIDE}`);
});

test("an interface that somebody removes in the guest ends it, with a word", async () => {
  const running = await world.start("ours");
  running.guest.sh("ip", "link", "delete", "tap0");
  const { code, stderr } = await running.outcome();
  expect(code).toBe(1);
  expect(stderr).toContain("the interface tap0 was removed");
});

test("a moment after the start the supervisor has let go of most of the program, and takes orders", async () => {
  const running = await world.start("ours", ["-c", "--enable-sandbox", "--enable-seccomp"]);
  serveTcp(running.guest, GUEST, 80, "guest");
  const mapped = () => programOf(running.pid).mapped;
  await until(
    () => mapped() < MOST_OF_IT,
    () => `${mapped()} KiB`,
  );
  expect(programOf(running.pid).written).toBe(0);
  const args = { proto: "tcp", host_addr: HOST, host_port: 8088, guest_port: 80 };
  await running.api({ execute: "add_hostfwd", arguments: args });
  expect(await askTcp(world.outside, HOST, 8088)).toBe(`guest ${OUTSIDE}`);
});
