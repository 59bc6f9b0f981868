/** The OCI runtime: which one, and its verbs (`create` is conmon's to call). */
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { hasCode, UserError } from "../base/errors.ts";
import { findProgram } from "../base/programs.ts";
import { cgroupManager } from "./cgroups.ts";
import type { Container } from "./config.ts";
import type { Engine } from "./engine.ts";

/** A runtime by name or path, as containers.conf has it or where programs are. */
function runtimePath(engine: Engine, name: string): string | undefined {
  return engine.conf.engine.runtimes?.[name]?.find(existsSync) ?? findProgram(name);
}

/** The runtime that `--runtime` or containers.conf names, else crun where it works on this machine, else runc. */
export function chooseRuntime(engine: Engine): string {
  const named = engine.global.runtime ?? engine.conf.engine.runtime;
  if (named) {
    const path = runtimePath(engine, named);
    if (!path)
      throw new UserError(`default OCI runtime ${JSON.stringify(named)} not found: invalid argument`, {
        hint: "install crun or runc",
      });
    return path;
  }
  const crun = runtimePath(engine, "crun");
  const runc = runtimePath(engine, "runc");
  if (!crun || !runc) {
    const path = crun ?? runc;
    if (!path) throw new UserError("no OCI runtime found: neither crun nor runc is installed");
    return path;
  }
  // With the same programs, a machine does not change its mind before the next boot; then this file is gone.
  const memory = join(engine.paths.runRoot, "runtime");
  const key = [crun, runc].map(path => `${path} ${statSync(path).mtimeMs}`).join("\n");
  const known = existsSync(memory) ? readFileSync(memory, "utf8").split("\n\n") : [];
  if (known[0] === key && (known[1] === crun || known[1] === runc)) return known[1];
  const path = works(engine, crun) ? crun : runc;
  mkdirSync(engine.paths.runRoot, { recursive: true });
  writeFileSync(memory, `${key}\n\n${path}`);
  return path;
}

/** Where the runtime keeps its record of the container. */
export const recordOf = ({ paths }: Engine, { config, state }: Container) =>
  join(paths.runtimeRoot ?? join("/run", basename(state.runtime)), config.id);

/** The name of the runtime at `path`, or of that which would be chosen now; "" where there is none. */
export function runtimeName(engine: Engine, path: string): string {
  try {
    return basename(path || chooseRuntime(engine));
  } catch {
    return "";
  }
}

/**
 * Tries it on a root with nothing in it: a runtime that gets as far as missing the program has set up everything else.
 * (crun refuses machines whose control groups are half version 1 and half 2.)
 */
function works(engine: Engine, runtime: string): boolean {
  const bundle = mkdtempSync(join(tmpdir(), "portolan-probe-"));
  try {
    mkdirSync(join(bundle, "rootfs"));
    const spec = {
      ociVersion: "1.0.2",
      process: { args: ["/missing"], cwd: "/", user: { uid: 0, gid: 0 } },
      root: { path: "rootfs" },
      mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
      linux: { namespaces: ["pid", "ipc", "uts", "mount", "network"].map(type => ({ type })) },
    };
    writeFileSync(join(bundle, "config.json"), JSON.stringify(spec));
    const id = basename(bundle);
    const child = Bun.spawnSync([runtime, ...runtimeArguments(engine), "run", "--bundle", bundle, id], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    return /\/?missing/.test(child.stderr.toString());
  } finally {
    rmSync(bundle, { recursive: true, force: true });
  }
}

/** What stands before the runtime's verb: where its records are, and who makes its control groups. */
export function runtimeArguments(engine: Engine): string[] {
  const { runtimeRoot } = engine.paths;
  return [
    ...(runtimeRoot === undefined ? [] : ["--root", runtimeRoot]),
    ...(cgroupManager(engine) === "systemd" ? ["--systemd-cgroup"] : []),
  ];
}

/** What the runtime complains of, in one line and with the exit code that Podman would give. */
export function runtimeError(runtime: string, text: string): UserError {
  const lines = text.trim().split("\n").map(message);
  const line = (lines.findLast(one => one !== "") ?? "no reason given").replace(
    /^container_linux\.go:\d+: /,
    "",
  );
  const missing = /no such file or directory|executable file not found|not found in \$PATH/i.test(line);
  const forbidden = /permission denied|is a directory|exec format error/i.test(line);
  const aboutCommand = /exec|stat |chdir/i.test(line) && !/error mounting/.test(line);
  const exitCode = aboutCommand && missing ? 127 : aboutCommand && forbidden ? 126 : 125;
  const reason =
    exitCode === 127
      ? ": OCI runtime attempted to invoke a command that was not found"
      : exitCode === 126
        ? ": OCI permission denied"
        : "";
  const hint = /(setup user|setgroups|set(res)?[ug]id).*invalid argument/i.test(line)
    ? "an id of this user or of its groups is not mapped into the container; an ordinary user's ids are those in /etc/subuid and /etc/subgid"
    : undefined;
  return new UserError(`${basename(runtime)}: ${line}${reason}`, { exitCode, hint });
}

/** A line of a runtime's log, which may be JSON or logrus text. */
function message(line: string): string {
  try {
    const { msg } = JSON.parse(line) as { msg?: unknown };
    if (typeof msg === "string") return msg;
  } catch {
    // Plain text.
  }
  const match = /msg="((?:[^"\\]|\\.)*)"/.exec(line);
  return match ? (JSON.parse(`"${match[1]}"`) as string) : line.trim();
}

