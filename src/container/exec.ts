/**
 * One more process in a running container. conmon's second mode: it makes its attach socket, waits until we have
 * connected, has the runtime start the process, and tells its pid and, at its end, its exit code on the sync pipe.
 */
import { closeSync, mkdirSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { errorText, UserError } from "../base/errors.ts";
import { pipe } from "../sys/fd.ts";
import { type AttachEnd, attachStreams, windowSize } from "./attach.ts";
import { decideCapabilities, processCapabilities } from "./capabilities.ts";
import { recordContainerEvent } from "./cleanup.ts";
import { type Container, statusOf } from "./config.ts";
import { conmonEnvironment, conmonPath, runtimeWords } from "./conmon.ts";
import { ConmonAnswers } from "./conmon-answers.ts";
import type { Engine } from "./engine.ts";
import { randomId } from "./names.ts";
import { needProcess } from "./pins.ts";
import { runtimeError } from "./runtime.ts";
import { specUlimits } from "./ulimits.ts";
import { lookupUser, type UserIds } from "./user.ts";

export interface ExecOptions {
  command: string[];
  tty?: boolean;
  interactive?: boolean;
  /** `K=V`; `K` alone takes our own value. */
  env?: string[];
  user?: string;
  workdir?: string;
  privileged?: boolean;
  detach?: boolean;
  detachKeys?: string;
  /** Takes the output in place of our own streams. */
  output?: (data: Uint8Array, isError: boolean) => void;
  /** Told the process's pid on the host. */
  started?: (pid: number) => void;
}

export interface ExecResult {
  id: string;
  /** The process's exit code; 0 when it runs detached. */
  exitCode: number;
  end: AttachEnd;
}

/** Runs the command and, unless detached, waits for its end. Throws with exit code 126 or 127 where it can't be run. */
export async function execInContainer(
  engine: Engine,
  container: Container,
  options: ExecOptions,
): Promise<ExecResult> {
  if (statusOf(container) !== "running")
    throw new UserError("can only create exec sessions on running containers: container state improper", {
      exitCode: 255,
      status: 409,
    });
  needProcess(container);
  if (options.command.length === 0)
    throw new UserError("must provide a non-empty command to start an exec session: invalid argument");
  const id = randomId();
  const directory = join(engine.paths.execs(container.config.id), id);
  mkdirSync(join(directory, "exit"), { recursive: true, mode: 0o700 });
  try {
    writeFileSync(join(directory, "process.json"), JSON.stringify(processSpec(engine, container, options)));
    return await drive(engine, container, id, directory, options);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

interface ProcessSpec {
  terminal: boolean;
  consoleSize?: { height: number; width: number };
  user: { uid: number; gid: number; additionalGids: number[]; umask?: number };
  args: string[];
  env: string[];
  cwd: string;
  capabilities: Record<string, string[]>;
  rlimits: object[];
  noNewPrivileges?: boolean;
}

/** The container's own process configuration with what this command wants otherwise. */
function processSpec(engine: Engine, container: Container, options: ExecOptions): ProcessSpec {
  const { config } = container;
  const bundle = JSON.parse(readFileSync(join(engine.paths.container(config.id), "config.json"), "utf8")) as {
    process: ProcessSpec;
    root: { path: string };
  };
  const own = bundle.process;
  const env = new Map(own.env.map(pair => split(pair)));
  // The name is the first process's; who wants to know it here asks hostname(1).
  if (!config.env.some(one => one.startsWith("HOSTNAME="))) env.delete("HOSTNAME");
  if (options.tty && !env.has("TERM")) env.set("TERM", "xterm");
  let { user, capabilities } = own;
  if (options.user !== undefined && options.user !== "") {
    const found = userOf(bundle.root.path, options.user, config.groupAdd);
    user = { ...own.user, uid: found.uid, gid: found.gid, additionalGids: found.additionalGids };
    env.set("HOME", found.home);
  }
  const bounding = options.privileged ? decideCapabilities({ privileged: true }) : config.capabilities;
  capabilities = options.privileged
    ? processCapabilities({ capabilities: bounding, capAdd: [], privileged: true }, 0)
    : processCapabilities(config, user.uid);
  for (const word of options.env ?? []) {
    const [name, value] = split(word);
    if (word.includes("=")) env.set(name, value);
    else if (process.env[name] !== undefined) env.set(name, process.env[name]);
  }
  const size = options.tty ? windowSize() : undefined;
  return {
    ...own,
    // Read back, "no limit" would not be what was written.
    rlimits: specUlimits(config.limits),
    terminal: options.tty ?? false,
    // In force from the first instruction; the control fifo would come too late for a quick program.
    ...(size ? { consoleSize: { height: size.rows, width: size.columns } } : {}),
    user,
    args: options.command,
    env: [...env].map(([name, value]) => `${name}=${value}`),
    cwd: options.workdir || own.cwd,
    capabilities,
  };
}

/** `lookupUser`, with the exit code of a command that was not begun. */
function userOf(root: string, text: string, groups: readonly string[]): UserIds {
  try {
    return lookupUser(root, text, groups);
  } catch (error) {
    throw new UserError(errorText(error), { exitCode: 255, status: 400 });
  }
}

function split(pair: string): [string, string] {
  const at = pair.indexOf("=");
  return at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
}

async function drive(
  engine: Engine,
  container: Container,
  id: string,
  directory: string,
  options: ExecOptions,
): Promise<ExecResult> {
  const { config, state } = container;
  const ociLog = join(directory, "oci-log");
  const words = [
    conmonPath(engine),
    ...["--api-version", "1", "-c", config.id, "-u", id, "-r", state.runtime, "-b", directory],
    ...["-p", join(directory, "pid"), "-n", config.name, "--exit-dir", join(directory, "exit")],
    ...["--full-attach", "-l", "none", "--log-level", "warning"],
    ...runtimeWords(engine, ociLog),
    ...(options.tty ? ["-t"] : []),
    ...(options.interactive ? ["-i"] : []),
    ...["-e", ...(options.detach ? [] : ["--exec-attach"])],
    ...["--exec-process-spec", join(directory, "process.json")],
    // The files of this command go with its process, whoever is still there to see it end.
    ...["--exit-command", "/bin/rm", "--exit-command-arg", "-rf", "--exit-command-arg", directory],
  ];
  const [syncRead, syncWrite] = pipe();
  const [startRead, startWrite] = pipe();
  const [attachRead, attachWrite] = pipe();
  const forConmon = [syncWrite, startRead, attachWrite] as const;
  try {
    await using answers = new ConmonAnswers(syncRead);
    Bun.spawn(words, {
      cwd: directory,
      stdio: ["ignore", "ignore", "ignore", ...forConmon],
      env: {
        _OCI_SYNCPIPE: "3",
        _OCI_STARTPIPE: "4",
        ...(options.detach ? {} : { _OCI_ATTACHPIPE: "5" }),
        ...conmonEnvironment(engine),
      },
    });
    for (const fd of forConmon) closeSync(fd);
    writeSync(startWrite, "\0");
    let done: Promise<AttachEnd> = Promise.resolve("ended");
    if (!options.detach) {
      await using attachAnswers = new ConmonAnswers(attachRead);
      const ready = await attachAnswers.next();
      if (!ready) throw new UserError("conmon ended before the command was started");
      ({ done } = attachStreams(directory, {
        tty: options.tty ?? false,
        stdin: options.interactive ?? false,
        detachKeys: options.detachKeys ?? engine.conf.engine.detach_keys,
        output: options.output,
      }));
      writeSync(startWrite, "\0");
    }
    const started = await answers.next();
    if (!started || started.data < 0) {
      await done.catch(() => {});
      const reason = started?.message || logOf(ociLog) || "conmon ended before the command was started";
      throw runtimeError(state.runtime, reason.replace(/^\S+ exec failed: /, ""));
    }
    options.started?.(started.data);
    recordContainerEvent(engine, container, "exec");
    const end = await done;
    if (options.detach || end === "detached") return { id, exitCode: 0, end };
    const finished = await answers.next();
    // 255 as of a lost process: its conmon was killed and nobody knows.
    return { id, exitCode: finished?.data ?? 255, end };
  } finally {
    for (const fd of [syncRead, startWrite, attachRead]) closeSync(fd);
  }
}

function logOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
