/** Root's containers with a user namespace of their own: how their layers get there, what stays of it, ids found by themselves. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { allImage, CHANGE, CHANGED, LOOK, RAISED, SEEN } from "../e2e/all-image.ts";
import { TestHost } from "../support/host.ts";

const MAP = ["--uidmap=0:200000:2000", "--gidmap=0:300000:3000"];

let image: ReturnType<typeof allImage>;
let host: TestHost;
const portolan = (...words: string[]) => host.must("portolan", ...words);
const lines = async (script: string) => (await host.must("sh", "-c", script)).split("\n").filter(Boolean);
/** Layers that were copied for a map. */
const copies = () => lines("ls /var/lib/portolan/layers | grep -E -- '-[0-9a-f]{8}$' || true");

beforeAll(async () => {
  image = allImage();
  host = await TestHost.create();
  await portolan("load", "-q", "-i", image.path);
}, 60_000);
afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  image?.[Symbol.dispose]();
});
afterEach(async () => {
  await portolan("rm", "-f", "-t", "0", "-a", "-v");
});

describe.each(["overlay", "fuse-overlayfs", "vfs"])("%s:", driver => {
  const run = (...words: string[]) =>
    portolan(`--storage-driver=${driver}`, "run", "--rm", "--network", "none", ...MAP, "all:1", ...words);
  const runAs = (user: string, ...words: string[]) =>
    portolan(
      `--storage-driver=${driver}`,
      "run",
      "--rm",
      "-u",
      user,
      "--network",
      "none",
      ...MAP,
      "all:1",
      ...words,
    );

  test("the container's files are whose they are in the image", async () => {
    expect(await run("sh", "-c", LOOK)).toBe(SEEN);
    expect(await run("sh", "-c", CHANGE)).toBe(CHANGED);
    expect(await runAs("1000", "sh", "-c", RAISED)).toBe("1000\n0\n7");
    expect(await run("sh", "-c", LOOK)).toBe(SEEN);
    // The kernel's overlay takes the layers by idmapped mounts.
    expect((await copies()).length > 0).toBe(driver === "fuse-overlayfs");
    await portolan("system", "prune", "-f");
    expect(await copies()).toEqual([]);
    expect(
      await lines("grep /portolan/containers/ /proc/mounts; find /var/lib/portolan/containers -mindepth 1"),
    ).toEqual([]);
  }, 60_000);
});

test("what a container writes is on disk its own user's, and others can't get at it", async () => {
  await portolan("run", "-d", "--name", "a", "--network", "none", ...MAP, "all:1", "sleep", "1000");
  await portolan("exec", "a", "sh", "-c", "echo mine >/tmp/mine; /bin/chown 5 /tmp/mine");
  const upper = await portolan("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "a");
  expect(await host.must("stat", "-c", "%u:%g", `${upper}/tmp/mine`)).toBe("200005:300000");
  const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  expect((await host.run([...nobody, "ls", upper])).code).not.toBe(0);
  expect(
    (
      await host.run([
        "setpriv",
        "--reuid=200000",
        "--regid=300000",
        "--clear-groups",
        "ls",
        `${upper}/../merged`,
      ])
    ).code,
  ).toBe(0);
});

test("auto: ids that no other container has; given back with the container; none left is said", async () => {
  await host.write("/etc/subuid", "containers:3000000:3000\n");
  await host.write("/etc/subgid", "containers:4000000:3000\n");
  const first = (name: string) =>
    portolan(
      "inspect",
      "-f",
      "{{index .HostConfig.IDMappings.UidMap 0}} {{index .HostConfig.IDMappings.GidMap 0}}",
      name,
    );
  const create = (name: string, mode = "auto") =>
    host.run(["portolan", "create", "--name", name, "--userns", mode, "all:1"]);
  await Promise.all(["a", "b"].map(name => create(name)));
  expect((await Promise.all(["a", "b"].map(first))).sort()).toEqual([
    "0:3000000:1024 0:4000000:1024",
    "0:3001024:1024 0:4001024:1024",
  ]);
  const { code, stderr } = await create("c");
  expect([code, stderr]).toEqual([
    125,
    "Error: creating container storage: could not find enough available IDs\n",
  ]);
  await portolan("rm", "a");
  expect((await create("c", "auto:size=100,uidmapping=50:7:1")).code).toBe(0);
  expect(await portolan("inspect", "-f", "{{json .HostConfig.IDMappings.UidMap}}", "c")).toMatch(
    /^\["0:300\d+:50","50:7:1","51:300\d+:49"\]$/,
  );
});

test("a command killed while it puts layers up leaves mounts that the next one takes down, and the image whole", async () => {
  await portolan("create", "--name", "a", "--network", "none", ...MAP, "all:1", "sh", "-c", LOOK);
  const id = await portolan("inspect", "-f", "{{.Id}}", "a");
  const directory = `/var/lib/portolan/containers/${id}`;
  // As it is in between: a layer is mounted beside the root file system, and the row says "starting".
  await host.must(
    "sh",
    "-c",
    `layer=$(ls -d /var/lib/portolan/layers/*/bin | head -1) && mkdir -p ${directory}/lower/x && mount --bind -o ro "$layer/.." ${directory}/lower/x`,
  );
  const script = `import {Database} from "bun:sqlite"; new Database("/var/lib/portolan/state.db").run("UPDATE container SET phase = 'starting'")`;
  await host.must(process.execPath, "-e", script);
  await portolan("rm", "a");
  expect(await lines(`grep ${id} /proc/mounts || true`)).toEqual([]);
  expect(await portolan("run", "--rm", "--network", "none", "all:1", "sh", "-c", LOOK)).toBe(SEEN);
});
