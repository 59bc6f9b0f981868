/** An image of busybox with everything that a file in a layer can have, and what a container of it shows. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { configOf } from "../support/images.ts";
import { directory, type Entry, hardlink, symlink, tar } from "../support/tar.ts";

const file = (name: string, more: Partial<Entry> = {}): Entry => ({ name, data: "text\n", ...more });
/** CAP_CHOWN, permitted and effective. */
const CAPABILITY = Uint8Array.of(1, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

/** A program of this machine, with the libraries that it needs: busybox gives up what a set-user-id bit gave it. */
function program(path: string, name: string, more: Partial<Entry>): Entry[] {
  const libraries = Bun.spawnSync(["ldd", path]).stdout.toString().match(/\/\S+/g) ?? [];
  return [
    file(name, { data: readFileSync(path), ...more }),
    ...libraries.map(one => file(one.slice(1), { data: readFileSync(one), mode: 0o755 })),
  ];
}

const layers = (): Uint8Array[] => {
  const busybox = { data: readFileSync("/bin/busybox"), mode: 0o755 };
  const applets = ["sh", "ls", "id", "cat", "rm", "mkdir", "stat", "touch", "sleep", "chmod", "true"];
  return [
    tar(
      directory("./", { mode: 0o755 }),
      file("bin/busybox", busybox),
      ...applets.map(name => symlink(`bin/${name}`, "busybox")),
      file("bin/chown", { ...busybox, pax: { "SCHILY.xattr.security.capability": CAPABILITY } }),
      directory("etc"),
      file("etc/passwd", { data: "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n" }),
      file("etc/group", { data: "root:x:0:\nuser:x:1000:\n" }),
      file("etc/shadow", { gid: 42, mode: 0o640 }),
      directory("tmp", { mode: 0o1777 }),
      directory("data", { uid: 33, gid: 34, mode: 0o2750 }),
      file("data/one", { uid: 33, gid: 34 }),
      file("data/two", { uid: 33, gid: 34 }),
      directory("old"),
      file("old/a"),
      directory("hidden"),
      file("hidden/a"),
      file("removed"),
      file("own", { uid: 1000, gid: 1000 }),
      { name: "null", type: "3", mode: 0o666, major: 1, minor: 3 },
    ),
    tar(
      file(".wh.removed", { data: "" }),
      directory("hidden"),
      file("hidden/.wh..wh..opq", { data: "" }),
      file("hidden/b"),
      hardlink("data/link", "data/one"),
      ...program("/usr/bin/id", "bin/effective-id", { mode: 0o4755 }),
    ),
  ];
};

/** For a shell in the container, and what it prints. */
export const LOOK = `cd /
stat -c '%n %u:%g %a' . etc/shadow data data/one data/link tmp bin/effective-id
ls -A hidden
[ -e removed ] || echo removed
[ data/one -ef data/link ] && echo linked`;
export const SEEN = `. 0:0 755
etc/shadow 0:42 640
data 33:34 2750
data/one 33:34 644
data/link 33:34 644
tmp 0:0 1777
bin/effective-id 0:0 4755
b
removed
linked`;

/** Changes what it can, the first time, and shows it. */
export const CHANGE = `cd /
if [ -e tmp/mine ]; then echo again
else rm -r data/two old; mkdir old; echo new >own; chmod 600 etc/shadow; touch tmp/mine; fi
ls -A data old; cat own; stat -c '%u:%g %a' etc/shadow own`;
export const CHANGED = `data:
link
one

old:
new
0:42 600
1000:1000 644`;

/** As another user: what a set-user-id bit and a file's capability give. busybox's shell has a chown of its own. */
export const RAISED = "id -u; effective-id -u; /bin/chown 7 /own && stat -c %u /own";

/** Writes the image, `localhost/all:1`, as an archive that all may read; gives its path and how to be rid of it. */
export function allImage(): Disposable & { path: string } {
  const directory = mkdtempSync("/var/tmp/portolan-all-");
  Bun.spawnSync(["chmod", "755", directory]);
  const all = layers();
  const config = configOf(all, { config: { Cmd: ["/bin/sh"], Env: ["PATH=/bin"] } });
  const names = all.map((_, index) => `${index}.tar`);
  const manifest = [{ Config: "config.json", RepoTags: ["localhost/all:1"], Layers: names }];
  const path = join(directory, "all.tar");
  writeFileSync(
    path,
    tar(
      ...all.map((data, index): Entry => ({ name: names[index]!, data })),
      { name: "config.json", data: config },
      { name: "manifest.json", data: JSON.stringify(manifest) },
    ),
  );
  return { path, [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
}
