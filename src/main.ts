/**
 * Where every name of the executable begins. Nothing heavy is imported here: each way in loads only what it needs.
 *
 * The verbs that begin with `__` are Portolan calling itself: the unpacker in its chroot, who reads and writes
 * a container's files in another, the timer of a health check, what a shell asks at a tab, a CNI plugin by its launcher.
 */
import { BRIEFLY } from "./base/self.ts";
import { pluginOf } from "./cni/door/about.ts";
import { restoreWorkingDirectory } from "./userns/working-directory.ts";

/** A CNI plugin: who it is and what it speaks it says before what it does is loaded. */
async function pluginMain(name: string, argv: readonly string[]): Promise<number> {
  const verb = process.env.CNI_COMMAND;
  const door =
    verb && verb !== "VERSION"
      ? await import("./cni/door/executable.ts")
      : await import("./cni/door/main.ts");
  return door.pluginMain(name, argv);
}

async function main(argv: readonly string[]): Promise<number> {
  for (const name in BRIEFLY) delete process.env[name];
  if (/(^|\/)slirp4netns$/.test(process.argv0))
    return (await import("./slirp4netns/main.ts")).slirp4netnsMain(process.argv0, argv);
  const name = process.argv0.slice(process.argv0.lastIndexOf("/") + 1);
  if (name === "netavark") return (await import("./netavark/main.ts")).netavarkMain(argv);
  if (name === "aardvark-dns") return (await import("./netavark/aardvark.ts")).aardvarkMain(argv);
  if (name === "cni") return (await import("./netavark/cni-driver.ts")).cniDriverMain(argv);
  const plugin = pluginOf(process.argv0);
  if (plugin) return pluginMain(plugin, argv);
  switch (argv[0]) {
    case "__cni":
      return pluginMain(argv[1] ?? "", argv.slice(2));
    case "__untar":
      return (await import("./image/untar-main.ts")).untarMain(argv.slice(1));
    case "__health":
      return (await import("./container/health.ts")).healthMain(argv.slice(1));
    case "__files":
      return (await import("./container/files-child.ts")).filesMain(argv.slice(1));
    case "__complete":
    case "__complete-plain":
      return (await import("./cli/complete.ts")).completeMain(argv.slice(1), argv[0] === "__complete");
    case "__aardvark-dns":
      return (await import("./netavark/aardvark.ts")).aardvarkMain(argv.slice(1));
    case "__cni-driver":
      return (await import("./netavark/cni-driver.ts")).cniDriverMain(argv.slice(1));
    case "__netavark":
      return (await import("./netavark/main.ts")).netavarkMain(argv.slice(1));
    case "__netd":
      return (await import("./netd/child.ts")).dataPlaneMain(argv.slice(1));
    case "__netd-service":
      return (await import("./netd/service-main.ts")).netdServiceMain(argv.slice(1));
    case "__network":
      return (await import("./network/helper.ts")).networkHelperMain();
    case "__slirp4netns":
      return (await import("./slirp4netns/main.ts")).slirp4netnsMain(process.argv0, argv.slice(1));
    default:
      if (process.geteuid!() !== 0) (await import("./cli/short-way.ts")).takeShortWay(argv);
      else if (restoreWorkingDirectory()) await (await import("./cli/short-way.ts")).wakeHelper(argv);
      return (await import("./cli/program.ts")).runProgram(argv);
  }
}

main(process.argv.slice(2)).then(
  code => process.exit(code),
  async error => process.exit((await import("./cli/report.ts")).report(error)),
);
