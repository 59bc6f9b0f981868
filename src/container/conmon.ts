/**
 * conmon: the small process that stays with a container, holds its streams and its published ports, writes its log and
 * its exit code, and at its end calls `portolan container cleanup`. conmon(8); the pipes are its protocol with engines.
 */
import { closeSync, existsSync, mkdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { findProgram } from "../base/programs.ts";
import { selfCommand } from "../base/self.ts";
import { pipe } from "../sys/fd.ts";
import { insideEnvironment } from "../userns/identity.ts";
import { confEnvironment } from "./conf.ts";
import type { Container } from "./config.ts";
import { ConmonAnswers } from "./conmon-answers.ts";
import type { Engine } from "./engine.ts";
import { runtimeArguments, runtimeError } from "./runtime.ts";

export function conmonPath(engine: Engine): string {
  const named = engine.global.conmon;
  const path = named
    ? findProgram(named)
    : (engine.conf.engine.conmon_path?.find(existsSync) ??
      findProgram("conmon", ["/usr/libexec/podman", "/usr/local/libexec/podman", "/usr/lib/podman"]));
  if (!path)
    throw new UserError("could not find a working conmon binary: no such file or directory", {
      hint: "install conmon",
    });
  return path;
}

/** The environment of conmon, of the runtime that it starts, and of its exit command, which is ours. */
export function conmonEnvironment({ user }: Engine): Record<string, string> {
  const told = Object.fromEntries(
    ["XDG_DATA_HOME", "XDG_CONFIG_HOME"].flatMap(name => {
      const value = process.env[name];
      return value ? [[name, value]] : [];
    }),
  );
  return {
    PATH: process.env.PATH ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: process.env.HOME ?? "/root",
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? "",
    ...told,
    ...(user ? insideEnvironment(user) : {}),
    ...confEnvironment(),
  };
}

/** The runtime's own arguments, as conmon passes them on. */
export const runtimeWords = (engine: Engine, ociLog: string) =>
  ["--log-format=json", "--log", ociLog, ...runtimeArguments(engine)].flatMap(word => [
    "--runtime-arg",
    word,
  ]);

/** What conmon leaves in the bundle; it won't start over it. */
const OWN_FILES = ["attach", "ctl", "winsz", "oom"];

/** Conmon's words for a log. */
function logArgument({ config }: Container): string[] {
  if (config.logDriver === "none") return ["-l", "none"];
  if (config.logDriver === "journald")
    return ["-l", "journald", ...(config.logTag ? ["--log-tag", config.logTag] : [])];
  const size = config.logMaxSize ? ["--log-size-max", String(config.logMaxSize)] : [];
  return ["-l", `k8s-file:${config.logPath}`, ...size];
}

/** Seconds that conmon leaves to somebody who awaits the end before it calls the exit command. */
const EXIT_DELAY = "1";

/**
 * Starts conmon, which has the runtime create the container (its process waits for `startInRuntime`). `sockets` are
 * handed to conmon to hold. `attended`: somebody will await the end and clean up then. Gives both pids. Throws what the runtime complained of.
 */
export async function createByConmon(
  engine: Engine,
  container: Container,
  sockets: readonly number[] = [],
  attended = false,
): Promise<{ pid: number; conmonPid: number }> {
  const { config, state } = container;
  const bundle = engine.paths.container(config.id);
  const run = engine.paths.containerRun(config.id);
  mkdirSync(run, { recursive: true, mode: 0o700 });
  mkdirSync(engine.paths.exits, { recursive: true });
  for (const name of OWN_FILES) rmSync(join(bundle, name), { force: true });
  const pidFile = join(run, "conmon.pid");
  const ociLog = join(run, "oci-log");
  const exitCommand = [...selfCommand(), ...engine.globalArguments(), "container", "cleanup", config.id];
  const words = [
    conmonPath(engine),
    ...["--api-version", "1", "-c", config.id, "-u", config.id, "-r", state.runtime, "-b", bundle],
    ...["-p", join(run, "pidfile"), "-n", config.name, "--exit-dir", engine.paths.exits, "--full-attach"],
    ...logArgument(container),
    ...["--log-level", "warning", ...runtimeWords(engine, ociLog), "--conmon-pidfile", pidFile],
    ...(config.tty ? ["-t"] : config.interactive ? ["-i"] : []),
    // A log that goes with its container need not reach the disk first.
    ...(config.remove ? ["--no-sync-log"] : []),
    ...(config.timeout ? ["--timeout", String(config.timeout)] : []),
    ...(attended ? ["--exit-delay", EXIT_DELAY] : []),
    ...["--exit-command", exitCommand[0]!],
    ...exitCommand.slice(1).flatMap(word => ["--exit-command-arg", word]),
  ];
  const [syncRead, syncWrite] = pipe();
  const [startRead, startWrite] = pipe();
  try {
    const child = Bun.spawn(words, {
      cwd: bundle,
      stdio: ["ignore", "ignore", "ignore", syncWrite, startRead, ...sockets],
      env: {
        _OCI_SYNCPIPE: "3",
        _OCI_STARTPIPE: "4",
        ...conmonEnvironment(engine),
      },
    });
    closeSync(syncWrite);
    closeSync(startRead);
    writeSync(startWrite, "\0");
    closeSync(startWrite);
    await using answers = new ConmonAnswers(syncRead);
    const [answer] = await Promise.all([answers.next(), child.exited]);
    if (!answer || answer.data < 0) {
      const reason = answer?.message || readIfThere(ociLog);
      throw runtimeError(state.runtime, reason);
    }
    return { pid: answer.data, conmonPid: Number(readFileSync(pidFile, "utf8")) };
  } finally {
    closeSync(syncRead);
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "conmon ended before the container was made";
  }
}
