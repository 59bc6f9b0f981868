/** What `make run` does once everything is built. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { buildImage } from "../../scripts/images/build.ts";
import { HOST_ADDRESS, TestHost } from "../support/host.ts";
import { difference, snapshot } from "../support/leaks.ts";
import { openHost, openRegistry, openUser } from "./world.ts";

const RUN = [process.execPath, "run", resolve(import.meta.dir, "../../scripts/run.ts")];

test("a web server runs, its page is fetched, a second run replaces it", async () => {
  await buildImage("nginx");
  await using host = await TestHost.create();
  for (let time = 0; time < 2; time++) {
    const { code, stdout, stderr } = await host.run(RUN);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("http://localhost:8080 says: Welcome to nginx!");
    expect(stdout).toContain("portolan exec -it webserver bash");
    expect(/curl http:\/\/(10\.88\.\S+)/.exec(stdout)?.[1]).toBe(
      await host.must("portolan", "inspect", "-f", "{{.NetworkSettings.IPAddress}}", "webserver"),
    );
  }
  expect(await host.must("portolan", "ps", "-a", "--format", "{{.Names}}")).toBe("webserver");
}, 60_000);

test("the image is pulled where a registry answers", async () => {
  await using registry = await openRegistry("nginx");
  await using host = await TestHost.create();
  await host.useRegistry(registry, ["docker.io"]);
  const { code, stdout } = await host.run(RUN);
  expect(code).toBe(0);
  expect(stdout).toContain("says: Welcome to nginx!");
  expect(stdout).not.toContain("building");
}, 60_000);

test("a registry that keeps silent is not waited for", async () => {
  await buildImage("nginx");
  await using host = await TestHost.create();
  // A socket that accepts and never says a word.
  using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  await host.useRegistry({ address: `127.0.0.1:${silent.port}` }, ["docker.io"]);
  const { code, stdout } = await host.run(RUN);
  expect(code).toBe(0);
  expect(stdout).toContain("building nginx from Debian packages");
}, 60_000);

test("a port that is taken is told in one line, and nothing is begun", async () => {
  await using host = await TestHost.create();
  await host.must("portolan", "load", "-q", "-i", await buildImage("nginx"));
  const holder = host.spawn([
    ...[process.execPath, "-e"],
    `Bun.listen({ hostname: "0.0.0.0", port: 8080, socket: { data() {} } }); console.log("listening")`,
  ]);
  await holder.stdout.getReader().read();
  const before = await snapshot(host);
  const { code, stdout, stderr } = await host.run(RUN);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(/^Error: port 8080 is in use by another program[^\n]*\n$/);
  expect(difference(before, await snapshot(host))).toEqual([]);
}, 60_000);

test("a port that a container has is told with the container's name", async () => {
  await using host = await openHost("busybox");
  await host.must("portolan", "load", "-q", "-i", await buildImage("nginx"));
  const words = ["run", "-d", "--name", "mine", "-p", "8080:80", "busybox", "sleep", "1000"];
  await host.must("portolan", ...words);
  const { code, stdout, stderr } = await host.run(RUN);
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: "",
    stderr: "Error: port 8080 is in use by your container mine; stop it (portolan stop mine) and try again\n",
  });
}, 60_000);

test("an ordinary user's session: a second container finds the server by the host's address; a second run replaces both", async () => {
  await using registry = await openRegistry("nginx", "leap");
  await using user = await openUser();
  await user.host.useRegistry(registry, ["docker.io", "registry.opensuse.org"]);
  for (let time = 0; time < 2; time++) {
    const { code, stdout, stderr } = await user.run(RUN);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("http://localhost:8080 says: Welcome to nginx!");
    expect(stdout).toContain(
      `http://${HOST_ADDRESS}:8080, called from a second container, says: Welcome to nginx!`,
    );
    expect(stdout).not.toContain("as root");
  }
  const ps = ["ps", "-a", "--format", "{{.Names}} {{.Ports}}", "--sort", "names"];
  expect((await user.must("portolan", ...ps)).split("\n").map(line => line.trim())).toEqual([
    "leap",
    "webserver 0.0.0.0:8080->80/tcp",
  ]);
  // None of it is root's.
  expect(await user.host.must("portolan", "ps", "-aq")).toBe("");
}, 60_000);

test("a user who has no ids of his own is told so, and root is asked for", async () => {
  await using user = await openUser();
  await user.host.must("sed", "-i", "/^sailor:/d", "/etc/subuid");
  // A sudo(8) that tells what it was asked for.
  await user.host.write("/usr/local/bin/sudo", '#!/bin/sh\necho sudo: "$3"\nexit 3\n');
  await user.host.must("chmod", "755", "/usr/local/bin/sudo");
  const { code, stdout } = await user.run(RUN);
  expect(code).toBe(3);
  expect(stdout).toContain("run: /etc/subuid has no range of ids for sailor");
  expect(stdout).toMatch(/^sudo: .*scripts\/run\.ts$/m);
}, 60_000);

test("make install and uninstall below a prefix of one's own ask nobody for root", async () => {
  const makefile = resolve(import.meta.dir, "../../Makefile");
  await using user = await openUser();
  await user.host.write("/usr/local/bin/sudo", "#!/bin/sh\necho sudo was called\nexit 3\n");
  await user.host.must("chmod", "755", "/usr/local/bin/sudo");
  const make = (goal: string, prefix: string) =>
    user.run([
      ...[
        "sh",
        "-c",
        'cd "$(mktemp -d)" && mkdir -p dist/man/man1 dist/completions &&'.concat(
          " touch dist/portolan dist/man/man1/portolan.1 dist/man/man1/portolan-run.1",
          " dist/completions/portolan dist/completions/_portolan dist/completions/portolan.fish &&",
          ' make -s -f "$1" -o build -o man "$2" PREFIX="$3"',
        ),
      ],
      ...["make", makefile, goal, prefix],
    ]);
  const prefix = (await user.must("sh", "-c", 'echo "$HOME/prefix"')).trim();
  const files = () => user.must("sh", "-c", `find ${prefix} -type f | wc -l`);
  expect(await make("install", prefix)).toMatchObject({ code: 0, stdout: "", stderr: "" });
  expect(await files()).toBe("6");
  expect(await make("uninstall", prefix)).toMatchObject({ code: 0, stdout: "", stderr: "" });
  expect(await files()).toBe("0");
  expect((await make("install", "/usr/local")).stdout).toContain("sudo was called");
}, 60_000);
