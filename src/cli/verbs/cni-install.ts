import { resolve } from "node:path";
import { installPlugins, uninstallPlugins } from "../../cni/door/install.ts";
import { type Command, print, requireArgs } from "../command.ts";

export const cniInstall: Command = {
  summary: "Install our plugins in a directory, for other engines",
  usage: "[options] DIRECTORY",
  flags: [
    { long: "force", short: "f", kind: "bool", help: "Replace plugins of others" },
    { long: "symlink", kind: "bool", help: "Make links to this executable, not launchers" },
  ],
  outside: true,
  run(invocation) {
    requireArgs(invocation, 1, 1);
    const { args, flags } = invocation;
    const options = { symlink: flags.bool("symlink"), force: flags.bool("force") };
    for (const path of installPlugins(resolve(args[0]!), options)) print(path);
    return 0;
  },
};

export const cniUninstall: Command = {
  summary: "Remove our plugins from a directory",
  usage: "DIRECTORY",
  flags: [],
  outside: true,
  run(invocation) {
    requireArgs(invocation, 1, 1);
    for (const path of uninstallPlugins(resolve(invocation.args[0]!))) print(path);
    return 0;
  },
};
