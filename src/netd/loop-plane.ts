/** A data plane as a process that somebody who lives in a `Loop` speaks to. */
import { hasCode } from "../base/errors.ts";
import { EPOLL } from "../sys/epoll.ts";
import { closeFd } from "../sys/fd.ts";
import { waitFor } from "../sys/process.ts";
import { receiveFds } from "../sys/scm-rights.ts";
import { MAX_MESSAGE } from "./control.ts";
import type { Loop } from "./loop.ts";
import { spawnPlane } from "./spawn-plane.ts";
import type { Plane, PlaneEvents, Surroundings } from "./supervisor.ts";

/** Data planes that `command` starts; see `spawnPlane`. */
export function loopPlanes(
  loop: Loop,
  command: readonly string[],
  descriptors: readonly number[],
): Surroundings {
  return {
    start: events => {
      const { pid, control } = spawnPlane(command, descriptors);
      return followPlane(loop, pid, control, events);
    },
    later: (milliseconds, action) => loop.later(milliseconds, action),
  };
}

/** A data plane that runs already; its end is the end of the control socket. */
export function followPlane(loop: Loop, pid: number, control: number, events: PlaneEvents): Plane {
  const release = () => {
    loop.unwatch(control);
    closeFd(control);
  };
  loop.watch(control, EPOLL.IN, () => {
    const data = receive(control);
    if (data.length > 0) return events.packet(data);
    release();
    // It may be the child of what this process was before.
    waitFor(pid);
    events.ended(`process ${pid} is gone`);
  });
  // It must not see the end of the control socket: it would start another service.
  const close = () => {
    process.kill(pid, "SIGKILL");
    waitFor(pid);
    while (receive(control).length > 0);
    release();
  };
  return { pid, control, close };
}

/** One packet; empty at the end, however it came. */
function receive(control: number): Uint8Array {
  try {
    return receiveFds(control, 0, MAX_MESSAGE).data;
  } catch (error) {
    if (hasCode(error, "ECONNRESET")) return new Uint8Array();
    throw error;
  }
}
