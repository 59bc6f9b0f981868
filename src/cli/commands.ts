/** Every noun and verb, with the file that does it. The files load when they are called, not before. */
import type { Entry } from "./command.ts";

const attach: Entry = {
  name: "attach",
  summary: "Attach to a running container",
  load: async () => (await import("./verbs/attach.ts")).attach,
};
const create: Entry = {
  name: "create",
  summary: "Create but do not start a container",
  load: async () => (await import("./verbs/create.ts")).create,
};
const exec: Entry = {
  name: "exec",
  summary: "Run a process in a running container",
  load: async () => (await import("./verbs/exec.ts")).exec,
};
const kill: Entry = {
  name: "kill",
  summary: "Kill one or more running containers with a specific signal",
  load: async () => (await import("./verbs/kill.ts")).kill,
};
const logs: Entry = {
  name: "logs",
  summary: "Fetch the logs of one or more containers",
  load: async () => (await import("./verbs/logs.ts")).logs,
};
const port: Entry = {
  name: "port",
  summary: "List port mappings or a specific mapping for the container",
  load: async () => (await import("./verbs/port.ts")).port,
};
const ps: Entry = {
  name: "ps",
  summary: "List containers",
  load: async () => (await import("./verbs/ps.ts")).ps,
};
const restart: Entry = {
  name: "restart",
  summary: "Restart one or more containers",
  load: async () => (await import("./verbs/restart.ts")).restart,
};
const rm: Entry = {
  name: "rm",
  summary: "Remove one or more containers",
  load: async () => (await import("./verbs/rm.ts")).rm,
};
const run: Entry = {
  name: "run",
  summary: "Run a command in a new container",
  load: async () => (await import("./verbs/run.ts")).run,
};
const start: Entry = {
  name: "start",
  summary: "Start one or more containers",
  load: async () => (await import("./verbs/start.ts")).start,
};
const stop: Entry = {
  name: "stop",
  summary: "Stop one or more containers",
  load: async () => (await import("./verbs/stop.ts")).stop,
};
const top: Entry = {
  name: "top",
  summary: "Display the running processes of a container",
  load: async () => (await import("./verbs/top.ts")).top,
};
const wait: Entry = {
  name: "wait",
  summary: "Block on one or more containers",
  load: async () => (await import("./verbs/wait.ts")).wait,
};

const images: Entry = {
  name: "images",
  summary: "List images in local storage",
  load: async () => (await import("./verbs/images.ts")).images,
};
const load: Entry = {
  name: "load",
  summary: "Load image(s) from a tar archive",
  load: async () => (await import("./verbs/load.ts")).load,
};
const pull: Entry = {
  name: "pull",
  summary: "Pull an image from a registry",
  load: async () => (await import("./verbs/pull.ts")).pull,
};
const rmi: Entry = {
  name: "rmi",
  summary: "Remove one or more images from local storage",
  load: async () => (await import("./verbs/rmi.ts")).rmi,
};
const save: Entry = {
  name: "save",
  summary: "Save image(s) to an archive",
  load: async () => (await import("./verbs/save.ts")).save,
};
const tag: Entry = {
  name: "tag",
  summary: "Add an additional name to a local image",
  load: async () => (await import("./verbs/tag.ts")).tag,
};
const untag: Entry = {
  name: "untag",
  summary: "Remove a name from a local image",
  load: async () => (await import("./verbs/tag.ts")).untag,
};

const events: Entry = {
  name: "events",
  summary: "Show the engine's events",
  load: async () => (await import("./verbs/events.ts")).events,
};
const info: Entry = {
  name: "info",
  summary: "Display system information",
  load: async () => (await import("./verbs/info.ts")).info,
};

/** The same verb under another name: `images` is `image ls`. */
const as = (entry: Entry, name: string, ...aliases: string[]): Entry => ({ ...entry, name, aliases });