/** Has the runtime do something to a container that it knows (`pause`, `resume`). Throws what it complains of. */
export async function callRuntime(
  engine: Engine,
  { config, state }: Container,
  verb: string,
  ...options: string[]
): Promise<void> {
  const words = [state.runtime, ...runtimeArguments(engine), verb, ...options, config.id];
  const child = Bun.spawn(words, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const [code, text] = await Promise.all([child.exited, child.stderr.text()]);
  if (code !== 0) throw runtimeError(state.runtime, text);
}

/** How long a started process may take to become the container's program, in milliseconds. */
const EXEC_TIMEOUT = 1000;

/**
 * Lets the created container's process run, and waits until it is the container's program: the runtime answers a
 * little earlier, and a signal that came in between would be the runtime's, which ends on it with a code of its own.
 */
export async function startInRuntime(engine: Engine, container: Container): Promise<void> {
  const { pid } = container.state;
  const before = executable(pid);
  if (!(await openGate(engine, container))) await callRuntime(engine, container, "start");
  const deadline = Date.now() + EXEC_TIMEOUT;
  while (before !== undefined && executable(pid) === before && Date.now() < deadline) await Bun.sleep(0.2);
}

/**
 * What `runc start` does to a container without hooks, without the ten milliseconds of another program: the process waits
 * to write a byte to `exec.fifo` beside runc's record, and runs its program when that is read. False where there is no such
 * thing, or nobody writes; then the runtime has the word.
 */
async function openGate(engine: Engine, container: Container): Promise<boolean> {
  const { runtime, pid } = container.state;
  if (basename(runtime) !== "runc") return false;
  const path = join(recordOf(engine, container), "exec.fifo");
  let fifo: number;
  try {
    fifo = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    const byte = new Uint8Array(1);
    const deadline = Date.now() + EXEC_TIMEOUT;
    for (;;) {
      // Looked at first: a short program may write, run and end between the two.
      const isAlive = executable(pid) !== undefined;
      if (readIfAny(fifo, byte) > 0) break;
      if (!isAlive || Date.now() > deadline) return false;
      await Bun.sleep(0.2);
    }
    // By its absence runc knows that the container runs.
    rmSync(path, { force: true });
    return true;
  } finally {
    closeSync(fifo);
  }
}

/** Bytes read; 0 while there are none. */
function readIfAny(fd: number, into: Uint8Array): number {
  try {
    return readSync(fd, into);
  } catch (error) {
    if (hasCode(error, "EAGAIN")) return 0;
    throw error;
  }
}

/** What a process executes, as /proc names it; undefined when it has ended or may not be looked at. */
function executable(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}
