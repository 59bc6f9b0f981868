/** Images as an ordinary user has them: unpacked and mounted in a user namespace, by each driver. */
import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { UserNamespace } from "../support/user-namespace.ts";

const root = process.getuid?.() === 0;
const skip = () => console.log("skipped: a user namespace of many ids is made by root here");
const DRIVERS = ["overlay", "fuse-overlayfs", "vfs"] as const;
/** Tests of root's that hold here too. */
const FILES = ["hostile-layers", "patches"].map(name => resolve(import.meta.dir, `${name}.test.ts`));

/** Runs test files in the namespace; what they printed, when one failed. */
async function testsInside(namespace: UserNamespace, env: Record<string, string>, ...words: string[]) {
  const { code, stderr } = await namespace.run(
    [process.execPath, "test", "--timeout", "60000", ...words],
    env,
  );
  const failed = stderr.split("\n").filter(line => line.startsWith("(fail)") || /^error/.test(line));
  return { code, failed, passed: Number(/(\d+) pass/.exec(stderr)?.[1]) };
}

async function inside<T>(
  namespace: UserNamespace,
  scenario: string,
  env: Record<string, string> = {},
): Promise<T & { said: string }> {
  const { code, stdout, stderr } = await namespace.run(
    [process.execPath, resolve(import.meta.dir, "user-child.ts"), scenario],
    env,
  );
  if (code !== 0) throw new Error(stderr);
  return { ...JSON.parse(stdout), said: stderr };
}

for (const driver of DRIVERS) {
  test(`${driver}: hostile layers and loose ends are what they are to root`, async () => {
    if (!root) return skip();
    await using namespace = await UserNamespace.create();
    const { code, failed, passed } = await testsInside(namespace, { STORAGE_DRIVER: driver }, ...FILES);
    expect({ code, failed }).toEqual({ code: 0, failed: [] });
    expect(passed).toBeGreaterThan(75);
  });

  test(`${driver}: owners, modes, set-user-id, writing and deleting`, async () => {
    if (!root) return skip();
    await using namespace = await UserNamespace.create();
    const { said, ...seen } = await inside<object>(namespace, "life", { STORAGE_DRIVER: driver });
    const mounts = { overlay: "overlay", "fuse-overlayfs": "fuse.fuse-overlayfs", vfs: "none" };
    expect(seen).toEqual({
      mount: mounts[driver],
      before: [
        [0, 0, "751"],
        [1, 2, "2750"],
        [33, 42, "640"],
        [33, 42, "640"],
      ],
      id: "0",
      after: [false, [], [1000, 1000, "640"]],
      layer: [true, ["a"], [33, 42]],
    });
    expect(said).toBe("");
  });

  test(`${driver}: a capability of a file holds for the namespace`, async () => {
    if (!root) return skip();
    await using namespace = await UserNamespace.create();
    const seen = await inside<{ inside: number[] }>(namespace, "capability", { STORAGE_DRIVER: driver });
    expect(seen.inside.slice(0, 8)).toEqual([1, 0, 0, 2, 0, 4, 0, 0]);
  });
}

test("the kernel's overlay is chosen where it works", async () => {
  if (!root) return skip();
  await using namespace = await UserNamespace.create();
  expect(await inside<object>(namespace, "driver")).toMatchObject({ driver: "overlay" });
});

/** File systems on which the kernel mounts no overlay for a user, or not a whole one. */
const POOR: [what: string, mount: string, works: string[]][] = [
  [
    "an overlay",
    "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr poor",
    ["fuse-overlayfs", "vfs"],
  ],
  ["a file system without extended attributes", "mount -t ramfs ramfs poor", ["vfs"]],
];

for (const [what, mount, works] of POOR)
  test(`on ${what}, the next driver that works is chosen; layers say there in files what they hide`, async () => {
    if (!root) return skip();
    await using namespace = await UserNamespace.create();
    const made = `cd ${namespace.directory} && mkdir lower upper work poor && ${mount}`;
    expect(await namespace.run(["sh", "-c", made])).toMatchObject({ code: 0 });
    const env = { TMPDIR: `${namespace.directory}/poor` };
    expect(await inside<object>(namespace, "driver", env)).toMatchObject({ driver: works[0] });
    const names = "through a real overlay|refused: a hard link|in passing|two images|as it is";
    for (const driver of works) {
      const words = ["--test-name-pattern", names, ...FILES];
      const ran = await testsInside(namespace, { ...env, STORAGE_DRIVER: driver }, ...words);
      expect({ driver, ...ran }).toMatchObject({ driver, code: 0, failed: [] });
      expect(ran.passed).toBeGreaterThan(10);
    }
    const conf = `${namespace.directory}/storage.conf`;
    await Bun.write(conf, '[storage]\ndriver = "overlay"\n[storage.options]\nmount_program = "/nowhere"\n');
    const refused = inside<object>(namespace, "driver", { ...env, CONTAINERS_STORAGE_CONF: conf });
    await expect(refused).rejects.toThrow(
      /containers can't be kept below \S+\/root: fuse-overlayfs: .*not installed/,
    );
  });

test("an owner that the namespace has not is refused in one line that says what to do; nothing stays", async () => {
  if (!root) return skip();
  await using namespace = await UserNamespace.create();
  const seen = await inside<{ error: string; leftovers: string[] }>(namespace, "far");
  expect(seen.error).toBe(
    'unpacking a layer: potentially insufficient UIDs or GIDs available in user namespace (requested 70000:3 for /far): Check /etc/subuid and /etc/subgid, then run "portolan system migrate"',
  );
  expect(seen.leftovers).toEqual([]);
});

test("a file system that gives no file away is told of in one line; nothing stays", async () => {
  if (!root) return skip();
  await using namespace = await UserNamespace.create();
  // As such a file system says it: the right to change owners is taken away.
  const without = ["setpriv", "--bounding-set=-chown", "--inh-caps=-chown"];
  const child = [process.execPath, resolve(import.meta.dir, "user-child.ts"), "squashed"];
  const { code, stderr } = await namespace.run([...without, ...child]);
  expect(code).not.toBe(0);
  expect(stderr).toContain(
    "unpacking a layer: the store's file system refuses to give /a to 33:42: name a directory on another one by --root",
  );
});

test("with but one id, all files become its own, and one warning says so", async () => {
  if (!root) return skip();
  await using namespace = await UserNamespace.create({ size: 1 });
  const { said, ...seen } = await inside<object>(namespace, "squashed");
  expect(seen).toEqual({
    owners: [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
    mode: 0o4755,
  });
  expect(said.match(/level=warning/g)).toHaveLength(1);
  expect(said).toContain("only one user or group ID is available");
});

test("storage.conf's ignore_chown_errors lets the files of far owners become root's", async () => {
  if (!root) return skip();
  await using namespace = await UserNamespace.create({ size: 40 });
  const conf = `${namespace.directory}/storage.conf`;
  await Bun.write(conf, '[storage.options.overlay]\nignore_chown_errors = "true"\n');
  const seen = await inside<{ owners: number[][] }>(namespace, "squashed", { CONTAINERS_STORAGE_CONF: conf });
  expect(seen.owners).toEqual([
    [33, 0],
    [5, 0],
    [0, 7],
  ]);
});

test("devices, links to them, and attributes of the machine's root are left out", async () => {
  if (!root) return skip();
  await using namespace = await UserNamespace.create();
  const { said, ...seen } = await inside<object>(namespace, "forbidden");
  expect(seen).toEqual({ names: ["f"], note: new TextEncoder().encode("yes").toString() });
});
