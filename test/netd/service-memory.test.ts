/** What a network service that waits keeps in memory, and that it goes on as if it had kept everything. */
import { afterEach, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { constantMappings } from "../../src/sys/program-pages.ts";
import { until } from "../support/await.ts";
import { PORTOLAN } from "../support/host.ts";
import { askTcp, serveTcp, stopSockets } from "../support/sockets.ts";
import { EXECUTABLE, GUEST, ServiceWorld } from "./service-world.ts";

let world: ServiceWorld;
afterEach(async () => {
  stopSockets();
  await world[Symbol.asyncDispose]();
});

const PAGE = 4096;
/** KiB of the program's code, constants and modules. At its start a process has 25,000 or more. */
const LITTLE = 3072;

/** KiB of the program's code, constants and modules that a process has mapped, and of those that it has written to. */
function programOf(pid: number): { mapped: number; written: number } {
  const found = { mapped: 0, written: 0 };
  const fd = openSync(`/proc/${pid}/pagemap`, "r");
  try {
    for (const { start, size } of constantMappings(PORTOLAN)) {
      const entries = Buffer.alloc((size / PAGE) * 8);
      readSync(fd, entries, 0, entries.length, (start / PAGE) * 8);
      // The highest byte of an entry: bit 7, the page is there; bit 5, it is the file's (pagemap.rst of the kernel).
      for (let at = 7; at < entries.length; at += 8) {
        if (!(entries[at]! & 0x80)) continue;
        found.mapped += PAGE / 1024;
        if (!(entries[at]! & 0x20)) found.written += PAGE / 1024;
      }
    }
  } finally {
    closeSync(fd);
  }
  return found;
}

test("an idle service lets go of the program, and both go on", async () => {
  world = new ServiceWorld(EXECUTABLE);
  using client = await world.open();
  const guest = await world.served(client, "tap a");
  serveTcp(guest, GUEST, 80, "guest");
  await world.publish(client, "ports a", "tap a");
  const ask = () => askTcp(world.host, "127.0.0.1", 8080);
  expect(await ask()).toBe("guest 10.0.2.2");

  const states = () => world.processes().map(({ pid, name }) => ({ name, ...programOf(pid) }));
  await until(
    () => states().every(({ mapped }) => mapped < LITTLE),
    () => JSON.stringify(states()),
    20,
  );
  // What is given back must be as the file has it.
  for (const { written } of states()) expect(written).toBe(0);

  expect(await ask()).toBe("guest 10.0.2.2");
  await world.publish(client, "ports b", "tap a", { hostPort: 8081 });
  expect(await askTcp(world.host, "127.0.0.1", 8081)).toBe("guest 10.0.2.2");
  expect((await client.list()).map(order => order.key)).toEqual(["tap a", "ports a", "ports b"]);
});

test("a service has one thread, and its successor too", async () => {
  world = new ServiceWorld(EXECUTABLE);
  using client = await world.open();
  await world.served(client, "tap a");
  const threads = () => readdirSync(`/proc/${world.pidOf("netd-service")}/task`).length;
  expect(threads()).toBe(1);
  const first = world.pidOf("netd-service");
  process.kill(first, "SIGKILL");
  await until(
    () => ![0, first].includes(world.pidOf("netd-service")),
    () => world.log,
  );
  expect((await client.list()).map(order => order.key)).toEqual(["tap a"]);
  expect(threads()).toBe(1);
});
