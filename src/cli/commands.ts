/** Every noun and verb, with the file that does it. The files load when they are called, not before. */

import { cni } from "./cni-commands.ts";
import { as, type Entry } from "./command.ts";
import {
  attach,
  commit,
  container,
  cp,
  create,
  diff,
  exec,
  exportVerb,
  init,
  kill,
  logs,
  pause,
  port,
  ps,
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
} from "./container-commands.ts";
import { generateNoun, kube, playNoun } from "./kube-commands.ts";
import { POD } from "./pod-commands.ts";

const images: Entry = {
  name: "images",
  summary: "List images in local storage",
  load: async () => (await import("./verbs/images.ts")).images,
};
const importVerb: Entry = {
  name: "import",
  summary: "Import a tarball to create a filesystem image",
  load: async () => (await import("./verbs/import.ts")).importVerb,
};
const build: Entry = {
  name: "build",
  summary: "Build an image using instructions from Containerfiles, by buildah",
  load: async () => (await import("./verbs/build.ts")).build,
};
const history: Entry = {
  name: "history",
  summary: "Show history of a specified image",
  load: async () => (await import("./verbs/history.ts")).history,
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
const push: Entry = {
  name: "push",
  summary: "Push an image to a specified destination",
  load: async () => (await import("./verbs/push.ts")).push,
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
const search: Entry = {
  name: "search",
  summary: "Search registry for image",
  load: async () => (await import("./verbs/search.ts")).search,
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

export const COMMANDS: readonly Entry[] = [
  attach,
  build,
  cni,
  commit,
  {
    name: "completion",
    summary: "Generate shell completion scripts",
    load: async () => (await import("./verbs/completion.ts")).completion,
  },
  cp,
  create,
  diff,
  events,
  exec,
  exportVerb,
  {
    name: "explain",
    summary: "Tell which way a packet goes from A to B, and where it stops",
    load: async () => (await import("./verbs/explain.ts")).explain,
  },
  history,
  generateNoun,
  images,
  importVerb,
  info,
  {
    name: "inspect",
    summary: "Display the configuration of a container, image, network or volume",
    load: async () => (await import("./verbs/inspect.ts")).inspect,
  },
  init,
  kill,
  kube,
  load,
  {
    name: "login",
    summary: "Login to a container registry",
    load: async () => (await import("./verbs/login.ts")).login,
  },
  {
    name: "logout",
    summary: "Logout of a container registry",
    load: async () => (await import("./verbs/login.ts")).logout,
  },
  logs,
  pause,
  port,
  ps,
  pull,
  push,
  rename,
  restart,
  rm,
  rmi,
  run,
  save,
  search,
  start,
  stats,
  stop,
  tag,
  top,
  {
    name: "unshare",
    summary: "Run a command in your user namespace",
    load: async () => (await import("./verbs/unshare.ts")).unshare,
  },
  unpause,
  update,
  untag,
  {
    name: "version",
    summary: "Display version information",
    load: async () => (await import("./verbs/version.ts")).version,
  },
  wait,
  container,
  {
    name: "image",
    summary: "Manage images",
    verbs: [
      build,
      diff,
      {
        name: "exists",
        summary: "Check if an image exists in local storage",
        load: async () => (await import("./verbs/exists.ts")).imageExists,
      },
      history,
      {
        name: "inspect",
        summary: "Display the configuration of an image",
        load: async () => (await import("./verbs/inspect.ts")).imageInspect,
      },
      importVerb,
      as(images, "list", "ls"),
      load,
      {
        name: "prune",
        summary: "Remove unused images",
        load: async () => (await import("./verbs/prune.ts")).imagePrune,
      },
      pull,
      push,
      as(rmi, "rm"),
      save,
      search,
      tag,
      {
        name: "tree",
        summary: "Print layer hierarchy of an image in a tree format",
        load: async () => (await import("./verbs/image-tree.ts")).imageTree,
      },
      untag,
    ],
  },
  {
    name: "healthcheck",
    summary: "Manage health checks on containers",
    verbs: [
      {
        name: "run",
        summary: "Run the health check of a container",
        load: async () => (await import("./verbs/healthcheck.ts")).healthcheckRun,
      },
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
  playNoun,
  POD,
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
