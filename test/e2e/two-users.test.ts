/** Two ordinary users of one host at the same time: neither sees or touches what is the other's. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { until } from "../support/await.ts";
import { difference } from "../support/leaks.ts";
import { TestUser } from "../support/user.ts";
import { settledSnapshot } from "../support/user-leaks.ts";
import { eventually, loadImages, openUser } from "./world.ts";

let one: TestUser & AsyncDisposable;
let two: TestUser;
beforeAll(async () => {
  one = await openUser("busybox");
  two = await TestUser.add(one.host, { name: "pilot", uid: 4322, subids: 300_000 });
  await loadImages(two, "busybox");
  // The users' namespaces stay for the next command, and directories of networks, by design.
  for (const user of [one, two]) {
    await user.must("portolan", "network", "create", "sea");
    await user.must("portolan", "run", "--rm", "--network", "sea", "busybox", "true");
    await user.must("portolan", "network", "rm", "sea");
  }
}, 60_000);
afterAll(() => one?.[Symbol.asyncDispose]());

const PAGE = "mkdir /www; hostname >/www/index.html; exec httpd -f -p 80 -h /www";
const serve = (user: TestUser, port: number, ...options: string[]) =>
  user.run([
    ...["portolan", "run", "-d", "--name", "web", "--hostname", user.name, "-p", `${port}:80`, ...options],
    ...["busybox", "sh", "-c", PAGE],
  ]);

test("each has containers, volumes, networks and images of his own, under the same names", async () => {
  const before = [await settledSnapshot(one), await settledSnapshot(two)];
  const outcomes = await Promise.all([serve(one, 8081), serve(two, 8082)]);
  expect(outcomes.map(({ code, stderr }) => ({ code, stderr }))).toEqual([
    { code: 0, stderr: "" },
    { code: 0, stderr: "" },
  ]);
  for (const [user, port] of [
    [one, 8081],
    [two, 8082],
  ] as const) {
    expect(await eventually(user, "curl", "-sf", `http://127.0.0.1:${port}`)).toBe(`${user.name}\n`);
    expect(await user.must("portolan", "ps", "-a", "--format", "{{.Names}} {{.Ports}}")).toBe(
      `web 0.0.0.0:${port}->80/tcp`,
    );
    await user.must("portolan", "volume", "create", "hold");
    await user.must("portolan", "network", "create", "sea");
    expect(
      await user.must("portolan", "run", "--rm", "--network", "sea", "busybox", "ip", "-4", "addr"),
    ).toMatch(/10\.89\.0\.2\/24/);
  }
  const ids = await Promise.all([one, two].map(user => user.must("portolan", "ps", "-q", "--no-trunc")));
  for (const verb of ["inspect", "logs", "stop", "rm", "exec"]) {
    const rest = verb === "exec" ? ["true"] : [];
    const { code, stderr } = await two.run(["portolan", verb, ids[0]!, ...rest]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/no such (container|object)/);
  }
  // What one removes does not end the other's.
  await one.must("portolan", "rm", "-f", "-t", "0", "-a");
  await one.must("portolan", "volume", "rm", "hold");
  expect(await two.must("curl", "-sf", "http://127.0.0.1:8082")).toBe("pilot");
  expect(await two.must("portolan", "volume", "ls", "-q")).toBe("hold");
  await two.must("portolan", "rm", "-f", "-t", "0", "-a");
  await two.must("portolan", "volume", "rm", "hold");
  for (const user of [one, two]) await user.must("portolan", "network", "rm", "sea");
  expect(difference(before[0]!, await settledSnapshot(one))).toEqual([]);
  expect(difference(before[1]!, await settledSnapshot(two))).toEqual([]);
}, 60_000);

test("a port that one has published is taken for the other, who is told so", async () => {
  expect((await serve(one, 8081)).code).toBe(0);
  const { code, stderr } = await serve(two, 8081);
  expect(code).toBe(126);
  expect(stderr).toContain("listen tcp 0.0.0.0:8081: bind: address already in use");
  await two.must("portolan", "rm", "web");
  await one.must("portolan", "rm", "-f", "-t", "0", "web");
});

test("nobody else gets into a user's directories, namespaces, or at his data plane", async () => {
  expect((await serve(one, 8081)).code).toBe(0);
  const socket = `${one.runtime}/portolan/netd.sock`;
  expect(await one.must("stat", "-c", "%a %U", socket)).toBe("600 sailor");
  const denied = async (user: TestUser, ...command: string[]) => {
    const { code, stderr } = await user.run(command);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/[Pp]ermission denied|not permitted/);
  };
  await denied(two, "ls", `${one.runtime}/portolan`);
  await denied(two, "ls", `${one.home}/.local/share/portolan`);
  const [pause = ""] = (await one.must("pgrep", "-u", `${one.uid}`, "-x", "catatonit")).split("\n");
  await denied(two, "nsenter", `--target=${pause}`, "--user", "--mount", "true");
  const netd = await one.must("pgrep", "-u", `${one.uid}`, "-x", "netd");
  await denied(two, "kill", netd);
  await one.must("portolan", "rm", "-f", "-t", "0", "web");
}, 60_000);

test("the control socket refuses another user who can reach it", async () => {
  expect((await serve(one, 8081)).code).toBe(0);
  const { host } = one;
  const socket = `${one.runtime}/portolan/netd.sock`;
  // As a careless user might: everyone may connect.
  await host.must("sh", "-c", `chmod 711 ${one.runtime} ${one.runtime}/portolan && chmod 666 ${socket}`);
  const ask = join(import.meta.dir, "ask-netd.ts");
  const asked = (uid: number) => host.must(process.execPath, "run", ask, `${one.runtime}/portolan`, `${uid}`);
  expect(await asked(one.uid)).toContain('"op":"ports"');
  expect(await asked(two.uid)).toMatch(/^this network service is not that of user/);
  await until(
    async () => (await one.run(["curl", "-sf", "http://127.0.0.1:8081"])).stdout === "sailor\n",
    () => "the refusal cost the user his network",
  );
  await one.must("portolan", "rm", "-f", "-t", "0", "web");
}, 60_000);
