/** Run in a user namespace by user.test.ts: unpacks and mounts what is asked for, and prints what is seen as JSON. */
import { existsSync, lstatSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorText } from "../../src/base/errors.ts";
import { getXattr } from "../../src/sys/file.ts";
import { mountInfo } from "../../src/sys/mount.ts";
import { TestStore } from "../support/images.ts";
import { directory, hardlink, tar } from "../support/tar.ts";

const CAPABILITY = Uint8Array.of(1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const file = (name: string, more: object = {}) => ({ name, data: "text", ...more });
const owner = (path: string) => [lstatSync(path).uid, lstatSync(path).gid];

const SCENARIOS: Record<string, (store: TestStore) => unknown> = {
  driver: store => ({ driver: store.driver }),

  /** Owners that the namespace has not: what is said, and what is left. */
  far: async store => {
    const error = await store
      .unpack(tar(file("near"), file("far", { uid: 70_000, gid: 3 })))
      .catch(errorText);
    return { error, leftovers: store.leftovers() };
  },

  squashed: async store => {
    const layer = await store.unpack(
      tar(file("a", { uid: 33, gid: 42, mode: 0o4755 }), directory("d", { uid: 5 }), file("d/b", { gid: 7 })),
    );
    await store.unpack(tar(file("another", { uid: 33 })));
    return {
      owners: ["a", "d", "d/b"].map(name => owner(join(layer, name))),
      mode: lstatSync(join(layer, "a")).mode & 0o7777,
    };
  },

  /** Devices, links to them, and attributes that only the machine's root may set. */
  forbidden: async store => {
    const layer = await store.unpack(
      tar(
        { name: "null", type: "3", major: 1, minor: 3 },
        { name: "disk", type: "4", major: 8, minor: 0 },
        hardlink("link", "null"),
        hardlink("link2", "link"),
        file("f", { pax: { "SCHILY.xattr.trusted.note": "no", "SCHILY.xattr.user.note": "yes" } }),
      ),
    );
    return { names: readdirSync(layer), note: getXattr(join(layer, "f"), "user.note")?.toString() };
  },

  /** A file with a capability, seen through the mount. */
  capability: async store => {
    const pax = { "SCHILY.xattr.security.capability": CAPABILITY };
    const image = await store.image(tar(file("tool", { mode: 0o755, pax })));
    return store.mounted(image, at => ({
      inside: [...getXattr(join(at, "tool"), "security.capability")!],
    }));
  },

  /** A container's life with its files: what is seen, written, deleted and made anew, and what the layers say then. */
  life: async store => {
    const program = Bun.file("/usr/bin/id");
    const image = await store.image(
      tar(
        directory("./", { mode: 0o751 }),
        file("su", { data: await program.bytes(), mode: 0o4755 }),
        directory("etc", { uid: 1, gid: 2, mode: 0o2750 }),
        file("etc/gone", { uid: 33, gid: 42, mode: 0o640 }),
        file("etc/changed", { uid: 33, gid: 42, mode: 0o640 }),
        directory("old"),
        file("old/a"),
      ),
    );
    return store.mounted(image, at => {
      const facts = (name: string) => [
        ...owner(join(at, name)),
        (statSync(join(at, name)).mode & 0o7777).toString(8),
      ];
      const before = [".", "etc", "etc/gone", "etc/changed"].map(facts);
      const id = Bun.spawnSync([
        "setpriv",
        "--reuid=1000",
        "--regid=1000",
        "--clear-groups",
        join(at, "su"),
        "-u",
      ]);
      Bun.spawnSync(["rm", "-r", join(at, "etc/gone"), join(at, "old")]);
      mkdirSync(join(at, "old"));
      writeFileSync(join(at, "etc/changed"), "changed");
      Bun.spawnSync(["chown", "1000:1000", join(at, "etc/changed")]);
      const layer = store.images.layerDirectories(image)[0]!;
      return {
        mount: mountInfo().find(one => one.target === at)?.fstype ?? "none",
        before,
        id: id.stdout.toString().trim(),
        after: [existsSync(join(at, "etc/gone")), readdirSync(join(at, "old")), facts("etc/changed")],
        layer: [
          existsSync(join(layer, "etc/gone")),
          readdirSync(join(layer, "old")),
          owner(join(layer, "etc/changed")),
        ],
      };
    });
  },
};

using store = new TestStore();
console.log(JSON.stringify(await SCENARIOS[process.argv[2]!]!(store)));
