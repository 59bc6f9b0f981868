/** What a tab completes, in real shells, and what it costs: nothing is made, joined or repaired. */
import { expect, test } from "bun:test";
import type { TerminalSession } from "../support/host.ts";
import { openHost, openUser } from "./world.ts";

/** A shell with the completion in force, at its prompt. */
async function ready(shell: TerminalSession, ...setup: string[]): Promise<void> {
  for (const line of setup) shell.type(`${line}\r`);
  shell.type("echo read''y\r");
  await shell.until(/\nready\r\n/);
}

const ask = (...words: string[]) => ["portolan", "__complete", ...words];

test("bash: verbs, flags, and names by the state that the verb needs", async () => {
  await using host = await openHost("busybox");
  for (const name of ["harbour", "lighthouse"])
    await host.must("portolan", "run", "-d", "--name", name, "busybox", "sleep", "1000");
  await host.must("portolan", "create", "--name", "wreck", "busybox");
  await host.must("portolan", "network", "create", "seaway");
  await host.must("portolan", "volume", "create", "keel");

  const shell = host.terminal("bash", "--norc");
  await ready(
    shell,
    "PS1='> '",
    "bind 'set enable-bracketed-paste off'",
    "source <(portolan completion bash)",
  );
  const completed = async (typed: string, whole: string) => {
    shell.type(`${typed}\t`);
    await shell.until(new RegExp(`> ${whole}$`));
    shell.type("\u0003");
    await shell.until(/\^C\r\n> $/);
  };
  await completed("portolan renam", "portolan rename ");
  await completed("portolan rm wr", "portolan rm wreck ");
  await completed("portolan stop -t 0 ha", "portolan stop -t 0 harbour ");
  await completed("portolan start w", "portolan start wreck ");
  await completed("portolan run --network-", "portolan run --network-alias ");
  await completed("portolan run --network sea", "portolan run --network seaway ");
  await completed("portolan run --network=sea", "portolan run --network=seaway ");
  await completed("portolan run --network=container:li", "portolan run --network=container:lighthouse ");
  await completed("portolan run -v ke", "portolan run -v keel:");
  await completed("portolan run --rm bus", "portolan run --rm busybox ");
  shell.type("portolan rm \t\t");
  await shell.until(/harbour +\(running, .*busybox.*\)[\s\S]*lighthouse[\s\S]*wreck +\(created/);
  shell.type("\u0015exit\r");
  await shell.exited;

  // What the verb can't do anything with is no candidate.
  expect(await host.must(...ask("start", ""))).not.toContain("harbour");
  expect(await host.must(...ask("stop", ""))).not.toContain("wreck");
  expect(await host.must(...ask("rm", "wreck", ""))).not.toContain("wreck\t");
  // Neither is harm done by what makes no sense.
  for (const words of [["$(touch /tmp/harm)"], ["run", "--nowhere=", "'"], ["", "--", "-"], []])
    expect((await host.run(ask(...words))).code).toBe(0);
  expect(await host.must("portolan", "__complete-plain", "rm", "wr")).toBe("wreck\n:");
}, 60_000);

test("zsh and fish; the script in a file", async () => {
  await using host = await openHost("busybox");
  await host.must("portolan", "create", "--name", "wreck", "busybox");
  const zsh = host.terminal("zsh", "-f");
  await ready(zsh, "PS1='> '", "autoload -U compinit; compinit -D", "source <(portolan completion zsh)");
  zsh.type("portolan rm wr\t");
  await zsh.until(/portolan rm wr.*eck/);
  zsh.type("\u0015exit 0\r");
  expect(await zsh.exited).toBe(0);

  await host.must("portolan", "completion", "-f", "/tmp/portolan.fish", "--no-desc", "fish");
  const listed = await host.must(
    ...["fish", "--no-config", "-c", "source /tmp/portolan.fish; complete -C 'portolan rm '"],
  );
  expect(listed).toContain("wreck");
  expect((await host.run(["portolan", "completion", "tcsh"])).stderr).toContain("choose bash, zsh or fish");
}, 60_000);

test("an ordinary user's tab makes no state and joins no namespace", async () => {
  await using user = await openUser();
  expect(await user.must(...ask("rm", ""))).toBe(":");
  expect(await user.must("sh", "-c", "ls -A . $XDG_RUNTIME_DIR | grep -v : | wc -w")).toBe("0");
}, 60_000);
