/** A command on pods that is killed at any instant leaves nothing: the next one ends what it began. */
import { expect, test } from "bun:test";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createContainer } from "../../src/container/create.ts";
import { HOLDER } from "../../src/container/leftovers.ts";
import { createPod } from "../../src/pod/create.ts";
import { membersOf, podState } from "../../src/pod/members.ts";
import { removePod, repairPods } from "../../src/pod/remove.ts";
import { startPod } from "../../src/pod/run.ts";
import { ContainerWorld, IMAGE } from "../container/world.ts";
import { until } from "../support/await.ts";

const CHILD = join(import.meta.dir, "child.ts");
const list = (path: string) => (existsSync(path) ? readdirSync(path).sort() : []);

/** The infra container whose ports the process holds that has this command line. */
function holdersPod(cmdline: string): string {
  try {
    const [name = ""] = readFileSync(cmdline, "utf8").split("\0");
    return name.startsWith(HOLDER) ? name.slice(HOLDER.length) : "";
  } catch {
    return "";
  }
}

/** All that a pod of this world can leave on the machine. */
function traces(world: ContainerWorld): object {
  const { paths, containers, pods, db } = world.engine;
  const told = db.query("SELECT DISTINCT record ->> 'id' AS id FROM event").all() as { id: string }[];
  const ours = new Set(told.map(one => one.id));
  return {
    rows: [pods.list().map(one => one.config.name), containers.list().map(one => one.config.name)],
    directories: [
      list(join(paths.root, "containers")),
      list(join(paths.runRoot, "containers")),
      list(paths.exits),
    ],
    namespaces: list("/run/netns").filter(name => name.startsWith("netns-")),
    addresses: list("/var/lib/cni/networks/podman").filter(name => /^[0-9]/.test(name)),
    mounts: readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .filter(line => line.includes(world.directory)),
    runtime: [...list("/run/runc"), ...list("/run/crun")].filter(name => ours.has(name)),
    groups: globSync("/sys/fs/cgroup/*/libpod_parent/libpod-*").filter(path =>
      ours.has(basename(path).slice("libpod-".length)),
    ),
    links: list("/sys/class/net").filter(name => /^(veth|cni)/.test(name)),
    holders: globSync("/proc/[0-9]*/cmdline").filter(path => ours.has(holdersPod(path))),
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
    await repairPods(engine);
    const rest = engine.containers.unsettled().filter(one => one.phase !== "running");
    if (rest.length === 0 && engine.pods.unsettled().length === 0) return;
    for (const { id } of rest) engine.containers.lock(id).release();
    await Bun.sleep(2);
  }
}

/** Starts a command and kills it after up to `most` milliseconds; false where it had ended by then. */
async function killed(world: ContainerWorld, most: number, ...words: string[]): Promise<boolean> {
  const child = Bun.spawn([process.execPath, CHILD, world.directory, ...words], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  await Bun.sleep(Math.random() * most);
  child.kill("SIGKILL");
  await child.exited;
  await settle(world);
  return child.signalCode === "SIGKILL";
}

async function removeAll({ engine }: ContainerWorld): Promise<void> {
  for (const { config } of engine.pods.list()) await removePod(engine, config.id, { force: true, time: 0 });
}

test("kill -9 of pod create, run --pod and pod rm at random points leaves nothing behind", async () => {
  await using world = await ContainerWorld.open();
  const { engine } = world;
  // Once in full: the bridge stays, and the first pays for what later ones find ready.
  await startPod(engine, await createPod(engine, { name: "first" }));
  await removeAll(world);
  const before = traces(world);
  let kills = 0;
  for (let round = 0; round < 40; round++) {
    if (await killed(world, 200, "create", "web")) kills++;
    // Made or not, never by halves.
    for (const pod of engine.pods.list()) expect(membersOf(engine, pod).infra).toBeDefined();
    await removeAll(world);
    await expectTraces(world, before);
  }
  for (let round = 0; round < 30; round++) {
    const pod = await createPod(engine, { name: "web" });
    if (await killed(world, 300, "run", "web")) kills++;
    expect(membersOf(engine, pod).others).toEqual([]);
    // It can be used whatever was begun.
    await startPod(engine, pod);
    expect(podState(membersOf(engine, pod).all)).toBe("Running");
    await removeAll(world);
    await expectTraces(world, before);
  }
  for (let round = 0; round < 30; round++) {
    const pod = await createPod(engine, { name: "web", publish: ["127.0.0.1::80"] });
    await createContainer(engine, { image: IMAGE, command: ["sleep", "100"], pod: "web" });
    await startPod(engine, pod);
    if (await killed(world, 250, "remove", "web")) kills++;
    // Begun and ended, or not begun.
    if (engine.pods.list().length > 0) expect(podState(membersOf(engine, pod).all)).toBe("Running");
    await removeAll(world);
    await expectTraces(world, before);
  }
  expect(kills).toBeGreaterThan(20);
}, 110_000);
