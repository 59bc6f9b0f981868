/**
 * An infra container that is no process: the namespaces of a pod, held by files. It is started, stopped and cleaned up as any
 * container is, but what a start puts up is its network, the pinned namespaces and the shared memory alone.
 *
 * Ports that the kernel publishes must be kept from others for as long as the pod runs. Where a container has conmon for
 * that, such a pod has one sleeping process (`catatonit -P`) that holds the sockets; none where it publishes nothing, or by
 * the data plane.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { CATATONIT_DIRECTORIES, findProgram } from "../base/programs.ts";
import { MS, mount } from "../sys/mount.ts";
import { unpin } from "../sys/namespace-pin.ts";
import { startTime } from "../sys/process.ts";
import type { Container, ContainerConfig } from "./config.ts";
import { joinNetworks, makeNamespace, type TakenPorts } from "./container-network.ts";
import type { Engine } from "./engine.ts";
import { HOLDER } from "./leftovers.ts";

/** True for an infra container without a process. */
export const isPinned = ({ config }: Pick<Container, "config">): boolean => config.infra?.kind === "pins";

/** Refuses what needs a process or files, for an infra container that has none. */
export function needProcess(container: Container): void {
  if (isPinned(container))
    throw new UserError(
      `container ${container.config.id} holds what its pod shares and has no files or processes of its own`,
      { status: 409, hint: "use another container of the pod, or make the pod with --infra-image" },
    );
}

/** Where its IPC or UTS namespace is pinned. */
export const pinOf = ({ paths }: Engine, id: string, kind: "ipc" | "uts") =>
  join(paths.containerRun(id), `${kind}-namespace`);

/** Puts up what it is. The row names all of it by now. */
export async function putUpPins(engine: Engine, container: Container, taken: TakenPorts): Promise<void> {
  const { config, state } = container;
  const { id } = config;
  const run = engine.paths.containerRun(id);
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const shares = (kind: "ipc" | "uts") => config.infra!.share.includes(kind);
  if (shares("ipc") || shares("uts")) {
    const setup = await engine.networkSetup();
    await setup.createPins({
      ...(shares("ipc") ? { ipc: pinOf(engine, id, "ipc") } : {}),
      ...(shares("uts") ? { uts: { path: pinOf(engine, id, "uts"), hostname: config.hostname } } : {}),
    });
  }
  if (shares("ipc")) mountShm(engine, config);
  for (const name of ["hosts", "resolv.conf"]) writeFileSync(join(run, name), "");
  await makeNamespace(engine, container);
  await joinNetworks(engine, container, taken);
  if (taken.held.length === 0) return;
  const pid = holdSockets(id, taken.held);
  state.holder = { pid, start: startTime(pid) };
}

/** The memory that the containers of one IPC namespace share. */
export function mountShm(engine: Engine, config: ContainerConfig, { uid = 0, gid = 0 } = {}): void {
  const shm = join(engine.paths.containerRun(config.id), "shm");
  mkdirSync(shm, { recursive: true });
  const options = `mode=1777,size=${config.limits.shmSize},uid=${uid},gid=${gid}`;
  mount("shm", shm, "tmpfs", MS.NOEXEC | MS.NOSUID | MS.NODEV, options);
}

/** Starts the process that holds `sockets`, known by its name; its pid. */
function holdSockets(id: string, sockets: readonly number[]): number {
  const program = findProgram("catatonit", CATATONIT_DIRECTORIES);
  if (!program)
    throw new UserError("catatonit, which holds the ports that a pod publishes, is not installed", {
      hint: "install the package catatonit",
    });
  const child = Bun.spawn([program, "-P"], {
    argv0: HOLDER + id,
    cwd: "/",
    detached: true,
    env: {},
    stdio: ["ignore", "ignore", "ignore", ...sockets],
  });
  child.unref();
  return child.pid;
}

/** Takes the pins down; quiet about what is gone already. */
export function takeDownPins(engine: Engine, id: string): void {
  for (const kind of ["ipc", "uts"] as const) unpin(pinOf(engine, id, kind));
}
