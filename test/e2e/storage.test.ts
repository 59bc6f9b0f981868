/** An ordinary user's files: an image with everything that a file can have, in containers put up by each driver. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../support/await.ts";
import { TestHost } from "../support/host.ts";
import { difference } from "../support/leaks.ts";
import { TestUser } from "../support/user.ts";
import { settledSnapshot } from "../support/user-leaks.ts";
import { allImage, CHANGE, CHANGED, LOOK, RAISED, SEEN } from "./all-image.ts";
import { eventually, openUser } from "./world.ts";

/** Distributions open /dev/fuse to all (666); this machine may not. */
const fuse = (mode: string) => `mknod -m ${mode} /run/fuse c 10 229 && mount --bind /run/fuse /dev/fuse`;

describe.each([["overlay"], ["fuse-overlayfs"], ["vfs"]])("%s:", driver => {
  let image: ReturnType<typeof allImage>;
  let host: TestHost;
  let user: TestUser;

  const portolan = (...words: string[]) => user.must("portolan", `--storage-driver=${driver}`, ...words);
  const run = (...words: string[]) => portolan("run", "--rm", "--network", "none", ...words);
  const daemons = async () =>
    (await host.must("sh", "-c", "pgrep -x fuse-overlayfs || true")).split("\n").filter(Boolean);
  /** Loads the image for some work; at the end nothing is there that was not before. */
  const withImage = async (work: () => Promise<void>) => {
    const before = await settledSnapshot(user);
    await portolan("load", "-q", "-i", image.path);
    await work();
    await portolan("rm", "-f", "-t", "0", "-a", "-v");
    await portolan("volume", "prune", "-f");
    await portolan("rmi", "-a", "-f");
    expect(difference(before, await settledSnapshot(user))).toEqual([]);
    expect(await daemons()).toEqual([]);
  };

  beforeAll(async () => {
    image = allImage();
    host = await TestHost.create();
    await host.must("sh", "-c", fuse("666"));
    user = await TestUser.add(host);
    await portolan("load", "-q", "-i", image.path);
    await run("all:1", "true");
    await portolan("rmi", "all:1");
  }, 60_000);
  afterAll(async () => {
    await host?.[Symbol.asyncDispose]();
    image?.[Symbol.dispose]();
  });

  test(
    "owners, modes, links and whiteouts are the image's; changes stay with their container",
    () =>
      withImage(async () => {
        expect(await run("all:1", "sh", "-c", LOOK)).toBe(SEEN);
        await portolan("create", "--name", "a", "--network", "none", "all:1", "sh", "-c", CHANGE);
        const name = await portolan("inspect", "-f", "{{.GraphDriver.Name}}", "a");
        expect(name).toBe(driver === "vfs" ? "vfs" : "overlay");
        expect(await portolan("info", "-f", "{{.Store.GraphDriverName}}")).toBe(name);
        expect(await portolan("start", "-a", "a")).toBe(CHANGED);
        expect(await portolan("start", "-a", "a")).toBe(`again\n${CHANGED}`);
        expect(await run("all:1", "sh", "-c", LOOK)).toBe(SEEN);
      }),
    60_000,
  );

  test(
    "set-user-id bits and capabilities of files hold",
    () =>
      withImage(async () => {
        expect(await run("-u", "1000", "all:1", "sh", "-c", RAISED)).toBe("1000\n0\n7");
      }),
    60_000,
  );

  test(
    "a user namespace of a container's own shows the same files",
    () =>
      withImage(async () => {
        const maps = [
          ["--userns=keep-id"],
          ["--userns=nomap"],
          ["--uidmap=0:1:2000", "--gidmap=0:5000:3000"],
        ];
        for (const map of maps) {
          expect(await run(...map, "-u", "0", "all:1", "sh", "-c", LOOK)).toBe(SEEN);
          expect(await run(...map, "-u", "0", "all:1", "sh", "-c", CHANGE)).toBe(CHANGED);
          expect(await run(...map, "-u", "1000", "all:1", "sh", "-c", RAISED)).toBe("1000\n0\n7");
        }
        await portolan(
          "create",
          "--name",
          "a",
          "--network",
          "none",
          "--userns=nomap",
          "all:1",
          "sh",
          "-c",
          CHANGE,
        );
        expect(await portolan("start", "-a", "a")).toBe(CHANGED);
        expect(await portolan("start", "-a", "a")).toBe(`again\n${CHANGED}`);
      }),
    60_000,
  );

  test(
    "a volume begins as the image has it; containers of other user namespaces see whose it is",
    () =>
      withImage(async () => {
        const look = ["all:1", "stat", "-c", "%u:%g %a", "/data", "/data/one"];
        expect(await run("-v", "v:/data", ...look)).toBe("33:34 2750\n33:34 644");
        expect(await run("-v", "v:/data", "-u", "0", "--userns=keep-id", ...look)).toBe(
          "32:33 2750\n32:33 644",
        );
        await run("-v", "w:/new:U", "-u", "1000", "--userns=nomap", "all:1", "touch", "/new/mine");
        expect(
          await run("-v", "w:/new", "--userns=nomap", "all:1", "stat", "-c", "%u", "/new", "/new/mine"),
        ).toBe("1000\n1000");
      }),
    60_000,
  );

  test(
    "save gives the image as it came",
    () =>
      withImage(async () => {
        const id = await portolan("images", "-q", "--no-trunc");
        await portolan("save", "-o", "saved.tar", "all:1");
        await portolan("rmi", "all:1");
        await portolan("load", "-q", "-i", "saved.tar");
        await user.must("rm", "saved.tar");
        expect(await portolan("images", "-q", "--no-trunc")).toBe(id);
        expect(await run("all:1", "sh", "-c", LOOK)).toBe(SEEN);
      }),
    60_000,
  );

  test(
    "kill -9 of run at any moment, the copying of layers too, leaves nothing behind",
    () =>
      withImage(async () => {
        const begin = performance.now();
        await run("all:1", "true");
        const whole = performance.now() - begin;
        const words = [
          "run",
          "--rm",
          "--name",
          "victim",
          "--network",
          "none",
          "--userns=nomap",
          "all:1",
          "true",
        ];
        for (let round = 0; round < 12; round++) {
          const seconds = `${(Math.random() * 1.5 * whole) / 1000}`;
          const kill = ["timeout", "--foreground", "-s", "KILL", seconds];
          await user.run([...kill, "portolan", `--storage-driver=${driver}`, ...words]);
          await portolan("rm", "-f", "-i", "-t", "0", "victim");
        }
        expect(await run("--userns=nomap", "all:1", "sh", "-c", LOOK)).toBe(SEEN);
        await portolan("system", "prune", "-f");
      }),
    60_000,
  );

  if (driver === "fuse-overlayfs")
    test(
      "each running container has one daemon; one that was killed leaves a container that can be removed",
      () =>
        withImage(async () => {
          const sleep = ["--network", "none", "all:1", "sleep", "1000"];
          await portolan("run", "-d", "--name", "a", ...sleep);
          await portolan("run", "-d", "--name", "b", ...sleep);
          const before = await daemons();
          expect(before).toHaveLength(2);
          await portolan("rm", "-f", "-t", "0", "a");
          expect(await daemons()).toHaveLength(1);
          await host.must("kill", "-9", ...(await daemons()));
          await until(
            async () => (await daemons()).length === 0,
            () => "the daemon does not end",
          );
          await portolan("rm", "-f", "-t", "0", "b");
          expect(await run("all:1", "sh", "-c", LOOK)).toBe(SEEN);
        }),
      60_000,
    );
});

