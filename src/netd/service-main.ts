/** `portolan __netd-service RUNROOT`: the network service, from its start to its end. */
import { fstatSync } from "node:fs";
import { BugError, errorText } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { selfCommand } from "../base/self.ts";
import { CAP, isCapable } from "../sys/capabilities.ts";
import { closeOthersOnExec } from "../sys/close-range.ts";
import { openDirectory, unlinkAt } from "../sys/directory.ts";
import { EPOLL } from "../sys/epoll.ts";
import { setCloseOnExec } from "../sys/fd.ts";
import { Inotify } from "../sys/inotify.ts";
import { exec, setProcessName } from "../sys/process.ts";
import { raiseDescriptorLimit } from "../sys/rlimit.ts";
import { restrictCalls } from "../sys/seccomp.ts";
import { SECCOMP } from "./control.ts";
import { Loop } from "./loop.ts";
import { followPlane, loopPlanes } from "./loop-plane.ts";
import { dropPrivileges, enterRoot, SELF } from "./sandbox.ts";
import { type Legacy, Service } from "./service.ts";
import { LOG_NAME, SOCKET_NAME } from "./service-socket.ts";
import {
  CONTROL,
  currentServiceStage,
  LISTENING,
  type ServiceStage,
  serviceEnvironment,
  WATCH,
} from "./service-stage.ts";
import { takeOver } from "./succession.ts";

const NAME = "netd-service";

/** Serves until nothing is left to keep; gives the exit code. */
export async function netdServiceMain(argv: readonly string[]): Promise<number> {
  const [runRoot] = argv;
  if (runRoot === undefined) throw new BugError("__netd-service takes the run directory");
  setProcessName(NAME);
  closeOthersOnExec();
  const stage = currentServiceStage();
  const begun = stage.name === "started" ? begin(runRoot) : stage;
  return serve(runRoot, begun);
}

/**
 * Gets hold of what is needed of the run directory, and confines itself: the executable can, by becoming itself once more,
 * and a checkout, which could not start again inside, stays as it is.
 */
function begin(runRoot: string): Exclude<ServiceStage, { name: "started" }> {
  const inotify = new Inotify();
  inotify.watchDirectory(runRoot);
  const one = selfCommand().length === 1;
  if (!one) return { name: "confined", watch: inotify.fd, directory: openDirectory(runRoot) };
  // Whoever was started outside of the user namespace has no right to a root of his own.
  const directory = isCapable(CAP.SYS_ADMIN) ? enterRoot(runRoot) : openDirectory(runRoot);
  dropPrivileges();
  for (const fd of [LISTENING, inotify.fd, directory]) setCloseOnExec(fd, false);
  const stage: ServiceStage = { name: "confined", watch: inotify.fd, directory };
  return exec(SELF, [NAME, "__netd-service", runRoot], serviceEnvironment(stage));
}

async function serve(runRoot: string, stage: Exclude<ServiceStage, { name: "started" }>): Promise<number> {
  const confined = stage.name === "successor" ? stage.confined : selfCommand().length === 1;
  // It holds a descriptor for each published port.
  raiseDescriptorLimit();
  if (confined && stage.name === "confined") restrictCalls({ programs: true });
  const loop = new Loop();
  const watch = stage.name === "successor" ? WATCH : stage.watch;
  const command = [...(confined ? [SELF] : selfCommand()), "__netd", runRoot, ...(confined ? [SECCOMP] : [])];
  const planes = loopPlanes(loop, command, [LISTENING, watch]);
  const service = new Service(
    loop,
    LISTENING,
    planes,
    stage.name === "successor" ? legacy(loop, stage) : undefined,
  );
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
  if (stage.name === "confined" && !wiped) tidy(stage.directory);
  return 0;
}

function legacy(loop: Loop, { plane }: { plane: number }): Legacy {
  const { orders, gone } = takeOver(CONTROL);
  return { orders, gone, follow: events => followPlane(loop, plane, CONTROL, events) };
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
