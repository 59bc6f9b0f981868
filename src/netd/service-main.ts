/**
 * `portolan __netd-service RUNROOT`: how the network service begins. It gets hold of what it needs of the run directory,
 * confines itself, which a process with threads does by becoming itself once more, and serves.
 */
import { errorText, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { selfCommand } from "../base/self.ts";
import { CAP, isCapable } from "../sys/capabilities.ts";
import { closeOthersOnExec } from "../sys/close-range.ts";
import { openDirectory } from "../sys/directory.ts";
import { EventFd } from "../sys/eventfd.ts";
import { setCloseOnExec } from "../sys/fd.ts";
import { Inotify } from "../sys/inotify.ts";
import { exec, setProcessName } from "../sys/process.ts";
import { isListening } from "../sys/socket.ts";
import { dropPrivileges, enterRoot, SELF } from "./sandbox.ts";
import { currentServiceStage, LISTENING, type ServiceStage, serviceEnvironment } from "./service-stage.ts";
import { planeCommand, spawnPlane } from "./spawn-plane.ts";

const NAME = "netd-service";

/** Serves until nothing is left to keep; gives the exit code. */
export async function netdServiceMain(argv: readonly string[]): Promise<number> {
  const [runRoot] = argv;
  if (runRoot === undefined || !isListening(LISTENING))
    throw new UserError("the network service is started by commands, which hand it its socket");
  setProcessName(NAME);
  closeOthersOnExec();
  const stage = currentServiceStage();
  const begun = stage.name === "started" ? begin(runRoot) : stage;
  return (await import("./service-serve.ts")).serve(runRoot, begun);
}

/** In a checkout, which could not start again in a root of its own, nothing is given up. */
function begin(runRoot: string): Exclude<ServiceStage, { name: "started" }> {
  const watch = watchDirectory(runRoot);
  if (selfCommand().length > 1) return { name: "checkout", watch, directory: openDirectory(runRoot) };
  const directory = confine(runRoot);
  // The thread that starts it is confined, and so is the data plane; it starts while this program does once more.
  const plane = spawnPlane(planeCommand(runRoot, true), [LISTENING, watch]);
  for (const fd of [LISTENING, watch, directory, plane.control]) setCloseOnExec(fd, false);
  const stage: ServiceStage = { name: "confined", watch, directory, plane };
  return exec(SELF, [NAME, "__netd-service", runRoot], serviceEnvironment(stage));
}

/** A descriptor that becomes readable when something changes in the directory; one that never does where that can't be had. */
function watchDirectory(runRoot: string): number {
  try {
    const inotify = new Inotify();
    inotify.watchDirectory(runRoot);
    return inotify.fd;
  } catch (error) {
    log.warn(`should ${runRoot} be removed, the network service will not see it: ${errorText(error)}`);
    return new EventFd().fd;
  }
}

/** Gives the directory's descriptor. */
function confine(runRoot: string): number {
  const open = openDirectory(runRoot);
  try {
    // Whoever was started outside of a user namespace of his has no right to a root of his own.
    return isCapable(CAP.SYS_ADMIN) ? enterRoot(runRoot) : open;
  } catch (error) {
    // So it is inside other people's containers, which would have no network otherwise.
    log.warn(`the network service keeps the root that it was started in: ${errorText(error)}`);
    return open;
  } finally {
    dropPrivileges();
  }
}
