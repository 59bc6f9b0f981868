/** `cni`: our plugins for others, and networks by their configuration alone. */
import { type Entry, verb } from "./command.ts";

export const cni: Entry = {
  name: "cni",
  summary: "Install and run plugins of the Container Network Interface",
  verbs: [
    verb("add", "Add a network namespace to a network", async () => (await import("./verbs/cni.ts")).cniAdd),
    verb(
      "check",
      "Check that a network namespace is as it was added",
      async () => (await import("./verbs/cni.ts")).cniCheck,
    ),
    verb(
      "del",
      "Take a network namespace off a network",
      async () => (await import("./verbs/cni.ts")).cniDel,
    ),
    verb(
      "gc",
      "Remove everything that is attached to a network",
      async () => (await import("./verbs/cni.ts")).cniGc,
    ),
    verb(
      "install",
      "Install our plugins in a directory, for other engines",
      async () => (await import("./verbs/cni-install.ts")).cniInstall,
    ),
    verb(
      "status",
      "Tell whether a network is ready to be added to",
      async () => (await import("./verbs/cni.ts")).cniStatus,
    ),
    verb(
      "uninstall",
      "Remove our plugins from a directory",
      async () => (await import("./verbs/cni-install.ts")).cniUninstall,
    ),
  ],
};
