/** Debian's RootlessKit, by which Docker and nerdctl run without root, with ours in slirp4netns' place. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { HOST_ADDRESS, OUTSIDE_ADDRESS } from "../support/host.ts";
import { askTcp, serveTcp, stopSockets } from "../support/sockets.ts";
import type { TestUser } from "../support/user.ts";
import { createUser, OURS } from "./ordinary-user.ts";

let user: TestUser;
beforeAll(async () => {
  user = await createUser();
  serveTcp(user.host.outside, OUTSIDE_ADDRESS, 7000, "outside");
  await user.must("sh", "-c", "mkdir www && echo hello from the guest >www/index.html");
});
afterAll(async () => {
  stopSockets();
  await user.host[Symbol.asyncDispose]();
});

/** What runs inside: a web server that tells its callers, and a look around; until there is a file `stop`. */
const INSIDE = `busybox httpd -f -vv -p 80 -h www 2>callers &
ip -br -4 address show tap0 >seen
cat /sys/class/net/tap0/mtu >>seen
busybox nc ${OUTSIDE_ADDRESS} 7000 </dev/null >>seen
echo >>seen
touch running
until [ -e stop ]; do sleep 0.05; done
kill $!`;

/** The answer of the guest's web server to a caller on the outside. */
async function page(port: number): Promise<string> {
  const child = user.host.outside.run(() =>
    Bun.spawn(["curl", "-sS", "--max-time", "10", `http://${HOST_ADDRESS}:${port}/`], {
      stdout: "pipe",
      stderr: "pipe",
    }),
  );
  return (await child.stdout.text()) || (await child.stderr.text());
}

test.each([
  ["in a sandbox", ["--slirp4netns-sandbox=true", "--slirp4netns-seccomp=true"]],
  ["outside of one", ["--slirp4netns-sandbox=false", "--slirp4netns-seccomp=false"]],
])("%s", async (_, options) => {
  await user.must("sh", "-c", "rm -f running stop seen callers");
  const kit = [
    ...["rootlesskit", "--state-dir=/run/user/4321/kit", "--net=slirp4netns", `--slirp4netns-binary=${OURS}`],
    ...[...options, "--mtu=65520", "--copy-up=/etc", "--port-driver=slirp4netns"],
    ...["--publish=0.0.0.0:8080:80/tcp", "sh", "-c", INSIDE],
  ];
  const child = user.spawn(kit);
  await until(
    async () => (await user.run(["test", "-e", "running"])).code === 0 || child.exitCode !== null,
    () => "nothing runs under RootlessKit",
  );
  expect((await user.must("cat", "seen")).split("\n").map(line => line.replace(/ +/g, " ").trim())).toEqual([
    "tap0 UP 10.0.2.100/24",
    "65520",
    `outside ${HOST_ADDRESS}`,
  ]);
  expect(await page(8080)).toBe("hello from the guest\n");
  // The guest sees who called.
  expect(await user.must("cat", "callers")).toContain(OUTSIDE_ADDRESS);

  const control = ["rootlessctl", "--socket=/run/user/4321/kit/api.sock"];
  const added = await user.must(...control, "add-ports", "0.0.0.0:8081:80/tcp");
  expect(await page(8081)).toBe("hello from the guest\n");
  expect(await user.must(...control, "list-ports", "--json")).toContain('"parentPort":8081');
  await user.must(...control, "remove-ports", added);
  expect(await page(8081)).toContain("Couldn't connect");

  const killed = await user.host.must("pkill", "-KILL", "-xe", "netd");
  expect(killed).toContain("netd killed");
  expect(await page(8080)).toBe("hello from the guest\n");

  await user.must("touch", "stop");
  expect(await child.exited).toBe(0);
  await until(
    async () => (await user.run(["pgrep", "-x", "netd"])).code === 1,
    () => "the data plane outlived RootlessKit",
  );
});

test("it dies with a RootlessKit that is killed, though it has entered a user namespace since", async () => {
  await user.must("sh", "-c", "rm -f running");
  const kit = [
    "rootlesskit",
    "--net=slirp4netns",
    `--slirp4netns-binary=${OURS}`,
    "--slirp4netns-sandbox=true",
  ];
  const child = user.spawn([...kit, "sh", "-c", "touch running; exec sleep infinity"]);
  await until(
    async () => (await user.run(["test", "-e", "running"])).code === 0 || child.exitCode !== null,
    () => "nothing runs under RootlessKit",
  );
  expect(await user.host.must("pgrep", "-x", "slirp4netns")).toMatch(/^\d+$/);
  await user.host.must("pkill", "-KILL", "-o", "-x", "rootlesskit");
  await until(
    async () => (await user.run(["pgrep", "-x", "netd|slirp4netns"])).code === 1,
    () => "its network outlived RootlessKit",
  );
  await child.exited;
});

test("a port that is taken is refused, and nothing stays", async () => {
  const held = user.spawn(["busybox", "nc", "-l", "-p", "8090"]);
  await until(
    async () => (await user.host.must("ss", "-Hlnt", "sport", "=", ":8090")) !== "",
    () => "nobody listens on port 8090",
  );
  const kit = [
    "rootlesskit",
    "--net=slirp4netns",
    `--slirp4netns-binary=${OURS}`,
    "--port-driver=slirp4netns",
  ];
  const { code, stderr } = await user.run([...kit, "--publish=0.0.0.0:8090:80/tcp", "true"]);
  expect(code).not.toBe(0);
  expect(stderr).toContain("address already in use");
  await user.host.must("pkill", "-xf", "busybox nc -l -p 8090");
  await held.exited;
  expect(await askTcp(user.host.outside, HOST_ADDRESS, 8090)).toBe("refused");
});
