/** A data plane as a child of a process that lives in the JavaScript engine's own event loop. */
import { closeFd } from "../sys/fd.ts";
import { socketPair } from "../sys/socket-pair.ts";
import { SECCOMP } from "./control.ts";
import { PLANE_ENGINE } from "./engine-settings.ts";
import { SELF } from "./sandbox.ts";
import type { Plane, PlaneEvents, Surroundings } from "./supervisor.ts";

export interface ChildPlaneOptions {
  /** What starts this program; where nothing is said, the program that runs. */
  command?: readonly string[];
  /** The data plane makes no system calls but those of its trade. */
  seccomp: boolean;
}

/** Data planes that die with this process: they ask the kernel for that, and read the end of the control socket. */
export function childPlanes({ command = [SELF], seccomp }: ChildPlaneOptions): Surroundings {
  return {
    start: events => startChild([...command, "__netd", ...(seccomp ? [SECCOMP] : [])], events),
    later: (milliseconds, action) => void setTimeout(action, milliseconds),
  };
}

function startChild(command: string[], events: PlaneEvents): Plane {
  const [control, theirs] = socketPair();
  let closed = false;
  const socket = Bun.connect<undefined>(adopted(control, events.packet));
  const release = () => {
    closed = true;
    socket.then(one => one.terminate());
  };
  try {
    const process = Bun.spawn(command, {
      argv0: "netd",
      stdio: ["inherit", "inherit", "inherit", theirs],
      env: PLANE_ENGINE,
      onExit: (_, code, signal) => {
        if (closed) return;
        release();
        events.ended(signal === null ? `exit code ${code}` : `signal ${signal}`);
      },
    });
    const close = () => {
      release();
      process.kill("SIGKILL");
    };
    return { pid: process.pid, control, close };
  } catch (error) {
    release();
    throw error;
  } finally {
    closeFd(theirs);
  }
}

/** What gives a descriptor of ours to the event loop; one packet is one call. */
function adopted(fd: number, data: (packet: Uint8Array) => void): Bun.UnixSocketOptions<undefined> {
  const options = { fd, socket: { data: (_: unknown, packet: Uint8Array) => data(packet) } };
  return options as unknown as Bun.UnixSocketOptions<undefined>;
}
