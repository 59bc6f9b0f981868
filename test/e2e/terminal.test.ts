/** `-it` at a real terminal: raw mode, sizes, keys, the end of input, detaching and attaching, exit codes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import type { TestHost } from "../support/host.ts";
import { openHost, openUser } from "./world.ts";

let host: TestHost;
beforeAll(async () => {
  host = await openHost("busybox");
  await host.must("portolan", "run", "-d", "--init", "--name", "one", "busybox", "sleep", "1000");
}, 60_000);
afterAll(() => host[Symbol.asyncDispose]());

const CTRL_C = "\x03";
const CTRL_D = "\x04";
const DETACH = "\x10\x11";

/** A shell that edits no lines, so that what is echoed is echoed by the terminal; it outlives Ctrl-C. */
const SHELL = ["sh", "-c", 'trap : INT; echo ready; while read -r line; do eval "$line"; done'];

for (const words of [
  ["run", "--rm", "-it", "busybox"],
  ["exec", "-it", "one"],
])
  test(`${words[0]} -it: echo, size, resizing, Ctrl-C, exit code`, async () => {
    const shell = host.terminal("portolan", ...words, ...SHELL);
    await shell.until(/ready\r\n$/);
    // Echoed once: by the container's terminal, not by the person's, which is raw.
    shell.type("echo fir''st\r");
    await shell.until(/ready\r\necho fir''st\r\nfirst\r\n$/);
    shell.type("tty; stty size\r");
    await shell.until(/\/dev\/(pts\/\d+|console)\r\n24 80\r\n/);
    shell.resize(100, 40);
    shell.type("until stty size | grep '40 100'; do sleep 0.05; done\r");
    await shell.until(/\r\n40 100\r\n/);
    shell.type("sleep 1234; echo sta''tus $?\r");
    await until(
      async () => (await host.must("ps", "-e", "-o", "args=")).split("\n").includes("sleep 1234"),
      () => "sleep does not run",
    );
    // The key's signal is for the programs inside; the terminal's own engine lives on.
    shell.type(CTRL_C);
    await shell.until(/\^C/);
    shell.type("echo still he''re\r");
    await shell.until(/still here\r\n/);
    shell.type("exit 7\r");
    expect(await shell.exited).toBe(7);
  });

test("exec -it: Ctrl-D ends the input, and the person's terminal is as it was", async () => {
  const modes = "stty -a | tr ' ;' '\\n\\n' | grep -E '^-?(icanon|echo|isig|opost)$' | tr '\\n' ' '";
  const script = `${modes}; portolan exec -it one sh -c 'echo ready; cat'; echo status $?; ${modes}; echo done`;
  const shell = host.terminal("sh", "-c", script);
  await shell.until(/ready\r\n$/);
  shell.type("to cat\r");
  await shell.until(/to cat\r\nto cat\r\n$/);
  shell.type(CTRL_D);
  await shell.until(/^((?:\w+ ){4})ready\r\n[\s\S]*status 0\r\n\1done\r\n$/);
  expect(await shell.exited).toBe(0);
});

test("exec -it: a command that is not there leaves the terminal as it was", async () => {
  const shell = host.terminal(
    "sh",
    "-c",
    "portolan exec -it one /nope; echo status $?; stty -a | grep -c ' icanon'",
  );
  await shell.until(/status 127\r\n1\r\n/);
  expect(await shell.exited).toBe(0);
});

test("exec -it: the detach keys leave the command running", async () => {
  const shell = host.terminal("portolan", "exec", "-it", "one", "sh", "-c", "echo ready; sleep 4321");
  await shell.until(/ready/);
  shell.type(DETACH);
  expect(await shell.exited).toBe(0);
  expect(await host.must("portolan", "top", "one", "args")).toContain("sleep 4321");
});

test("run -it: detached by keys of its own, attached again, ended", async () => {
  const name = ["--detach-keys", "ctrl-x,d", "--name", "two"];
  const first = host.terminal("portolan", "run", "-it", ...name, "busybox", ...SHELL);
  await first.until(/ready\r\n$/);
  first.type("word=kept\r");
  await first.until(/word=kept\r\n$/);
  first.type("\x18d");
  expect(await first.exited).toBe(0);
  expect(await host.must("portolan", "inspect", "-f", "{{.State.Status}}", "two")).toBe("running");
  const again = host.terminal("portolan", "attach", "two");
  again.type("echo $word\r");
  await again.until(/\r\nkept\r\n/);
  again.resize(90, 30);
  again.type("until stty size | grep '30 90'; do sleep 0.05; done\r");
  await again.until(/\r\n30 90\r\n/);
  again.type("exit 3\r");
  expect(await again.exited).toBe(3);
  expect(await host.must("portolan", "logs", "two")).toContain("kept");
});

test("start -ai: the same container's terminal, again", async () => {
  const shell = host.terminal("portolan", "start", "-ai", "two");
  await shell.until(/ready\r\n$/);
  shell.type("stty size; exit 4\r");
  await shell.until(/24 80\r\n/);
  expect(await shell.exited).toBe(4);
});

test("detach keys that are none are refused", async () => {
  const { code, stderr } = await host.run([
    "portolan",
    "exec",
    "-it",
    "--detach-keys",
    "ctrl-~",
    "one",
    "true",
  ]);
  expect(stderr).toMatch(/^(time=[^\n]*\n)?Error: [^\n]*detach[^\n]*\n$/i);
  expect(code).not.toBe(0);
});

test("without -t, input goes on to its end, from where others have read to, and output after it", async () => {
  const script = "sh -c 'cat; echo; echo end'";
  const input = `first line\n${"x".repeat(300_000)}`;
  await host.write("/tmp/input", input);
  const { code, stdout } = await host.run([
    "sh",
    "-c",
    `(read -r line; portolan exec -i one ${script}) </tmp/input
    cat /tmp/input | (read -r line; portolan run --rm -i busybox ${script})`,
  ]);
  expect(code).toBe(0);
  const rest = `${"x".repeat(300_000)}\nend\n`;
  expect(stdout).toBe(rest + rest);
});

test("the end of a pipe reaches every container of many that read at once", async () => {
  const one = `head -c 200000 /dev/zero | portolan run --rm -i --network none busybox wc -c`;
  for (let round = 0; round < 3; round++) {
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => host.run(["timeout", "20", "sh", "-c", one])),
    );
    expect(outcomes.map(({ code, stdout }) => `${code} ${stdout.trim()}`)).toEqual(
      new Array(8).fill("0 200000"),
    );
  }
}, 90_000);

test("run -it, start -ai by a user: the terminal stays raw when the network helper has ended", async () => {
  await using user = await openUser("busybox");
  const name = ["--name", "mine"];
  for (const words of [
    ["run", "-it", ...name, "busybox", ...SHELL],
    ["start", "-ai", "mine"],
  ]) {
    const shell = user.terminal("portolan", ...words);
    await shell.until(/ready\r\n$/);
    await until(
      async () => !(await user.host.must("ps", "-e", "-o", "comm=")).split("\n").includes("portolan-net"),
      () => "the network helper does not end",
    );
    shell.type("sleep 1234\r");
    await until(
      async () => (await user.host.must("ps", "-e", "-o", "args=")).split("\n").includes("sleep 1234"),
      () => "sleep does not run",
    );
    shell.type(CTRL_C);
    await shell.until(/ready\r\nsleep 1234\r\n\^C/);
    shell.type("exit 7\r");
    expect(await shell.exited).toBe(7);
  }
}, 60_000);
