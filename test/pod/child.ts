/** A command to be killed: `child.ts DIRECTORY create|remove POD | run POD`, on the engine of a test's world. */
import { join } from "node:path";
import { awaitExit, cleanupContainer } from "../../src/container/cleanup.ts";
import { createContainer } from "../../src/container/create.ts";
import { Engine } from "../../src/container/engine.ts";
import { startLocked } from "../../src/container/start.ts";
import { createPod } from "../../src/pod/create.ts";
import { removePod, repairPods } from "../../src/pod/remove.ts";
import { startPod } from "../../src/pod/run.ts";
import { IMAGE } from "../container/world.ts";

const [directory = "", verb, name = ""] = process.argv.slice(2);
const engine = Engine.open({ root: join(directory, "root"), runRoot: join(directory, "run") });
await engine.repair();
await repairPods(engine);
if (verb === "create") await startPod(engine, await createPod(engine, { name }));
else if (verb === "remove")
  await removePod(engine, engine.pods.get(name).config.id, { force: true, time: 0 });
else {
  const container = await createContainer(
    engine,
    { image: IMAGE, command: ["true"], pod: name, remove: true },
    { start: one => startLocked(engine, one) },
  );
  await awaitExit(engine, container);
  await cleanupContainer(engine, container.config.id);
}
process.exit(0);
