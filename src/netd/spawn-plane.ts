/** The start of a data plane's process, with one end of a control socket. */
import { selfCommand } from "../base/self.ts";
import { closeFd } from "../sys/fd.ts";
import { socketPair } from "../sys/socket-pair.ts";
import { SECCOMP } from "./control.ts";
import { PLANE_ENGINE } from "./engine-settings.ts";
import { SELF } from "./sandbox.ts";

export interface SpawnedPlane {
  pid: number;
  /** Our end. */
  control: number;
}

/** The command line of a network service's data plane. */
export function planeCommand(runRoot: string, confined: boolean): string[] {
  return confined ? [SELF, "__netd", runRoot, SECCOMP] : [...selfCommand(), "__netd", runRoot];
}

/** It finds `descriptors` from 4 on, after its end of the control socket; nothing else is passed on. */
export function spawnPlane(command: readonly string[], descriptors: readonly number[]): SpawnedPlane {
  const [control, theirs] = socketPair();
  try {
    const { pid } = Bun.spawn([...command], {
      argv0: "netd",
      stdio: ["inherit", "inherit", "inherit", theirs, ...descriptors],
      env: PLANE_ENGINE,
    });
    return { pid, control };
  } catch (error) {
    closeFd(control);
    throw error;
  } finally {
    closeFd(theirs);
  }
}
