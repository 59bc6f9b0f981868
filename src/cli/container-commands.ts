/** The verbs on containers, which stand at the top and under `container`. The files load when they are called. */
import { as, type Entry } from "./command.ts";

export const attach: Entry = {
  name: "attach",
  summary: "Attach to a running container",
  load: async () => (await import("./verbs/attach.ts")).attach,
};
export const commit: Entry = {
  name: "commit",
  summary: "Create new image based on the changed container",
  load: async () => (await import("./verbs/commit.ts")).commit,
};
export const cp: Entry = {
  name: "cp",
  summary: "Copy files or folders between a container and the local filesystem",
  load: async () => (await import("./verbs/cp.ts")).cp,
};
export const create: Entry = {
  name: "create",
  summary: "Create but do not start a container",
  load: async () => (await import("./verbs/create.ts")).create,
};
export const diff: Entry = {
  name: "diff",
  summary: "Inspect changes to the file system of a container or an image",
  load: async () => (await import("./verbs/diff.ts")).diff,
};
export const exec: Entry = {
  name: "exec",
  summary: "Run a process in a running container",
  load: async () => (await import("./verbs/exec.ts")).exec,
};
export const exportVerb: Entry = {
  name: "export",
  summary: "Export container's filesystem contents as a tar archive",
  load: async () => (await import("./verbs/export.ts")).exportVerb,
};
export const init: Entry = {
  name: "init",
  summary: "Initialize one or more containers",
  load: async () => (await import("./verbs/init.ts")).init,
};
export const kill: Entry = {
  name: "kill",
  summary: "Kill one or more running containers with a specific signal",
  load: async () => (await import("./verbs/kill.ts")).kill,
};
export const logs: Entry = {
  name: "logs",
  summary: "Fetch the logs of one or more containers",
  load: async () => (await import("./verbs/logs.ts")).logs,
};
export const pause: Entry = {
  name: "pause",
  summary: "Pause all the processes in one or more containers",
  load: async () => (await import("./verbs/pause.ts")).pause,
};
export const port: Entry = {
  name: "port",
  summary: "List port mappings or a specific mapping for the container",
  load: async () => (await import("./verbs/port.ts")).port,
};
export const ps: Entry = {
  name: "ps",
  summary: "List containers",
  load: async () => (await import("./verbs/ps.ts")).ps,
};
export const rename: Entry = {
  name: "rename",
  summary: "Rename an existing container",
  load: async () => (await import("./verbs/rename.ts")).rename,
};
export const restart: Entry = {
  name: "restart",
  summary: "Restart one or more containers",
  load: async () => (await import("./verbs/restart.ts")).restart,
};
export const rm: Entry = {
  name: "rm",
  summary: "Remove one or more containers",
  load: async () => (await import("./verbs/rm.ts")).rm,
};
export const run: Entry = {
  name: "run",
  summary: "Run a command in a new container",
  load: async () => (await import("./verbs/run.ts")).run,
};
export const start: Entry = {
  name: "start",
  summary: "Start one or more containers",
  load: async () => (await import("./verbs/start.ts")).start,
};
export const stats: Entry = {
  name: "stats",
  summary: "Display a live stream of container resource usage statistics",
  load: async () => (await import("./verbs/stats.ts")).stats,
};
export const stop: Entry = {
  name: "stop",
  summary: "Stop one or more containers",
  load: async () => (await import("./verbs/stop.ts")).stop,
};
export const top: Entry = {
  name: "top",
  summary: "Display the running processes of a container",
  load: async () => (await import("./verbs/top.ts")).top,
};
export const unpause: Entry = {
  name: "unpause",
  summary: "Unpause the processes in one or more containers",
  load: async () => (await import("./verbs/pause.ts")).unpause,
};
export const update: Entry = {
  name: "update",
  summary: "Update the limits of an existing container",
  load: async () => (await import("./verbs/update.ts")).update,
};
export const wait: Entry = {
  name: "wait",
  summary: "Block on one or more containers",
  load: async () => (await import("./verbs/wait.ts")).wait,
};

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
