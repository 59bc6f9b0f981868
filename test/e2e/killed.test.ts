/** The executable is killed at any instant of run and rm; the next command ends what it began. */
import { expect, test } from "bun:test";
import { until } from "../support/await.ts";
import type { TestHost } from "../support/host.ts";
import { Killer } from "../support/killer.ts";
import { difference, type Snapshot, snapshot } from "../support/leaks.ts";
import { openHost } from "./world.ts";

const ROUNDS = 30;
const RUN = ["portolan", "run", "--name", "victim", "-p", "8080:80"];
const REMOVE = ["portolan", "rm", "-f", "-t", "0", "victim"];

/** Awaits, with one command after another, that nothing is left: what started before the kill may still be ending. */
async function expectClean(host: TestHost, before: Snapshot): Promise<void> {
  let left: string[] = [];
  await until(
    async () => {
      const rows = await host.must("portolan", "ps", "-a", "--format", "{{.Names}} {{.Status}}");
      left = [...rows.split("\n").filter(Boolean), ...difference(before, await snapshot(host))];
      return left.length === 0;
    },
    () => `left behind:\n${left.join("\n")}`,
    15,
  );
}

test("kill -9 of `run --rm` with a published port leaves nothing behind", async () => {
  await using host = await openHost("busybox");
  await host.must(...RUN, "--rm", "busybox", "true");
  const killer = await Killer.from(host, ...RUN, "--rm", "busybox", "true");
  const before = await snapshot(host);
  for (let round = 0; round < ROUNDS; round++) {
    await killer.run(...RUN, "--rm", "busybox", "true");
    await expectClean(host, before);
  }
  expect(killer.kills).toBeGreaterThan(0);
}, 90_000);

test("kill -9 of `rm -f` on a published port leaves nothing behind once it is removed again", async () => {
  await using host = await openHost("busybox");
  await host.must(...RUN, "-d", "busybox", "sleep", "1000");
  const killer = await Killer.from(host, ...REMOVE);
  const before = await snapshot(host);
  for (let round = 0; round < ROUNDS; round++) {
    await host.must(...RUN, "-d", "busybox", "sleep", "1000");
    await killer.run(...REMOVE);
    await host.must(...REMOVE);
    await expectClean(host, before);
  }
  expect(killer.kills).toBeGreaterThan(0);
}, 90_000);

test("a container with --rm whose command was killed is removed when it ends, with no other command's help", async () => {
  await using host = await openHost("busybox");
  await host.must("portolan", "run", "--rm", "busybox", "true");
  await host.must("mkdir", "/tmp/shared");
  const before = await snapshot(host);
  const body = "touch /shared/up; until [ -e /shared/end ]; do sleep 0.01; done";
  const script = `
    portolan run --rm -p 8080:80 -v /tmp/shared:/shared busybox sh -c '${body}' & command=$!
    until [ -e /tmp/shared/up ]; do sleep 0.01; done
    kill -9 $command
    touch /tmp/shared/end`;
  await host.must("sh", "-c", script);
  await until(
    async () => (await host.must("ls", "/var/lib/portolan/containers")) === "",
    () => "the container is still there",
  );
  await host.must("rm", "/tmp/shared/up", "/tmp/shared/end");
  await expectClean(host, before);
}, 60_000);
