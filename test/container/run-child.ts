/** A command to be killed: `run-child.ts DIRECTORY run COMMAND… | rm NAME`, on the engine of a test's world. */
import { join } from "node:path";
import { awaitExit, cleanupContainer } from "../../src/container/cleanup.ts";
import { createContainer } from "../../src/container/create.ts";
import { Engine } from "../../src/container/engine.ts";
import { removeContainer } from "../../src/container/remove.ts";
import { startLocked } from "../../src/container/start.ts";
import { IMAGE } from "./world.ts";

const [directory = "", verb, ...words] = process.argv.slice(2);
const engine = Engine.open({ root: join(directory, "root"), runRoot: join(directory, "run") });
await engine.repair();
if (verb === "run") {
  const container = await createContainer(
    engine,
    { image: IMAGE, command: words, remove: true, volumes: ["/anonymous"] },
    { start: one => startLocked(engine, one) },
  );
  await awaitExit(engine, container);
  await cleanupContainer(engine, container.config.id);
} else {
  await removeContainer(engine, engine.containers.get(words[0]!).config.id, { volumes: true });
}
process.exit(0);
