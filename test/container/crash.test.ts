/** A command that is killed at any instant leaves nothing: the next one ends what it began. */
import { expect, test } from "bun:test";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createContainer } from "../../src/container/create.ts";
import { removeContainer } from "../../src/container/remove.ts";
import { until } from "../support/await.ts";
import { ContainerWorld, IMAGE } from "./world.ts";

const list = (path: string) => (existsSync(path) ? readdirSync(path).sort() : []);

/** All that a container of this world can leave on the machine; others may have containers there. */
function traces(world: ContainerWorld): object {
  const { paths, containers, volumes, db } = world.engine;
  const told = db.query("SELECT DISTINCT record ->> 'id' AS id FROM event").all() as { id: string }[];
  const ours = new Set(told.map(one => one.id));
  return {
    rows: containers.list().map(one => one.config.name),
    volumes: volumes.list().map(one => one.name),
    directories: [
      list(join(paths.root, "containers")),
      list(join(paths.runRoot, "containers")),
      list(paths.exits),
    ],
    namespaces: list("/run/netns").filter(name => name.startsWith("netns-")),
    addresses: list("/var/lib/cni/networks/podman").filter(name => /^[0-9]/.test(name)),
    results: list("/var/lib/cni/results"),
    mounts: readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .filter(line => line.includes(world.directory)),
    runtime: [...list("/run/runc"), ...list("/run/crun")].filter(name => ours.has(name)),
    groups: globSync("/sys/fs/cgroup/*/libpod_parent/libpod-*").filter(path =>
      ours.has(basename(path).slice("libpod-".length)),
    ),
    links: list("/sys/class/net").filter(name => /^(veth|cni)/.test(name)),
  };
}

/** Awaits that all is as it was: the kernel takes links and namespaces away a moment after their last holder. */
async function expectTraces(world: ContainerWorld, wanted: object): Promise<void> {
  await until(
    () => Bun.deepEquals(traces(world), wanted),
    () => `left behind: ${JSON.stringify(traces(world))}\nwanted: ${JSON.stringify(wanted)}`,
  );
}

/** Repairs until nothing is unfinished: conmon's exit command may be at work just now, and holds the lock meanwhile. */
async function settle({ engine }: ContainerWorld): Promise<void> {
  for (;;) {
    await engine.repair();
    const rest = engine.containers.unsettled();
    if (rest.length === 0) return;
    for (const { id } of rest) engine.containers.lock(id).release();
    await Bun.sleep(2);
  }
}

test("kill -9 of run and rm at random points leaves nothing behind", async () => {
  await using world = await ContainerWorld.open();
  const child = join(import.meta.dir, "run-child.ts");
  const start = (...words: string[]) =>
    Bun.spawn([process.execPath, child, world.directory, ...words], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
  // Once in full: the bridge stays, and the first run pays for what later ones find ready.
  await start("run", "true").exited;
  const before = traces(world);
  let kills = 0;
  for (let round = 0; round < 100; round++) {
    const run = start("run", "true");
    await Bun.sleep(Math.random() * 230);
    run.kill("SIGKILL");
    await run.exited;
    if (run.signalCode === "SIGKILL") kills++;
    await settle(world);
    await expectTraces(world, before);
  }
  for (let round = 0; round < 100; round++) {
    const name = `victim-${round}`;
    await createContainer(world.engine, { image: IMAGE, command: ["true"], name });
    const rm = start("rm", name);
    await Bun.sleep(Math.random() * 90);
    rm.kill("SIGKILL");
    await rm.exited;
    if (rm.signalCode === "SIGKILL") kills++;
    await settle(world);
    const left = world.engine.containers.find(name);
    if (left) await removeContainer(world.engine, left.config.id);
    await expectTraces(world, before);
  }
  expect(kills).toBeGreaterThan(20);
}, 110_000);
