/** From a command line to a verb: global options, the tree of nouns and verbs, help, unknown commands. */
import { UserError } from "../base/errors.ts";
import { setLogLevel } from "../base/log.ts";
import { writeOut } from "../base/stdio.ts";
import type { Engine, GlobalOptions } from "../container/engine.ts";
import { userIdentity } from "../userns/identity.ts";
import type { Command, Entry, Invocation } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { describeFlags, type Flag, parseFlags, type Values } from "./flags.ts";
import { VERSION } from "./version.ts";

export const GLOBAL_FLAGS: readonly Flag[] = [
  { long: "cgroup-manager", kind: "string", help: 'Cgroup manager to use ("cgroupfs"|"systemd")' },
  {
    long: "cni-plugin-dir",
    kind: "array",
    help: "Directory with CNI plugins of other makers",
    complete: "file",
  },
  { long: "conmon", kind: "string", help: "Path of the conmon binary", complete: "file" },
  { long: "help", short: "h", kind: "bool", help: "Help for portolan" },
  {
    long: "log-level",
    kind: "string",
    help: "Log messages above specified level (debug, info, warn, error)",
    complete: ["trace", "debug", "info", "warn", "error"],
  },
  {
    long: "network-config-dir",
    kind: "string",
    help: "Path of the configuration directory for networks",
    aliases: ["cni-config-dir"],
    complete: "file",
  },
  {
    long: "root",
    kind: "string",
    help: "Directory of images, containers, volumes and the state database",
    complete: "file",
  },
  { long: "runroot", kind: "string", help: "Directory of what dies with the boot", complete: "file" },
  {
    long: "runtime",
    kind: "string",
    help: "Path of the OCI runtime, or its name (crun, runc)",
    complete: ["crun", "runc"],
  },
  {
    long: "storage-driver",
    kind: "string",
    help: 'How root file systems are put up ("overlay"|"fuse-overlayfs"|"vfs")',
  },
  { long: "version", short: "v", kind: "bool", help: "Version of portolan" },
];

export function globalOptions(values: Values): GlobalOptions {
  return {
    root: values.string("root"),
    runRoot: values.string("runroot"),
    logLevel: values.string("log-level"),
    networkConfigDir: values.string("network-config-dir"),
    runtime: values.string("runtime"),
    conmon: values.string("conmon"),
    cgroupManager: values.string("cgroup-manager"),
    storageDriver: values.string("storage-driver"),
    cniPluginDirs: values.has("cni-plugin-dir") ? values.list("cni-plugin-dir") : undefined,
  };
}

/** The `Available Commands:` page of a noun, or of the program. */
function nounHelp(path: string, summary: string, entries: readonly Entry[], flags: readonly Flag[]): string {
  const shown = entries.filter(entry => !entry.hidden).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const width = Math.max(...shown.map(entry => entry.name.length));
  const lines = shown.map(entry => `  ${entry.name.padEnd(width)}  ${entry.summary}`);
  const options = flags.length ? `\n\nOptions:\n${describeFlags(flags)}` : "";
  return `${summary}\n\nUsage:\n  ${path}${flags.length ? " [options]" : ""} [command]\n\nAvailable Commands:\n${lines.join("\n")}${options}\n`;
}

/** What Podman has besides, at the top and under its nouns: who asks for one of these has not mistyped. */
const PODMANS =
  /^(auto-update|build|checkpoint|clone|commit|connect|connection|cp|create|df|diff|disconnect|export|farm|generate|healthcheck|history|import|init|kube|login|logout|machine|manifest|mount|pause|play|push|reload|rename|renumber|restore|rm|scp|search|secret|service|sign|spec|stats|systemd|trust|umount|unmount|unpause|untag|update)$/;

function unknownCommand(path: string, word: string, entries: readonly Entry[]): never {
  if (PODMANS.test(word))
    throw new UserError(`\`${path} ${word}\` is Podman's and not there yet`, {
      status: 501,
      hint: `See '${path} --help'`,
    });
  const similar = entries
    .filter(entry => !entry.hidden && distance(entry.name, word) <= 2)
    .map(entry => entry.name);
  const suggestion = similar.length
    ? `; did you mean ${similar.map(name => `\`${name}\``).join(" or ")}?`
    : "";
  throw new UserError(`unrecognized command \`${path} ${word}\`${suggestion}`, {
    status: 400,
    hint: `See '${path} --help'`,
  });
}

