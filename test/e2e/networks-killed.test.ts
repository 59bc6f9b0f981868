/** Containers between networks when the command that moves them is killed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import type { TestHost } from "../support/host.ts";
import { Killer } from "../support/killer.ts";
import { difference, snapshot } from "../support/leaks.ts";
import { expectClean, openSettledHost, withoutTrace } from "./without-trace.ts";
import { openUser } from "./world.ts";

let host: TestHost;
beforeAll(async () => {
  host = await openSettledHost();
}, 60_000);
afterAll(() => host[Symbol.asyncDispose]());

const portolan = (...words: string[]) => host.must("portolan", ...words);
const create = (name: string, ...words: string[]) => portolan("network", "create", ...words, name);
const inside = (name: string, ...command: string[]) => portolan("exec", name, ...command);
const leavesNothing = (body: () => Promise<void>) => withoutTrace(host, body);
const SERVE = ["sh", "-c", "while :; do echo hello | nc -l -p 80; done"];

const ROUNDS = 15;

test(
  "kill -9 of connect and disconnect: the next command ends what they began",
  () =>
    leavesNothing(async () => {
      await create("first", "--subnet", "10.56.0.0/24");
      await create("second", "--subnet", "10.57.0.0/24", "-o", "isolate=true");
      const look = "ls /sys/class/net; cat /etc/hosts; ip route; nslookup -type=a one.dns.podman 10.56.0.1";
      await portolan(
        ...["run", "-d", "--name", "one", "--network", "first", "-p", "8080:80", "busybox", ...SERVE],
      );
      const change = (verb: string, network: string) => ["portolan", "network", verb, network, "one"];
      const [connect, disconnect] = [change("connect", "second"), change("disconnect", "second")];

      const killer = await Killer.from(host, ...connect);
      await inside("one", "true");
      await host.must(...disconnect);
      const off = await snapshot(host);

      for (let round = 0; round < ROUNDS; round++)
        for (const command of [connect, disconnect]) {
          await killer.run(...command);
          const isOn = (await portolan("ps", "--format", "{{.Networks}}")).includes("second");
          const found = await inside("one", "sh", "-c", look);
          expect(found).toContain("default via 10.56.0.1");
          expect(found).toMatch(/Name:\s+one\.dns\.podman\nAddress: 10\.56\.0\./);
          expect([found.includes("eth1"), found.includes("\n10.57.0.")]).toEqual([isOn, isOn]);
          if (!isOn) await expectClean(host, off);
        }
      expect(killer.kills).toBeGreaterThan(0);
    }),
  90_000,
);

test("the network that carries the published port is left half way: the port leads to the other", () =>
  leavesNothing(async () => {
    await create("first", "--subnet", "10.56.0.0/24");
    await create("second", "--subnet", "10.57.0.0/24");
    await portolan(
      ...["run", "-d", "--name", "one", "--network", "first", "--network", "second"],
      ...["-p", "8080:80", "busybox", ...SERVE],
    );
    const get = () => host.run(["curl", "-s", "-m", "1", "--http0.9", "http://127.0.0.1:8080"]);
    await until(
      async () => (await get()).stdout === "hello\n",
      () => "the port is not published",
    );
    for (let round = 0; round < 5; round++) {
      const seconds = `${Math.random() * 0.06}`;
      await host.run([
        "timeout",
        "--foreground",
        "-s",
        "KILL",
        seconds,
        "portolan",
        "network",
        "disconnect",
        "first",
        "one",
      ]);
      await portolan("ps");
      await until(
        async () => (await get()).stdout === "hello\n",
        () => "the port is not published any more",
      );
      if (!(await portolan("ps", "--format", "{{.Networks}}")).includes("first"))
        await portolan("network", "connect", "first", "one");
    }
  }));

test("kill -9 of an ordinary user's connect and disconnect, likewise", async () => {
  await using user = await openUser("busybox");
  const before = await snapshot(user.host);
  const must = (...words: string[]) => user.must("portolan", ...words);
  for (const [name, subnet] of [
    ["first", "10.56.0.0/24"],
    ["second", "10.57.0.0/24"],
  ] as const)
    await must("network", "create", "--subnet", subnet, name);
  await must(...["run", "-d", "--name", "one", "--network", "first", "-p", "8080:80", "busybox", ...SERVE]);
  const change = (verb: string) => ["portolan", "network", verb, "second", "one"];
  const killer = await Killer.from(user, ...change("connect"));
  const look = "ls /sys/class/net; cat /etc/hosts; nslookup -type=a one.dns.podman 10.56.0.1";
  for (let round = 0; round < 6; round++)
    for (const verb of ["disconnect", "connect"]) {
      await killer.run(...change(verb));
      const isOn = (await must("ps", "--format", "{{.Networks}}")).includes("second");
      const found = await must("exec", "one", "sh", "-c", look);
      expect(found).toMatch(/Name:\s+one\.dns\.podman\nAddress: 10\.56\.0\./);
      expect([found.includes("eth1"), found.includes("\n10.57.0.")]).toEqual([isOn, isOn]);
      await until(
        async () =>
          (await user.run(["curl", "-s", "-m", "1", "--http0.9", "127.0.0.1:8080"])).stdout === "hello\n",
        () => "the port is not published any more",
      );
    }
  expect(killer.kills).toBeGreaterThan(0);
  await must("rm", "-f", "-t", "0", "one");
  await must("network", "prune", "-f");
  let left: string[] = [];
  await until(
    async () => {
      const after = await snapshot(user.host);
      left = ["namespaces", "links", "firewall", "mounts", "processes", "sockets"].flatMap(kind =>
        difference({ [kind]: before[kind]! }, { [kind]: after[kind]! }),
      );
      return left.every(line => /pause|catatonit|netns/.test(line));
    },
    () => `left behind:\n${left.join("\n")}`,
  );
}, 90_000);
