/** The network service, once it is where it is to stay. */
import { fstatSync } from "node:fs";
import { errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { unlinkAt } from "../sys/directory.ts";
import { EPOLL } from "../sys/epoll.ts";
import { Inotify } from "../sys/inotify.ts";
import { raiseDescriptorLimit } from "../sys/rlimit.ts";
import { restrictCalls } from "../sys/seccomp.ts";
import { Loop } from "./loop.ts";
import { followPlane, loopPlanes } from "./loop-plane.ts";
import { type Legacy, Service } from "./service.ts";
import { LOG_NAME, SOCKET_NAME } from "./service-socket.ts";
import { CONTROL, LISTENING, type ServiceStage, WATCH } from "./service-stage.ts";
import { planeCommand, type SpawnedPlane } from "./spawn-plane.ts";
import { takeOver } from "./succession.ts";

/** Serves until nothing is left to keep; gives the exit code. */
export async function serve(
  runRoot: string,
  stage: Exclude<ServiceStage, { name: "started" }>,
): Promise<number> {
  // It holds a descriptor for each published port.
  raiseDescriptorLimit();
  const confined = stage.name === "confined" || (stage.name === "successor" && stage.confined);
  if (stage.name === "confined") restrictCalls({ programs: true });
  const loop = new Loop();
  const watch = stage.name === "successor" ? WATCH : stage.watch;
  const planes = loopPlanes(loop, planeCommand(runRoot, confined), [LISTENING, watch]);
  const service = new Service(loop, LISTENING, planes, legacy(loop, stage));
  process.on("SIGTERM", () => service.end());
  process.on("SIGINT", () => service.end());
  let wiped = false;
  const inotify = new Inotify(watch);
  loop.watch(watch, EPOLL.IN, () => {
    if (!inotify.changes().some(change => change.name === SOCKET_NAME)) return;
    // Who can't be found is of no use, and keeps ports from whoever comes after.
    log.warn(`${SOCKET_NAME} was removed or replaced; the network service ends`);
    wiped = true;
    service.end();
  });
  await loop.serve();
  // A successor has nothing to remove the socket with; who next wants to bind it finds that nobody listens.
  if (stage.name !== "successor" && !wiped) tidy(stage.directory);
  return 0;
}

/** The data plane that is there already, and what it serves. */
function legacy(loop: Loop, stage: ServiceStage): Legacy | undefined {
  const follow =
    ({ pid, control }: SpawnedPlane): Legacy["follow"] =>
    events =>
      followPlane(loop, pid, control, events);
  if (stage.name === "confined") return { orders: [], gone: [], follow: follow(stage.plane) };
  if (stage.name !== "successor") return undefined;
  return { ...takeOver(CONTROL), follow: follow({ pid: stage.plane, control: CONTROL }) };
}

/** Leaves nothing in the run directory but a log that has something to say. */
function tidy(directory: number): void {
  const STANDARD_ERROR = 2;
  try {
    unlinkAt(directory, SOCKET_NAME);
    if (fstatSync(STANDARD_ERROR).size === 0) unlinkAt(directory, LOG_NAME);
  } catch (error) {
    log.warn(`the run directory can't be tidied up: ${errorText(error)}`);
  }
}
