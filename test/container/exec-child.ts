/** `exec -it` in a process of its own, for a test that holds the other end of its terminal: ROOT RUNROOT ID COMMAND… */
import { Engine } from "../../src/container/engine.ts";
import { execInContainer } from "../../src/container/exec.ts";

const [root, runRoot, id = "", ...command] = process.argv.slice(2);
const engine = Engine.open({ root, runRoot });
const result = await execInContainer(engine, engine.containers.get(id), {
  command,
  tty: true,
  interactive: true,
});
process.exit(result.end === "detached" ? 99 : result.exitCode);