test("a container with a user namespace of its own has the networks that others have, and published ports", async () => {
  await using user = await openUser("busybox");
  const SERVE = "mkdir /tmp/www; echo $0 >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www";
  for (const userns of ["keep-id", "nomap"])
    for (const network of ["slirp4netns", "bridge"]) {
      const name = `${userns}-${network}`;
      const options = ["--userns", userns, "--network", network, "-p", "8080:8080"];
      await user.must(
        "portolan",
        "run",
        "-d",
        "--name",
        name,
        ...options,
        "busybox",
        "sh",
        "-c",
        SERVE,
        name,
      );
      expect(await eventually(user, "curl", "-sf", "http://localhost:8080")).toBe(`${name}\n`);
      await user.must("portolan", "rm", "-f", "-t", "0", name);
    }
}, 60_000);

test("with a store on an overlay and /dev/fuse closed, files are copied; --log-level debug tells why", async () => {
  using image = allImage();
  await using host = await TestHost.create();
  const user = await TestUser.add(host);
  await host.must("sh", "-c", `${fuse("600")}; mkdir -m 700 /srv/store && chown ${user.uid} /srv/store`);
  const env = { XDG_DATA_HOME: "/srv/store" };
  const portolan = async (...words: string[]) => {
    const outcome = await user.run(["portolan", ...words], { env });
    if (outcome.code !== 0) throw new Error(outcome.stderr);
    return outcome;
  };
  await portolan("load", "-q", "-i", image.path);
  const { stdout, stderr } = await portolan(
    ...["--log-level", "debug", "run", "--rm", "--network", "none", "all:1", "sh", "-c", LOOK],
  );
  expect(stdout.trimEnd()).toBe(SEEN);
  expect(stderr).toMatch(/storage driver overlay can't be used below \/srv\/store\/portolan: /);
  expect(stderr).toMatch(/storage driver fuse-overlayfs can't be used below \/srv\/store\/portolan: /);
  // It is remembered.
  expect(
    (await portolan("--log-level", "debug", "run", "--rm", "--network", "none", "all:1", "true")).stderr,
  ).not.toMatch(/storage driver/);
  await portolan("rmi", "all:1");
}, 60_000);

/** /home often is mounted so. */
test("a home whose programs, devices and set-user-id bits don't count keeps containers where theirs do", async () => {
  using image = allImage();
  await using host = await TestHost.create();
  const user = await TestUser.add(host);
  await host.must("mount", "-o", "remount,nosuid,nodev,noexec", user.home);
  await user.must("portolan", "load", "-q", "-i", image.path);
  const words = ["run", "--rm", "--network", "none", "-u", "1000", "all:1", "sh", "-c", RAISED];
  expect(await user.must("portolan", ...words)).toBe("1000\n0\n7");
  const { code, stderr } = await user.run(["portolan", "--storage-driver", "vfs", ...words]);
  expect(code).toBe(125);
  expect(stderr).toMatch(
    /^Error: containers can't be kept below \S+: vfs: programs can't be executed there \(noexec\)/,
  );
}, 60_000);

test("a user without subordinate ids has images whose files are all the user's own, with a warning", async () => {
  using image = allImage();
  await using host = await TestHost.create();
  const user = await TestUser.add(host, { subids: null });
  const { code, stderr } = await user.run(["portolan", "load", "-q", "-i", image.path]);
  expect(code).toBe(0);
  expect(stderr.match(/all files of images become your own/g)).toHaveLength(1);
  const look = ["stat", "-c", "%n %u:%g %a", "/etc/shadow", "/data", "/data/one"];
  expect(await user.must("portolan", "run", "--rm", "--network", "none", "all:1", ...look)).toBe(
    "/etc/shadow 0:0 640\n/data 0:0 2750\n/data/one 0:0 644",
  );
  const refused = await user.run(["portolan", "run", "--rm", "--userns=keep-id", "all:1", "true"]);
  expect([refused.code, refused.stderr]).toEqual([
    125,
    "Error: keep-id needs subordinate ids, and you have none: Check /etc/subuid and /etc/subgid\n",
  ]);
  // Later there are some.
  await host.must("sh", "-c", `echo ${user.name}:200000:65536 | tee -a /etc/subuid >>/etc/subgid`);
  await user.must("portolan", "system", "migrate");
  expect(await user.must("portolan", "run", "--rm", "--network", "none", "all:1", "sh", "-c", LOOK)).toBe(
    SEEN,
  );
}, 60_000);
