/** Processes and threads: signals by number and name, replacing this process, adopting orphans, capabilities to ask about. */
import { readFileSync } from "node:fs";
import { check, ERRNO } from "./errno.ts";
import { errnoNow, libc } from "./libc.ts";
import { addressOf, bytes, cstr, stringArray } from "./mem.ts";

/** Signal numbers on x86-64 and arm64 (signal(7)). */
export const SIGNALS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  PWR: 30,
  SYS: 31,
  RTMIN: 34,
  RTMAX: 64,
};

/** `"SIGTERM"`, `"term"`, `"15"` → 15; undefined for anything that is no signal. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return number >= 1 && number <= 64 ? number : undefined;
  }
  const name = text.toUpperCase().replace(/^SIG/, "");
  const offset = /^RTM(IN\+|AX-)(\d+)$/.exec(name);
  if (offset) {
    const number = offset[1] === "IN+" ? 34 + Number(offset[2]) : 64 - Number(offset[2]);
    return number >= 34 && number <= 64 ? number : undefined;
  }
  return SIGNALS[name];
}

/** `15` → `"SIGTERM"`. */
export function signalName(number: number): string {
  const entry = Object.entries(SIGNALS).find(([, value]) => value === number);
  return entry ? `SIG${entry[0]}` : `SIG${number}`;
}

/** Every signal back to its default: an ignored SIGPIPE would otherwise outlive execve(2) in the new program. */
function resetSignals(): void {
  const SIG_DFL = 0;
  for (let number = 1; number <= 64; number++) libc.signal(number, SIG_DFL);
}

/** These signals pass this process by (signal(2)). */
export function ignoreSignals(numbers: readonly number[]): void {
  const SIG_IGN = 1;
  for (const number of numbers) libc.signal(number, SIG_IGN);
}

/** Replaces this process: same pid, close-on-exec descriptors gone. Returns only by throwing. */
export function exec(path: string, argv: readonly string[], env: Readonly<Record<string, string>>): never {
  const args = stringArray(argv);
  const vars = stringArray(Object.entries(env).map(([key, value]) => `${key}=${value}`));
  resetSignals();
  check(libc.execve(cstr(path), args.array, vars.array), "execve", path);
  throw new Error(`execve returned with ${args.strings.length + vars.strings.length} strings kept`);
}

const PR_SET_CHILD_SUBREAPER = 36;

/** Orphans below this process become its children (prctl(2)). */
export function becomeSubreaper(): void {
  check(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl", "PR_SET_CHILD_SUBREAPER");
}

const PR_SET_PDEATHSIG = 1;
const PR_GET_PDEATHSIG = 2;

/** The signal that the kernel sends this process when its parent's thread ends; 0 for none (prctl(2)). */
export function parentDeathSignal(): number {
  const number = bytes(4);
  check(libc.prctl(PR_GET_PDEATHSIG, addressOf(number), 0, 0, 0), "prctl", "PR_GET_PDEATHSIG");
  return new DataView(number.buffer).getInt32(0, true);
}

/** Sets it. The kernel forgets it when the process changes user, gains capabilities or enters a user namespace. */
export function setParentDeathSignal(number: number): void {
  check(libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl", "PR_SET_PDEATHSIG");
}

/** Waits until the child `pid` has ended and takes its status away (waitpid(2)); quiet when somebody else has. */
export function waitFor(pid: number): void {
  while (libc.waitpid(pid, null, 0) < 0 && errnoNow() === ERRNO.EINTR);
}

const PR_SET_NAME = 15;

/** The name by which ps(1) and pkill(1) know this process, up to 15 bytes; `execve` has set it to the file's. */
export function setProcessName(name: string): void {
  check(libc.prctl(PR_SET_NAME, addressOf(cstr(name)), 0, 0, 0), "prctl", "PR_SET_NAME");
}

/** True while `pid` exists and is no zombie. */
export function isAlive(pid: number): boolean {
  return startTime(pid) !== undefined;
}

/**
 * When `pid` began, in clock ticks since boot (field 22 of /proc/PID/stat): with the pid, an identity that a later
 * process can't take over. Undefined for no process or a zombie.
 */
export function startTime(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}

/** The kernel's id of this boot; what lives under the run directory belongs to one boot. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** chroot(2) into `path` and make it the working directory. */
export function enterRoot(path: string): void {
  check(libc.chroot(cstr(path)), "chroot", path);
  check(libc.chdir(cstr("/")), "chdir", "/");
}