/** Levenshtein distance, for suggestions. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++)
      row[j] = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
  }
  return row[b.length]!;
}

export const HELP: Flag = { long: "help", kind: "bool", help: "Show this help" };

/** Runs one command line (without the program's own name); gives the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const { values, args: words } = parseFlags(GLOBAL_FLAGS, argv, { path: "portolan", interspersed: false });
  // `help run` is `run --help`.
  const args = words[0] === "help" ? words.slice(1) : [...words];
  const asked = values.bool("help") || words[0] === "help";
  const level = values.string("log-level");
  if (level !== undefined && !setLogLevel(level))
    throw new UserError(
      `log level ${JSON.stringify(level)} is not supported, choose from: trace, debug, info, warn, error`,
    );
  const summary = "Manage containers, their images and their networks";
  if (values.bool("version")) {
    writeOut(`portolan version ${VERSION}\n`);
    return 0;
  }
  if (args.length === 0 || values.bool("help")) {
    writeOut(nounHelp("portolan", summary, COMMANDS, GLOBAL_FLAGS));
    return asked ? 0 : 125;
  }
  if (asked) args.push("--help");

  let entries: readonly Entry[] = COMMANDS;
  let path = "portolan";
  let rest = args;
  for (;;) {
    const word = rest[0]!;
    const entry = entries.find(one => one.name === word || one.aliases?.includes(word));
    if (entry === undefined) unknownCommand(path, word, entries);
    path = `${path} ${word}`;
    rest = rest.slice(1);
    if ("load" in entry) return runVerb(path, entry, rest, globalOptions(values), ["portolan", ...argv]);
    if (rest.length === 0 || rest[0] === "--help" || rest[0] === "-h") {
      writeOut(nounHelp(path, entry.summary, entry.verbs, []));
      if (rest.length > 0) return 0;
      throw new UserError(`missing command '${path} COMMAND'`, { status: 400 });
    }
    entries = entry.verbs;
  }
}

async function runVerb(
  path: string,
  entry: Extract<Entry, { load: unknown }>,
  argv: readonly string[],
  global: GlobalOptions,
  commandLine: string[],
): Promise<number> {
  // As Podman does: what a container's users must read does not hang on the umask of who started it.
  process.umask(0o022);
  const command = await entry.load();
  const help = command.flags.some(flag => flag.short === "h") ? HELP : { ...HELP, short: "h" };
  const { values, args } = parseFlags([...command.flags, help], argv, {
    path,
    interspersed: command.interspersed,
  });
  if (values.bool("help")) {
    const options = command.flags.length ? `\n\nOptions:\n${describeFlags(command.flags)}` : "";
    writeOut(`${command.summary}\n\nUsage:\n  ${path} ${command.usage}${options}\n`);
    return 0;
  }
  if (args.length > 0 && command.usage === "[options]") throw new UserError(`\`${path}\` takes no arguments`);
  let opened: Promise<Engine> | undefined;
  const invocation: Invocation = {
    path,
    args,
    flags: values,
    global,
    commandLine,
    engine: () => {
      opened ??= openEngine(command, values, global, commandLine.slice(1));
      return opened;
    },
  };
  return (await command.run(invocation)) ?? 0;
}

/** The engine, repaired; or the same command line begun anew in the user namespace that it needs. */
async function openEngine(
  { outside }: Command,
  flags: Values,
  global: GlobalOptions,
  argv: readonly string[],
): Promise<Engine> {
  const { Engine } = await import("../container/engine.ts");
  const user = userIdentity();
  if (user?.inside === false) {
    const stays = typeof outside === "function" ? outside(flags) : outside;
    const engine = stays ? Engine.open(global) : undefined;
    if (engine && !(await engine.needsRepair()) && !needsPodRepair(engine)) return engine;
    const { goInside } = await import("./go-inside.ts");
    return goInside(Engine.paths(global).runRoot, user, argv);
  }
  const engine = Engine.open(global);
  await engine.repair();
  if (needsPodRepair(engine)) {
    const { repairPods } = await import("../pod/remove.ts");
    await repairPods(engine);
  }
  return engine;
}

/** True where a pod was left half made or half removed, and nobody is at it. */
function needsPodRepair({ pods }: Engine): boolean {
  return pods.unsettled().some(id => {
    using held = pods.tryLock(id);
    return held !== undefined;
  });
}