export const COMMANDS: readonly Entry[] = [
  attach,
  create,
  events,
  exec,
  images,
  info,
  {
    name: "inspect",
    summary: "Display the configuration of a container, image, network or volume",
    load: async () => (await import("./verbs/inspect.ts")).inspect,
  },
  kill,
  load,
  logs,
  port,
  ps,
  pull,
  restart,
  rm,
  rmi,
  run,
  save,
  start,
  stop,
  tag,
  top,
  {
    name: "unshare",
    summary: "Run a command in your user namespace",
    load: async () => (await import("./verbs/unshare.ts")).unshare,
  },
  untag,
  {
    name: "version",
    summary: "Display version information",
    load: async () => (await import("./verbs/version.ts")).version,
  },
  wait,
  {
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
      create,
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
      kill,
      as(ps, "list", "ls", "ps"),
      logs,
      port,
      {
        name: "prune",
        summary: "Remove all non running containers",
        load: async () => (await import("./verbs/prune.ts")).containerPrune,
      },
      restart,
      rm,
      run,
      start,
      stop,
      top,
      wait,
    ],
  },
  {
    name: "image",
    summary: "Manage images",
    verbs: [
      {
        name: "exists",
        summary: "Check if an image exists in local storage",
        load: async () => (await import("./verbs/exists.ts")).imageExists,
      },
      {
        name: "inspect",
        summary: "Display the configuration of an image",
        load: async () => (await import("./verbs/inspect.ts")).imageInspect,
      },
      as(images, "list", "ls"),
      load,
      {
        name: "prune",
        summary: "Remove unused images",
        load: async () => (await import("./verbs/prune.ts")).imagePrune,
      },
      pull,
      as(rmi, "rm"),
      save,
      tag,
      untag,
    ],
  },
  {
    name: "network",
    summary: "Manage networks",
    verbs: [
      {
        name: "connect",
        summary: "Add a container to a network",
        load: async () => (await import("./verbs/network-connect.ts")).networkConnect,
      },
      {
        name: "create",
        summary: "Create a network",
        load: async () => (await import("./verbs/network-create.ts")).networkCreate,
      },
      {
        name: "disconnect",
        summary: "Take a container off a network",
        load: async () => (await import("./verbs/network-connect.ts")).networkDisconnect,
      },
      {
        name: "exists",
        summary: "Check if a network exists",
        load: async () => (await import("./verbs/exists.ts")).networkExists,
      },
      {
        name: "inspect",
        summary: "Display network configuration",
        load: async () => (await import("./verbs/inspect.ts")).networkInspect,
      },
      {
        name: "ls",
        aliases: ["list"],
        summary: "List networks",
        load: async () => (await import("./verbs/network.ts")).networkList,
      },
      {
        name: "prune",
        summary: "Remove all networks that no container uses",
        load: async () => (await import("./verbs/network-remove.ts")).networkPrune,
      },
      {
        name: "reload",
        summary: "Make the firewall rules of containers' networks anew",
        load: async () => (await import("./verbs/network-connect.ts")).networkReload,
      },
      {
        name: "rm",
        aliases: ["remove"],
        summary: "Remove one or more networks",
        load: async () => (await import("./verbs/network-remove.ts")).networkRemove,
      },
    ],
  },
  {
    name: "system",
    summary: "Manage the engine",
    verbs: [
      {
        name: "df",
        summary: "Show disk usage",
        load: async () => (await import("./verbs/system.ts")).systemDf,
      },
      events,
      info,
      {
        name: "migrate",
        summary: "Stop your containers and leave your user namespace",
        load: async () => (await import("./verbs/system-reset.ts")).systemMigrate,
      },
      {
        name: "prune",
        summary: "Remove unused data",
        load: async () => (await import("./verbs/system.ts")).systemPrune,
      },
      {
        name: "reset",
        summary: "Remove all containers, images and volumes",
        load: async () => (await import("./verbs/system-reset.ts")).systemReset,
      },
    ],
  },
  {
    name: "volume",
    summary: "Manage volumes",
    verbs: [
      {
        name: "create",
        summary: "Create a new volume",
        load: async () => (await import("./verbs/volume.ts")).volumeCreate,
      },
      {
        name: "exists",
        summary: "Check if a volume exists",
        load: async () => (await import("./verbs/exists.ts")).volumeExists,
      },
      {
        name: "inspect",
        summary: "Display volume configuration",
        load: async () => (await import("./verbs/inspect.ts")).volumeInspect,
      },
      {
        name: "ls",
        aliases: ["list"],
        summary: "List volumes",
        load: async () => (await import("./verbs/volume.ts")).volumeList,
      },
      {
        name: "prune",
        summary: "Remove all unused volumes",
        load: async () => (await import("./verbs/prune.ts")).volumePrune,
      },
      {
        name: "rm",
        aliases: ["remove"],
        summary: "Remove one or more volumes",
        load: async () => (await import("./verbs/volume.ts")).volumeRemove,
      },
    ],
  },
];
