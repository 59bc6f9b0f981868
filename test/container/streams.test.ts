/** Streams of containers and of commands in them, with the real conmon and runtime. Needs root and /bin/busybox. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { attachContainer } from "../../src/container/attach.ts";
import { awaitExit } from "../../src/container/cleanup.ts";
import type { Container } from "../../src/container/config.ts";
import { type ExecOptions, execInContainer } from "../../src/container/exec.ts";
import { runHealthCheck } from "../../src/container/health.ts";
import { inspectContainer } from "../../src/container/inspect.ts";
import { type LogLine, readLogs } from "../../src/container/logs.ts";
import { startContainer } from "../../src/container/start.ts";
import { parseDescriptors, topOf } from "../../src/container/top.ts";
import { ContainerWorld } from "./world.ts";

let world: ContainerWorld;
let sleeper: Container;

beforeAll(async () => {
  world = await ContainerWorld.open();
  sleeper = await world.run(["sleep", "100000"]);
});

afterAll(() => world[Symbol.asyncDispose]());

async function exec(command: string[], options: Partial<ExecOptions> = {}) {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const result = await execInContainer(world.engine, sleeper, {
    command,
    output: (data, isError) => (isError ? err : out).push(Buffer.from(data)),
    ...options,
  });
  return { ...result, out: Buffer.concat(out), err: Buffer.concat(err).toString() };
}

test("exec passes on streams and exit code", async () => {
  const { out, err, exitCode } = await exec(["sh", "-c", "echo out; echo err >&2; exit 42"]);
  expect([out.toString(), err, exitCode]).toEqual(["out\n", "err\n", 42]);
});

test("exec takes user, directory and environment", async () => {
  const { out } = await exec(["sh", "-c", "id -u; id -g; pwd; echo $A $HOME"], {
    user: "user",
    workdir: "/tmp",
    env: ["A=b=c"],
  });
  expect(out.toString()).toBe("1000\n1000\n/tmp\nb=c /home/user\n");
});

test("a command that is not there ends with 127, one that can't be run with 126", async () => {
  expect(await exec(["missing-command"]).catch(error => error.exitCode)).toBe(127);
  expect(await exec(["/etc/passwd"]).catch(error => error.exitCode)).toBe(126);
});

test("ten megabytes arrive whole", async () => {
  const { out } = await exec(["sh", "-c", "yes 123456789 | head -c 10000000"]);
  expect(out.length).toBe(10_000_000);
  expect(out.equals(Buffer.alloc(10_000_000, "123456789\n"))).toBe(true);
});

function underTerminal(...command: string[]) {
  let text = "";
  let wake = () => {};
  const terminal = new Bun.Terminal({
    cols: 91,
    rows: 33,
    data(_, data) {
      text += Buffer.from(data).toString();
      wake();
    },
  });
  const { root, runRoot } = world.engine.paths;
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "exec-child.ts"), root, runRoot, sleeper.config.id, ...command],
    { terminal },
  );
  return {
    terminal,
    child,
    async until(wanted: string) {
      while (!text.includes(wanted)) await new Promise<void>(resolve => (wake = resolve));
      return text;
    },
  };
}

test("a terminal has its size from the first instruction, and each new one", async () => {
  const { terminal, child, until } = underTerminal(
    "sh",
    "-c",
    "stty size; echo ready; until stty size | grep '50 120'; do sleep 0.02; done; exit 7",
  );
  expect(await until("ready")).toContain("33 91");
  // The child is not the terminal's session leader, so the kernel does not signal it by itself.
  terminal.resize(120, 50);
  child.kill("SIGWINCH");
  await until("50 120");
  expect(await child.exited).toBe(7);
  terminal.close();
});

test("the detach keys leave the command running", async () => {
  const { terminal, child, until } = underTerminal("sh", "-c", "echo ready; sleep 77777");
  await until("ready");
  terminal.write("\x10\x11");
  expect(await child.exited).toBe(99);
  expect(topOf(sleeper, parseDescriptors([])!).some(row => row.at(-1) === "sleep 77777")).toBe(true);
  terminal.close();
});

test("a container's first output is not lost, and its log tells it too", async () => {
  const { config } = await world.create(["sh", "-c", "echo one; echo two >&2; printf three"]);
  const seen: string[] = [];
  let done: Promise<unknown> = Promise.resolve();
  await startContainer(world.engine, config.id, {
    created: container => {
      const output = (data: Uint8Array, isError: boolean) => {
        seen.push(`${isError ? 2 : 1}${Buffer.from(data).toString()}`);
      };
      ({ done } = attachContainer(world.engine, container, { tty: false, stdin: false, output }));
    },
  });
  await done;
  expect(
    seen
      .filter(piece => piece.startsWith("1"))
      .map(piece => piece.slice(1))
      .join(""),
  ).toBe("one\nthree");
  const container = world.engine.containers.get(config.id);
  await awaitExit(world.engine, container);
  const lines: LogLine[] = [];
  for await (const line of readLogs(world.engine, container, { follow: true })) lines.push(line);
  const told = lines.map(({ stream, text, partial }) => `${stream} ${text}${partial ? "" : "$"}`);
  expect(told.toSorted()).toEqual(["stderr two$", "stdout one$", "stdout three"]);
});

test("a health check makes a container healthy, or unhealthy after its retries", async () => {
  const { engine } = world;
  const good = await world.run(["sleep", "1000"], { healthCmd: "true", healthInterval: "1h" });
  expect(await runHealthCheck(engine, good)).toBe("healthy");
  const bad = await world.run(["sleep", "1000"], {
    healthCmd: "false",
    healthInterval: "1h",
    healthRetries: 2,
  });
  expect(await runHealthCheck(engine, bad)).toBe("starting");
  expect(await runHealthCheck(engine, bad)).toBe("unhealthy");
});

test("inspect tells of a running container as it is", () => {
  const told = inspectContainer(world.engine, world.engine.containers.get(sleeper.config.id));
  expect(told).toMatchObject({
    Id: sleeper.config.id,
    Path: "sleep",
    Args: ["100000"],
    State: { Status: "running", Running: true, Pid: sleeper.state.pid },
    NetworkSettings: { IPAddress: "" },
  });
});
