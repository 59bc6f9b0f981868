/** `--log-driver journald`, on a host where systemd's journal runs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { eventually, loadImages, openUser } from "./world.ts";

let user: Awaited<ReturnType<typeof openUser>>;
beforeAll(async () => {
  user = await openUser("busybox");
  await loadImages(user.host, "busybox");
}, 60_000);
afterAll(() => user[Symbol.asyncDispose]());

test("without a journal it is refused, with what to do", async () => {
  const { code, stderr } = await user.host.run([
    "portolan",
    "run",
    "--log-driver",
    "journald",
    "busybox",
    "true",
  ]);
  expect(stderr).toMatch(/^Error: log driver journald: this machine has no journal \([^\n]*k8s-file\)\n$/);
  expect(code).toBe(125);
});

test("root's and a user's lines are written to the journal and read back from it", async () => {
  const { host } = user;
  await host.must("mkdir", "-p", "/run/systemd/journal", "/var/log/journal");
  // As after a boot: users read their own lines in the journal that is kept.
  await host.must("touch", "/run/systemd/journal/flushed");
  host.spawn(["/lib/systemd/systemd-journald"]);
  await until(
    async () => (await host.run(["test", "-S", "/run/systemd/journal/socket"])).code === 0,
    () => "the journal does not start",
  );
  const script = "echo second >&2; sleep 0.2; echo first; echo third";
  for (const who of [host, user]) {
    const run = ["run", "--name", "told", "--log-driver", "journald", "--log-opt", "tag=mine"];
    expect((await who.run(["portolan", ...run, "busybox", "sh", "-c", script])).code).toBe(0);
    const format = "{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Tag}}";
    expect(await who.must("portolan", "inspect", "--format", format, "told")).toBe("journald mine");
    await until(
      async () => (await who.run(["portolan", "logs", "told"])).stdout.includes("third"),
      () => "the journal has no such lines",
    );
    const { stdout, stderr } = await who.run(["portolan", "logs", "told"]);
    expect([stdout, stderr]).toEqual(["first\nthird\n", "second\n"]);
    expect(await who.must("portolan", "logs", "--tail", "1", "-t", "told")).toMatch(
      /^\d{4}-\d\d-\d\dT\S+Z third$/,
    );
    await who.must("portolan", "rm", "told");
  }
  const fields = ["journalctl", "--no-pager", "-o", "cat", "CONTAINER_TAG=mine", "CONTAINER_NAME=told"];
  expect(await eventually(host, ...fields)).toContain("first");

  // A reader that follows ends with the container.
  await user.must(
    "portolan",
    "run",
    "-d",
    "--name",
    "long",
    "--log-driver",
    "journald",
    "busybox",
    "sh",
    "-c",
    "echo on; sleep 2; echo off",
  );
  expect(await user.must("portolan", "logs", "-f", "long")).toBe("on\noff");
}, 60_000);
