/**
 * What other engines find in a directory of plugins: a launcher for each of ours, or a link. A launcher is a shell script
 * that answers VERSION and the bare call itself, which podman asks of every plugin again and again, and starts us for the
 * rest (docs/adr/0013-plugins-by-name.md).
 */
import {
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { hasCode, UserError } from "../../base/errors.ts";
import { BRIEFLY, selfCommand } from "../../base/self.ts";
import { PLUGIN_TYPES } from "../plugins/table.ts";
import { aboutText, versionText } from "./about.ts";
import { isOurs, LAUNCHER_MARK } from "./find.ts";

/** One word of a shell command. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** What podman finds in the same way, and how we are called for it (`../../netavark/`): its backend, and a driver for others. */
const PODMANS: Readonly<Record<string, string>> = {
  netavark: "__netavark",
  "aardvark-dns": "__aardvark-dns",
  cni: "__cni-driver",
};
const NAMES = [...PLUGIN_TYPES, ...Object.keys(PODMANS)];

export function launcherText(name: string, program: readonly string[]): string {
  const verb = Object.hasOwn(PODMANS, name) ? PODMANS[name] : undefined;
  const settings = Object.entries(BRIEFLY).map(([setting, value]) => `${setting}=${value}`);
  const start = (...words: string[]) =>
    `${settings.join(" ")} exec ${[...program, ...words].map(quoted).join(" ")} "$@"`;
  if (verb) return `#!/bin/sh\n${LAUNCHER_MARK}\n${start(verb)}\n`;
  const print = (text: string) => `printf '%s\\n' ${text.trimEnd().split("\n").map(quoted).join(" ")}`;
  return `#!/bin/sh
${LAUNCHER_MARK}
case "$CNI_COMMAND$#" in
VERSION0) ${print(versionText(name))} ;;
0) ${print(aboutText(name))} >&2 ;;
*) ${start("__cni", name)} ;;
esac
`;
}

/** A link of ours whose executable may have moved away since. */
function isOurLink(path: string): boolean {
  try {
    return basename(readlinkSync(path)) === basename(process.execPath);
  } catch {
    return false;
  }
}

const there = (directory: string) => {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
};

/** Whether the directory is there; what is there and is none is refused. */
function isThere(directory: string): boolean {
  const stats = statSync(directory, { throwIfNoEntry: false });
  if (stats && !stats.isDirectory()) throw new UserError(`${directory} is not a directory`);
  return stats !== undefined;
}

const mine = (path: string) => isOurLink(path) || isOurs(path);

function explained<T>(what: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof UserError || !(error instanceof Error)) throw error;
    if (hasCode(error, "EACCES", "EPERM"))
      throw new UserError(`can't ${what}: permission denied`, {
        hint: "run it as root, or name a directory of yours",
        cause: error,
      });
    throw new UserError(`can't ${what}: ${error.message}`, { cause: error });
  }
}

export interface InstallOptions {
  symlink?: boolean;
  /** Others' files of these names are replaced. */
  force?: boolean;
}

/** Puts every plugin into `directory`; gives the paths. All or, where a file of others is in the way, none. */
export function installPlugins(directory: string, options: InstallOptions = {}): string[] {
  const program = selfCommand();
  if (options.symlink && program.length > 1)
    throw new UserError("only the built executable can be linked to: leave --symlink out");
  return explained(`install plugins in ${directory}`, () => {
    if (!isThere(directory)) mkdirSync(directory, { recursive: true });
    const names = there(directory);
    const others = NAMES.filter(name => names.includes(name) && !mine(join(directory, name)));
    if (others.length > 0 && !options.force)
      throw new UserError(`${directory} has plugins of others: ${others.join(", ")}`, {
        hint: "--force replaces them",
      });
    return NAMES.map(name => {
      const path = join(directory, name);
      // A runtime may look at any moment: the new file takes the old one's place at once.
      const fresh = `${path}.new`;
      rmSync(fresh, { force: true });
      if (options.symlink) symlinkSync(program[0]!, fresh);
      else writeFileSync(fresh, launcherText(name, program), { mode: 0o755 });
      renameSync(fresh, path);
      return path;
    });
  });
}

/** Removes what `installPlugins` put there and nothing else; gives the paths. */
export function uninstallPlugins(directory: string): string[] {
  return explained(`remove plugins from ${directory}`, () => {
    if (!isThere(directory)) throw new UserError(`${directory} does not exist`);
    const names = there(directory);
    const paths = NAMES.filter(name => names.includes(name))
      .map(name => join(directory, name))
      .filter(mine);
    for (const path of paths) rmSync(path);
    return paths;
  });
}
