/** The life of containers, as the next command sees it. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { cleanupContainer } from "../../src/container/cleanup.ts";
import { removeContainer } from "../../src/container/remove.ts";
import { startContainer } from "../../src/container/start.ts";
import { restartContainer, stopContainer } from "../../src/container/stop.ts";
import { waitContainer } from "../../src/container/wait.ts";
import { until } from "../support/await.ts";
import { ContainerWorld } from "./world.ts";

test("a container runs, ends with its code, and is removed", async () => {
  await using world = await ContainerWorld.open();
  const { engine } = world;
  const { config } = await world.run(["sh", "-c", "exit 7"], { name: "seven" });
  const ended = waitContainer(engine, config.id);
  while (engine.containers.get("seven").phase === "running") await cleanupContainer(engine, config.id);
  expect(await ended).toBe(7);
  await removeContainer(engine, config.id);
  expect(engine.containers.find("seven")).toBeUndefined();
});

test("a running container is stopped, started again, and not removed without force", async () => {
  await using world = await ContainerWorld.open();
  const { engine } = world;
  const { config } = await world.run(["sleep", "1000"], { name: "sleeper" });
  await expect(removeContainer(engine, config.id)).rejects.toThrow("cannot remove container");
  await stopContainer(engine, config.id, { time: 0 });
  expect(engine.containers.get("sleeper")).toMatchObject({ phase: "exited", state: { exitCode: 137 } });
  expect((await startContainer(engine, config.id)).phase).toBe("running");
});

test("once a container has been started its own program runs, and hears signals, not the runtime's", async () => {
  await using world = await ContainerWorld.open();
  const names: string[] = [];
  for (let round = 0; round < 30; round++) {
    const { config, state } = await world.run(["sleep", "1000"]);
    names.push(readFileSync(`/proc/${state.pid}/comm`, "utf8").trim());
    await removeContainer(world.engine, config.id, { force: true, time: 0 });
  }
  expect(names.filter(name => name !== "sleep")).toEqual([]);
});

test("a restart by hand leaves the restart policy in force", async () => {
  await using world = await ContainerWorld.open();
  const { engine } = world;
  const { config } = await world.run(["sleep", "1000"], { name: "again", restart: "always" });
  await restartContainer(engine, config.id, { time: 0 });
  const { pid } = engine.containers.get("again").state;
  process.kill(pid, "SIGKILL");
  await until(
    async () => {
      await cleanupContainer(engine, config.id);
      return engine.containers.get("again").state.pid !== pid;
    },
    () => "the first process is not replaced",
  );
  expect(engine.containers.get("again")).toMatchObject({ phase: "running", state: { restartCount: 1 } });
});

test("a name is given once; bad input leaves nothing", async () => {
  await using world = await ContainerWorld.open();
  const { config } = await world.create(["true"], { name: "taken" });
  await expect(world.create(["true"], { name: "taken" })).rejects.toThrow(
    `the container name "taken" is already in use by ${config.id}`,
  );
  await expect(world.create(["true"], { network: ["nope"] })).rejects.toThrow("network not found");
  await expect(world.create(["true"], { restart: "sometimes" })).rejects.toThrow(
    "is not a valid restart policy",
  );
  expect(world.engine.containers.list()).toHaveLength(1);
  const replaced = await world.create(["true"], { name: "taken", replace: true });
  expect(replaced.config.id).not.toBe(config.id);
});

test("a published port in use by anybody is refused, and nothing is left", async () => {
  await using world = await ContainerWorld.open();
  using holder = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data() {} } });
  const { config } = await world.create(["true"], { network: ["bridge"], publish: [`${holder.port}:80`] });
  await expect(startContainer(world.engine, config.id)).rejects.toThrow("cannot listen on the TCP port");
  expect(world.engine.containers.get(config.id)).toMatchObject({
    phase: "created",
    state: { netnsPath: "" },
  });
});

test("after a reboot a running container has exited, and starts again", async () => {
  await using world = await ContainerWorld.open();
  const { engine } = world;
  const container = await world.run(["sleep", "1000"], { name: "survivor", network: ["bridge"] });
  process.kill(container.state.conmonPid, "SIGKILL");
  process.kill(container.state.pid, "SIGKILL");
  container.state.bootId = "another boot";
  engine.containers.save(container);
  await engine.repair();
  expect(engine.containers.get("survivor")).toMatchObject({
    phase: "exited",
    state: { attachments: [], netnsPath: "" },
  });
  const again = await startContainer(engine, container.config.id);
  expect(again.state.attachments[0]?.ipv4).toMatch(/^10\.88\./);
});
