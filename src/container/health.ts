/**
 * Health checks. A container that has one gets a small process of ours beside it (`__health`), started with it, which
 * runs the check at each interval and ends when the container's first process does; no systemd is needed.
 */
import { UserError } from "../base/errors.ts";
import { selfCommand } from "../base/self.ts";
import { startTime } from "../sys/process.ts";
import { recordContainerEvent } from "./cleanup.ts";
import { type Container, type HealthCheck, type HealthLogEntry, statusOf } from "./config.ts";
import { Engine, type GlobalOptions } from "./engine.ts";
import { execInContainer } from "./exec.ts";

/** How many results, and how much of the output of each, are kept. */
const LOG_ENTRIES = 5;
const OUTPUT_BYTES = 500;
/** How often the timer looks whether the container is still there, in milliseconds. */
const LOOK = 1000;

/** Starts the timer of a container that has just been started; nothing for one without a check or an interval. */
export function startHealthTimer(engine: Engine, container: Container): void {
  const { health } = container.config;
  if (!hasCheck(health) || health.interval === 0) return;
  const words = [...selfCommand(), "__health", JSON.stringify(engine.global), container.config.id];
  Bun.spawn(words, { cwd: "/", stdio: ["ignore", "ignore", "ignore"], detached: true }).unref();
}

export function hasCheck(health: HealthCheck | undefined): health is HealthCheck {
  return health !== undefined && health.test.length > 0 && health.test[0] !== "NONE";
}

/** The timer's process: `__health GLOBAL-OPTIONS-AS-JSON ID`. */
export async function healthMain([globals = "{}", id = ""]: readonly string[]): Promise<number> {
  const engine = Engine.open(JSON.parse(globals) as GlobalOptions);
  const container = engine.containers.byId(id);
  if (!container || !hasCheck(container.config.health)) return 0;
  const { pid } = container.state;
  const began = startTime(pid);
  const alive = () => began !== undefined && startTime(pid) === began;
  while (alive()) {
    const next = Date.now() + container.config.health.interval;
    while (alive() && Date.now() < next) await Bun.sleep(Math.min(LOOK, Math.max(1, next - Date.now())));
    if (!alive()) break;
    const now = engine.containers.byId(id);
    if (now && statusOf(now) === "running" && now.state.pid === pid) await runHealthCheck(engine, now);
  }
  return 0;
}

/** Runs the check once, writes its result, and gives the container's status then. */
export async function runHealthCheck(engine: Engine, container: Container): Promise<string> {
  return (await checkHealth(engine, container)).status;
}

/** The same, and whether this one check went well. */
export async function checkHealth(
  engine: Engine,
  container: Container,
): Promise<{ status: string; isGood: boolean }> {
  const { health } = container.config;
  if (!hasCheck(health)) throw new UserError(`container ${container.config.id} has no defined healthcheck`);
  if (statusOf(container) !== "running")
    throw new UserError(`container ${container.config.id} is not running`);
  const entry = await probe(engine, container, health);
  const status = await engine.containers.locked(container.config.id, async now => {
    if (now.phase !== "running" || now.state.pid !== container.state.pid) return "";
    now.state.health = judge(now, health, entry);
    engine.containers.save(now);
    recordContainerEvent(engine, now, "health_status", {
      attributes: { health_status: now.state.health.status },
    });
    return now.state.health.status;
  });
  return { status, isGood: entry.exitCode === 0 };
}

/** What one result makes of the status: failures count only once the start period is over. */
export function judge(
  { state }: Container,
  health: HealthCheck,
  entry: HealthLogEntry,
): NonNullable<Container["state"]["health"]> {
  const before = state.health ?? { status: "starting" as const, failingStreak: 0, log: [] };
  const log = [...before.log, entry].slice(-LOG_ENTRIES);
  if (entry.exitCode === 0) return { status: "healthy", failingStreak: 0, log };
  if (before.status === "starting" && Date.parse(entry.start) < state.startedAt + health.startPeriod)
    return { ...before, log };
  const failingStreak = before.failingStreak + 1;
  return { status: failingStreak >= health.retries ? "unhealthy" : before.status, failingStreak, log };
}

async function probe(engine: Engine, container: Container, health: HealthCheck): Promise<HealthLogEntry> {
  const [kind, ...words] = health.test;
  const command =
    kind === "CMD-SHELL" ? ["/bin/sh", "-c", words.join(" ")] : kind === "CMD" ? words : [...health.test];
  const start = new Date();
  const pieces: Buffer[] = [];
  let kept = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let timedOut = false;
  let exitCode: number;
  try {
    const result = await execInContainer(engine, container, {
      command,
      output: data => {
        if (kept < OUTPUT_BYTES) pieces.push(Buffer.from(data));
        kept += data.length;
      },
      started: pid => {
        const began = startTime(pid);
        timer = setTimeout(() => {
          timedOut = true;
          if (began !== undefined && startTime(pid) === began) process.kill(pid, "SIGKILL");
        }, health.timeout);
      },
    });
    exitCode = timedOut ? -1 : result.exitCode;
  } catch (error) {
    exitCode = error instanceof UserError ? error.exitCode : 125;
    pieces.push(Buffer.from((error as Error).message));
  } finally {
    clearTimeout(timer);
  }
  const output = Buffer.concat(pieces).toString("utf8").slice(0, OUTPUT_BYTES);
  return { start: start.toISOString(), end: new Date().toISOString(), exitCode, output };
}
