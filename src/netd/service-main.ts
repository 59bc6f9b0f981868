/** `portolan __netd-service RUNROOT`: the network service, from its start to its end. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { selfCommand } from "../base/self.ts";
import { closeOthersOnExec } from "../sys/close-range.ts";
import { setProcessName } from "../sys/process.ts";
import { raiseDescriptorLimit } from "../sys/rlimit.ts";
import { Loop } from "./loop.ts";
import { loopPlanes } from "./loop-plane.ts";
import { Service } from "./service.ts";
import { SOCKET_NAME } from "./service-socket.ts";

/** Where whoever starts it puts the listening socket. */
const LISTENING = 3;

/** Serves until nothing is left to keep; gives the exit code. */
export async function netdServiceMain(argv: readonly string[]): Promise<number> {
  const [runRoot] = argv;
  if (runRoot === undefined) throw new Error("__netd-service takes the run directory");
  setProcessName("netd-service");
  closeOthersOnExec();
  // It holds a descriptor for each published port.
  raiseDescriptorLimit();
  const loop = new Loop();
  const planes = loopPlanes(loop, [...selfCommand(), "__netd", runRoot], []);
  const service = new Service(loop, LISTENING, planes);
  process.on("SIGTERM", () => service.end());
  process.on("SIGINT", () => service.end());
  await loop.serve();
  rmSync(join(runRoot, SOCKET_NAME), { force: true });
  return 0;
}
