/** An ordinary user's network service: his commands find it whether they, and it, are inside his user namespace or not. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { chownSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { bindPorts } from "../../src/netd/port-sockets.ts";
import { closeFd } from "../../src/sys/fd.ts";
import { parseIP } from "../../src/wire/addr.ts";
import { until } from "../support/await.ts";
import { PORTOLAN } from "../support/host.ts";
import { askTcp, serveTcp, stopSockets } from "../support/sockets.ts";
import { UserNamespace } from "../support/user-namespace.ts";
import { EXECUTABLE, GUEST, ServiceWorld } from "./service-world.ts";

let user: UserNamespace;
let world: ServiceWorld;
beforeAll(async () => {
  user = await UserNamespace.create();
});
afterAll(() => user[Symbol.asyncDispose]());
afterEach(async () => {
  stopSockets();
  await world[Symbol.asyncDispose]();
});

const CLIENT = [process.execPath, join(import.meta.dir, "service-client.ts")];
const INSIDE = () => user.words([]);
const outside = (uid: number) => [
  "setpriv",
  `--reuid=${uid}`,
  `--regid=${uid}`,
  "--clear-groups",
  "--inh-caps=-all",
];

/** A command of the user's; `gives`: a tap and a listening socket to give. */
async function command(words: readonly string[], gives: readonly number[] = []) {
  const child = world.host.run(() =>
    Bun.spawn([...words, ...CLIENT, world.runRoot, PORTOLAN], {
      stdio: ["ignore", "pipe", "pipe", ...gives],
      env: gives.length > 0 ? { GIVES: "1" } : {},
    }),
  );
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { stdout: stdout.trim(), stderr };
}

test.each([
  ["inside", true],
  ["outside", false],
])("started from %s", async (_, inside) => {
  world = new ServiceWorld(EXECUTABLE);
  chownSync(world.runRoot, user.first, user.first);
  const [here, there] = inside ? [INSIDE(), outside(user.first)] : [outside(user.first), INSIDE()];
  const { guest, tap } = world.addGuest();
  serveTcp(guest, GUEST, 80, "guest");
  const wanted = { protocol: "tcp" as const, hostAddress: parseIP("127.0.0.1")!, hostPort: 8080, count: 1 };
  const [listener] = world.host.run(() => bindPorts(wanted));
  expect(await command(here, [tap, listener!])).toEqual({ stdout: "tap a, ports a", stderr: "" });
  closeFd(tap);
  closeFd(listener!);
  const userns = readlinkSync(`/proc/${world.pidOf("netd")}/ns/user`);
  for (const killed of [undefined, "netd", "netd-service"] as const) {
    if (killed) {
      const pid = world.pidOf(killed);
      process.kill(pid, "SIGKILL");
      await until(
        () => ![0, pid].includes(world.pidOf(killed)),
        () => world.log,
      );
    }
    expect(await askTcp(world.host, "127.0.0.1", 8080)).toBe("guest 10.0.2.2");
    expect(await command(there)).toEqual({ stdout: "tap a, ports a", stderr: "" });
    for (const { pid } of world.processes()) {
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      expect(status).toMatch(new RegExp(`Uid:\\s${user.first}\\s`));
      expect(status).toMatch(/Seccomp:\s2\n/);
      // Its sockets are the host's, its rights none but those over low ports, and they in the user's namespace.
      expect(readlinkSync(`/proc/${pid}/ns/user`) === readlinkSync("/proc/self/ns/user")).toBe(!inside);
      expect(readlinkSync(`/proc/${pid}/ns/user`)).toBe(userns);
      expect(status).toMatch(inside ? /CapEff:\s0000000000000400\n/ : /CapEff:\s0000000000000000\n/);
      expect(readdirSync(`/proc/${pid}/root/`).includes("home")).toBe(!inside);
    }
  }
  // A container's user, who is another on the machine, is refused; root can do as he likes with the file, but not ask.
  for (const uid of [user.first + 33, 0]) {
    const { stderr } = await command(outside(uid));
    expect(stderr).toContain(uid === 0 ? "this network service is not that of user" : "permission denied");
  }
});

test("where no more directories can be watched it runs all the same", async () => {
  world = new ServiceWorld(EXECUTABLE);
  await using poor = await UserNamespace.create();
  chownSync(world.runRoot, poor.first, poor.first);
  const watchless = ["sh", "-c", 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"', "sh"];
  expect(await command(poor.words(watchless))).toEqual({ stdout: "", stderr: "" });
  expect(world.processes()).toHaveLength(2);
  expect(world.log).toContain("the network service will not see it: inotify_init1: too many open files");
});
