/** The verbs on containers, which stand at the top and under `container`. The files load when they are called. */
import { as, type Entry, verb } from "./command.ts";

export const attach = verb(
  "attach",
  "Attach to a running container",
  async () => (await import("./verbs/attach.ts")).attach,
);
export const commit = verb(
  "commit",
  "Create new image based on the changed container",
  async () => (await import("./verbs/commit.ts")).commit,
);
export const cp = verb(
  "cp",
  "Copy files or folders between a container and the local filesystem",
  async () => (await import("./verbs/cp.ts")).cp,
);
export const create = verb(
  "create",
  "Create but do not start a container",
  async () => (await import("./verbs/create.ts")).create,
);
export const diff = verb(
  "diff",
  "Inspect changes to the file system of a container or an image",
  async () => (await import("./verbs/diff.ts")).diff,
);
export const exec = verb(
  "exec",
  "Run a process in a running container",
  async () => (await import("./verbs/exec.ts")).exec,
);
export const exportVerb = verb(
  "export",
  "Export container's filesystem contents as a tar archive",
  async () => (await import("./verbs/export.ts")).exportVerb,
);
export const init = verb(
  "init",
  "Initialize one or more containers",
  async () => (await import("./verbs/init.ts")).init,
);
export const kill = verb(
  "kill",
  "Kill one or more running containers with a specific signal",
  async () => (await import("./verbs/kill.ts")).kill,
);
export const logs = verb(
  "logs",
  "Fetch the logs of one or more containers",
  async () => (await import("./verbs/logs.ts")).logs,
);
export const pause = verb(
  "pause",
  "Pause all the processes in one or more containers",
  async () => (await import("./verbs/pause.ts")).pause,
);
export const port = verb(
  "port",
  "List port mappings or a specific mapping for the container",
  async () => (await import("./verbs/port.ts")).port,
);
export const ps = verb("ps", "List containers", async () => (await import("./verbs/ps.ts")).ps);
export const rename = verb(
  "rename",
  "Rename an existing container",
  async () => (await import("./verbs/rename.ts")).rename,
);
export const restart = verb(
  "restart",
  "Restart one or more containers",
  async () => (await import("./verbs/restart.ts")).restart,
);
export const rm = verb("rm", "Remove one or more containers", async () => (await import("./verbs/rm.ts")).rm);
export const run = verb(
  "run",
  "Run a command in a new container",
  async () => (await import("./verbs/run.ts")).run,
);
export const start = verb(
  "start",
  "Start one or more containers",
  async () => (await import("./verbs/start.ts")).start,
);
export const stats = verb(
  "stats",
  "Display a live stream of container resource usage statistics",
  async () => (await import("./verbs/stats.ts")).stats,
);
export const stop = verb(
  "stop",
  "Stop one or more containers",
  async () => (await import("./verbs/stop.ts")).stop,
);
export const top = verb(
  "top",
  "Display the running processes of a container",
  async () => (await import("./verbs/top.ts")).top,
);
export const unpause = verb(
  "unpause",
  "Unpause the processes in one or more containers",
  async () => (await import("./verbs/pause.ts")).unpause,
);
export const update = verb(
  "update",
  "Update the limits of an existing container",
  async () => (await import("./verbs/update.ts")).update,
);
export const wait = verb(
  "wait",
  "Block on one or more containers",
  async () => (await import("./verbs/wait.ts")).wait,
);

export const container: Entry = {
  name: "container",
  summary: "Manage containers",
  verbs: [
    attach,
    {
      name: "cleanup",
      hidden: true,
      summary: "Clean up after a container has ended",
      load: async () => (await import("./verbs/cleanup.ts")).cleanup,
    },
    commit,
    cp,
    create,
    diff,
    exec,
    {
      name: "exists",
      summary: "Check if a container exists in local storage",
      load: async () => (await import("./verbs/exists.ts")).containerExists,
    },
    {
      name: "inspect",
      summary: "Display the configuration of a container",
      load: async () => (await import("./verbs/inspect.ts")).containerInspect,
    },
    exportVerb,
    init,
    kill,
    as(ps, "list", "ls", "ps"),
    logs,
    pause,
    port,
    {
      name: "prune",
      summary: "Remove all non running containers",
      load: async () => (await import("./verbs/prune.ts")).containerPrune,
    },
    rename,
    restart,
    rm,
    run,
    start,
    stats,
    stop,
    top,
    unpause,
    update,
    wait,
  ],
};
