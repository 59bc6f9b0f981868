/** The directories that an ordinary user's engine lives in (XDG Base Directory Specification). */
import { lstatSync, mkdirSync, type Stats } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;

function stat(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR", "EACCES")) return undefined;
    throw error;
  }
}

/** On either side of the user namespace the user's own files look like ours. */
const isOurs = (one: Stats) => one.isDirectory() && one.uid === process.geteuid!();

function home(env: Environment): string {
  const directory = env.HOME || homedir();
  if (!directory || directory === "/")
    throw new UserError("your home directory is not known", { hint: "set HOME" });
  return directory;
}

/** Persistent state: `$XDG_DATA_HOME/portolan`. */
export function userRoot(env: Environment = process.env): string {
  return join(env.XDG_DATA_HOME || join(home(env), ".local/share"), "portolan");
}

/** `$XDG_CONFIG_HOME`, where the user's own containers.conf, registries.conf and networks are. */
export function userConfig(env: Environment = process.env): string {
  return env.XDG_CONFIG_HOME || join(home(env), ".config");
}

/**
 * What dies with the boot: below `$XDG_RUNTIME_DIR`; where there is none, below `/run/user/UID`, or a directory of the
 * user's own in /tmp that nobody else can get into.
 */
export function userRunRoot(uid: number, env: Environment = process.env): string {
  const named = env.XDG_RUNTIME_DIR;
  if (named) {
    const there = stat(named);
    if (there && isOurs(there)) return join(named, "portolan");
    throw new UserError(
      there
        ? `XDG_RUNTIME_DIR directory ${JSON.stringify(named)} is not owned by the current user`
        : `XDG_RUNTIME_DIR directory ${JSON.stringify(named)} is not there`,
      { hint: "log in by a session of your own (loginctl enable-linger keeps it), or unset XDG_RUNTIME_DIR" },
    );
  }
  const session = `/run/user/${uid}`;
  const there = stat(session);
  if (there && isOurs(there)) return join(session, "portolan");
  const own = `/tmp/portolan-run-${uid}`;
  try {
    mkdirSync(own, { mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  }
  const made = lstatSync(own);
  if (!isOurs(made) || (made.mode & 0o077) !== 0)
    throw new UserError(`the runtime directory ${own} belongs to somebody else, or others may enter it`, {
      hint: "set XDG_RUNTIME_DIR to a directory of your own with mode 0700",
    });
  return join(own, "portolan");
}
