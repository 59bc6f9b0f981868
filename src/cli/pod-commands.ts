/** The verbs of `pod`. */
import type { Entry } from "./command.ts";

export const POD: Entry = {
  name: "pod",
  summary: "Manage pods",
  verbs: [
    {
      name: "create",
      summary: "Create a new empty pod",
      load: async () => (await import("./verbs/pod-create.ts")).podCreate,
    },
    {
      name: "exists",
      summary: "Check if a pod exists in local storage",
      load: async () => (await import("./verbs/exists.ts")).podExists,
    },
    {
      name: "inspect",
      summary: "Displays a pod configuration",
      load: async () => (await import("./verbs/pod.ts")).podInspect,
    },
    {
      name: "kill",
      summary: "Send the specified signal or SIGKILL to containers in pod",
      load: async () => (await import("./verbs/pod.ts")).podKill,
    },
    {
      name: "logs",
      summary: "Fetch logs for pod with one or more containers",
      load: async () => (await import("./verbs/pod-show.ts")).podLogs,
    },
    {
      name: "pause",
      summary: "Pause one or more pods",
      load: async () => (await import("./verbs/pod.ts")).podPause,
    },
    {
      name: "prune",
      summary: "Remove all stopped pods and their containers",
      load: async () => (await import("./verbs/pod.ts")).podPrune,
    },
    {
      name: "ps",
      aliases: ["ls", "list"],
      summary: "List pods",
      load: async () => (await import("./verbs/pod-ps.ts")).podPs,
    },
    {
      name: "restart",
      summary: "Restart one or more pods",
      load: async () => (await import("./verbs/pod.ts")).podRestart,
    },
    {
      name: "rm",
      summary: "Remove one or more pods",
      load: async () => (await import("./verbs/pod.ts")).podRm,
    },
    {
      name: "start",
      summary: "Start one or more pods",
      load: async () => (await import("./verbs/pod.ts")).podStart,
    },
    {
      name: "stats",
      summary: "Display a live stream of resource usage statistics for the containers in one or more pods",
      load: async () => (await import("./verbs/pod-stats.ts")).podStats,
    },
    {
      name: "stop",
      summary: "Stop one or more pods",
      load: async () => (await import("./verbs/pod.ts")).podStop,
    },
    {
      name: "top",
      summary: "Display the running processes of containers in a pod",
      load: async () => (await import("./verbs/pod-show.ts")).podTop,
    },
    {
      name: "unpause",
      summary: "Unpause one or more pods",
      load: async () => (await import("./verbs/pod.ts")).podUnpause,
    },
  ],
};
