/** `cni`: our plugins for others, and networks by their configuration alone. */
import type { Entry } from "./command.ts";

export const cni: Entry = {
  name: "cni",
  summary: "Install and run plugins of the Container Network Interface",
  verbs: [
    {
      name: "add",
      summary: "Add a network namespace to a network",
      load: async () => (await import("./verbs/cni.ts")).cniAdd,
    },
    {
      name: "check",
      summary: "Check that a network namespace is as it was added",
      load: async () => (await import("./verbs/cni.ts")).cniCheck,
    },
    {
      name: "del",
      summary: "Take a network namespace off a network",
      load: async () => (await import("./verbs/cni.ts")).cniDel,
    },
    {
      name: "gc",
      summary: "Remove everything that is attached to a network",
      load: async () => (await import("./verbs/cni.ts")).cniGc,
    },
    {
      name: "install",
      summary: "Install our plugins in a directory, for other engines",
      load: async () => (await import("./verbs/cni-install.ts")).cniInstall,
    },
    {
      name: "status",
      summary: "Tell whether a network is ready to be added to",
      load: async () => (await import("./verbs/cni.ts")).cniStatus,
    },
    {
      name: "uninstall",
      summary: "Remove our plugins from a directory",
      load: async () => (await import("./verbs/cni-install.ts")).cniUninstall,
    },
  ],
};
