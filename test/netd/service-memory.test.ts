/** What a network service that waits keeps in memory, and that it goes on as if it had kept everything. */
import { afterEach, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { until } from "../support/await.ts";
import { programOf } from "../support/program-memory.ts";
import { askTcp, serveTcp, stopSockets } from "../support/sockets.ts";
import { EXECUTABLE, GUEST, ServiceWorld } from "./service-world.ts";

let world: ServiceWorld;
afterEach(async () => {
  stopSockets();
  await world[Symbol.asyncDispose]();
});

/** KiB of the program's code, constants and modules. At its start a process has 25,000 or more. */
const LITTLE = 3072;

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
