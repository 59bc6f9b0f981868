/** An ordinary user's machine as it may be: what is missing is told with a way out, and what was changed is followed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { TestUser } from "../support/user.ts";
import { loadImages, openUser } from "./world.ts";

let user: TestUser & AsyncDisposable;
beforeAll(async () => {
  user = await openUser("busybox");
}, 60_000);
afterAll(() => user?.[Symbol.asyncDispose]());

const asRoot = (script: string) => user.host.must("sh", "-c", script);
const run = (...words: string[]) => user.run(["portolan", "run", "--rm", ...words]);

test("/dev/net/tun is closed: told, with the modes that work without it", async () => {
  await asRoot("chmod 600 /dev/net/tun");
  const { code, stderr } = await run("busybox", "true");
  expect(code).toBe(126);
  expect(stderr).toMatch(
    /^Error: [^\n]*\/dev\/net\/tun is closed to this user \([^\n]*chmod 666 \/dev\/net\/tun[^\n]*--network host or none\)\n$/,
  );
  expect((await run("--network", "none", "busybox", "true")).code).toBe(0);
  await asRoot("chmod 666 /dev/net/tun");
  expect((await run("busybox", "true")).code).toBe(0);
});

test("a port below 1024 is refused with the way out, which works", async () => {
  const { code, stderr } = await run("-p", "80:80", "busybox", "true");
  expect(code).toBe(126);
  expect(stderr).toContain(
    "cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80'",
  );
  await asRoot("sysctl -qw net.ipv4.ip_unprivileged_port_start=80");
  expect((await run("-p", "80:80", "busybox", "true")).code).toBe(0);
  await asRoot("sysctl -qw net.ipv4.ip_unprivileged_port_start=1024");
});

test("without HOME and without a runtime directory the user's own are found", async () => {
  const words = ["env", "-u", "HOME", "-u", "XDG_RUNTIME_DIR", "portolan"];
  expect(await user.must(...words, "run", "--rm", "busybox", "echo", "home")).toBe("home");
  expect(await user.must(...words, "info", "--format", "{{.Store.GraphRoot}}")).toBe(
    `${user.home}/.local/share/portolan`,
  );
});

test("root's Podman has closed /run/containers: a user pulls all the same, with and without a runtime directory", async () => {
  await asRoot("mkdir -m 700 /run/containers");
  for (const unset of [[], ["-u", "XDG_RUNTIME_DIR"]]) {
    const { stderr } = await user.run(["env", ...unset, "portolan", "pull", "localhost:1/busybox"]);
    expect(stderr).toMatch(/pinging container registry localhost:1: [^\n]*connection refused\n$/);
  }
});

test("system migrate: new subordinate ids are in force from the next command on", async () => {
  const map = ["portolan", "run", "--rm", "busybox", "cat", "/proc/self/uid_map"];
  const fields = async () => (await user.must(...map)).trim().split(/\s+/);
  expect(await fields()).toEqual(["0", "4321", "1", "1", "200000", "65536"]);
  await asRoot("sed -i s/:65536/:70000/ /etc/subuid");
  expect(await fields()).toEqual(["0", "4321", "1", "1", "200000", "65536"]);
  await user.must(
    "portolan",
    "run",
    "-d",
    "--name",
    "one",
    "--stop-timeout",
    "0",
    "busybox",
    "sleep",
    "1000",
  );
  expect(await user.must("portolan", "system", "migrate")).toMatch(/^stopped [0-9a-f]{64}$/);
  expect(await fields()).toEqual(["0", "4321", "1", "1", "200000", "70000"]);
  await user.must("portolan", "start", "one");
  await user.must("portolan", "rm", "-f", "-t", "0", "one");
});

test("a user without subordinate ids runs what needs only his own, and is warned", async () => {
  const lone = await TestUser.add(user.host, { name: "lone", uid: 4399, subids: null });
  await loadImages(lone, "busybox");
  const { code, stdout } = await lone.run(["portolan", "run", "--rm", "busybox", "id", "-u"]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: "0\n" });
  const other = await lone.run(["portolan", "run", "--rm", "-u", "33", "busybox", "true"]);
  expect(other.code).toBe(126);
  expect(other.stderr).toMatch(
    /Error: \S+: .*invalid argument \(an id of this user or of its groups is not mapped .* \/etc\/subuid and \/etc\/subgid\)\n$/,
  );
  await lone.must("portolan", "system", "migrate");
  const again = await lone.run(["portolan", "run", "--rm", "busybox", "true"]);
  expect(again.stderr).toContain("there are no subordinate ids for lone in /etc/subuid and /etc/subgid");
});

test("system reset removes all that is the user's; the next command begins anew", async () => {
  await user.must("portolan", "network", "create", "sea");
  await user.must("portolan", "run", "-d", "--network", "sea", "-v", "hold:/x", "busybox", "sleep", "1000");
  await user.must("portolan", "pod", "create", "--name", "school", "--network", "sea");
  await user.must("portolan", "run", "-d", "--pod", "school", "busybox", "sleep", "1000");
  await user.must("portolan", "system", "reset", "-f");
  // What waits for the end of a container may have looked for it a moment later, in a database without any.
  expect(await user.must("ls", "-A", ".local/share/portolan")).toMatch(/^(state\.db(-wal|-shm)?\n?)*$/);
  expect(await user.must("portolan", "ps", "-aq")).toBe("");
  expect(await user.must("portolan", "network", "ls", "-q")).toBe("podman");
  await loadImages(user, "busybox");
  expect((await run("busybox", "true")).code).toBe(0);
});

test("build: an image of the user's is a base, and what is built runs; buildah's own store has nothing", async () => {
  const policy = '{"default": [{"type": "insecureAcceptAnything"}]}';
  await user.write(".config/containers/policy.json", policy);
  await user.write("context/Containerfile", "FROM busybox\nRUN echo made by $(id -u) >/made\n");
  const build = ["portolan", "build", "--network=none", "-t", "made", "context"];
  await user.must(...build);
  expect(await user.must(...build)).toContain("Using cache");
  expect(await user.must("portolan", "run", "--rm", "made", "cat", "/made")).toBe("made by 0");
  await user.must("portolan", "system", "prune", "-af");
  expect(
    (await user.run(["find", ".local", "-path", "*containers/storage", "-o", "-name", "buildah"])).stdout,
  ).toBe("");
});
