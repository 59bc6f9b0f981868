/** Loose ends of layers, through a real overlay mount: what an image shows of the layers below a hard link or a directory. */
import { expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { UserError } from "../../src/base/errors.ts";
import { mountRootfs, unmountRootfs } from "../../src/image/mount.ts";
import { sha256 } from "../../src/image/store.ts";
import { getXattr } from "../../src/sys/file.ts";
import { TestStore } from "../support/images.ts";
import { directory, type Entry, hardlink, symlink, tar } from "../support/tar.ts";

const file = (name: string, more: Partial<Entry> = {}): Entry => ({ name, data: "text", ...more });
const root = process.getuid?.() === 0;
const skip = () => console.log("skipped: mounting an overlay needs root");
const facts = (path: string) => {
  const { uid, gid, mode } = statSync(path);
  return [uid, gid, (mode & 0o7777).toString(8)];
};
/** Names in the store that are not blobs, by their ends. */
const patchesOf = (store: TestStore) =>
  readdirSync(store.paths.layers).filter(name => name.endsWith(".patch"));

test("a hard link to a file of a lower layer is that file, with all it has", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const capability = Uint8Array.of(1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const tool = file("d/tool", {
    data: "below",
    mode: 0o4750,
    uid: 5,
    gid: 6,
    mtime: 1234,
    pax: { "SCHILY.xattr.security.capability": capability },
  });
  const image = await store.image(
    tar(directory("d", { mode: 0o711, uid: 3 }), tool, file("d/other")),
    tar(file("x")),
    tar(hardlink("e/link", "d/tool"), hardlink("e/again", "e/link"), file("e/new")),
  );
  store.mounted(image, at => {
    expect(readFileSync(join(at, "e/link"), "utf8")).toBe("below");
    expect(facts(join(at, "e/link"))).toEqual([5, 6, "4750"]);
    expect(statSync(join(at, "e/link")).mtimeMs).toBe(1_234_000);
    expect(getXattr(join(at, "e/link"), "security.capability")).toEqual(capability);
    const inodes = ["d/tool", "e/link", "e/again"].map(name => statSync(join(at, name)).ino);
    expect(new Set(inodes).size).toBe(1);
    expect(readdirSync(join(at, "d")).sort()).toEqual(["other", "tool"]);
    expect(readdirSync(join(at, "e")).sort()).toEqual(["again", "link", "new"]);
    expect(facts(join(at, "d"))).toEqual([3, 0, "711"]);
  });
});

test("a hard link to a lower layer's symlink is a symlink; what it points to stays untouched", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const image = await store.image(tar(symlink("way", "/etc")), tar(hardlink("link", "way")));
  store.mounted(image, at => expect(lstatSync(join(at, "link")).isSymbolicLink()).toBe(true));
});

test("a directory named only in passing keeps the owner and mode of the one below", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const image = await store.image(
    tar(directory("./", { mode: 0o751, gid: 9 }), directory("home", { mode: 0o2770, uid: 12, gid: 34 })),
    tar(directory("home/user", { mode: 0o700, uid: 1000 }), file("home/below")),
    tar(file("home/user/in"), file("home/own/in")),
  );
  store.mounted(image, at => {
    expect(facts(join(at, "home"))).toEqual([12, 34, "2770"]);
    expect(facts(join(at, "home/user"))).toEqual([1000, 0, "700"]);
    expect(facts(join(at, "home/own"))).toEqual([0, 0, "755"]);
    expect(facts(at)).toEqual([0, 9, "751"]);
    expect(readdirSync(join(at, "home")).sort()).toEqual(["below", "own", "user"]);
  });
});

test("a directory that was removed and is named in passing again is a new one", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const below = tar(directory("d", { mode: 0o700, uid: 7 }), file("d/old"));
  const empty = { data: "" };
  const removed = [
    tar(file(".wh.d", empty), file("d/new")),
    tar(file("d/new", { mode: 0o600 }), file(".wh.d", empty)),
  ];
  for (const above of removed)
    store.mounted(await store.image(below, above), at => {
      expect(facts(join(at, "d"))).toEqual([0, 0, "755"]);
      expect(readdirSync(join(at, "d"))).toEqual(["new"]);
    });
  // Emptied, it is the old one still.
  const emptied = await store.image(below, tar(file("d/.wh..wh..opq", empty), file("d/new")));
  store.mounted(emptied, at => {
    expect(facts(join(at, "d"))).toEqual([7, 0, "700"]);
    expect(readdirSync(join(at, "d"))).toEqual(["new"]);
  });
});

test("a layer in two images: what lies below it in one never shows in the other", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const shared = tar(hardlink("link", "d/secret"), file("d/new"));
  const below = (text: string, mode: number) =>
    tar(directory("d", { mode }), file("d/secret", { data: text }));
  const [one, two] = [
    await store.image(below("one", 0o700), shared),
    await store.image(below("two", 0o711), shared),
  ];
  const alone = store.image(shared).catch(error => error as Error);
  expect(await alone).toBeInstanceOf(UserError);
  for (const [image, text, mode] of [
    [one, "one", "700"],
    [two, "two", "711"],
  ] as const)
    store.mounted(image, at => {
      expect(readFileSync(join(at, "link"), "utf8")).toBe(text);
      expect(facts(join(at, "d"))).toEqual([0, 0, mode]);
      // What a container does to the link stays with the container.
      writeFileSync(join(at, "link"), "changed");
    });
  expect(patchesOf(store)).toHaveLength(2);
  store.images.remove(one);
  expect(patchesOf(store)).toHaveLength(1);
  store.mounted(two, at => expect(readFileSync(join(at, "link"), "utf8")).toBe("two"));
  store.images.remove(two);
  expect(store.leftovers()).toEqual([]);
});

/** Hard links that have nothing to link to, or that would lead out. */
const REFUSED: [what: string, below: Uint8Array, above: Uint8Array, words: RegExp][] = [
  ["a file that is nowhere", tar(file("a")), tar(hardlink("l", "b")), /l is a hard link to \/b/],
  ["a directory", tar(directory("d")), tar(hardlink("l", "d")), /hard link to \/d/],
  [
    "a file that the layer removes",
    tar(file("a")),
    tar(file(".wh.a", { data: "" }), hardlink("l", "a")),
    /hard link to \/a/,
  ],
  [
    "a file through a link that leads out",
    tar(symlink("d", "/etc")),
    tar(hardlink("l", "d/passwd")),
    /passwd/,
  ],
  [
    "a file, below a link that leads out",
    tar(symlink("way", "/tmp"), file("a")),
    tar(hardlink("l", "way"), hardlink("way/escaped", "a")),
    /a directory and a hard link/,
  ],
];

for (const [what, below, above, words] of REFUSED)
  test(`refused: a hard link to ${what}; nothing stays`, async () => {
    if (!root) return skip();
    using store = new TestStore();
    const refusal = await store.image(below, above).catch(error => error as Error);
    expect(refusal).toBeInstanceOf(UserError);
    expect((refusal as Error).message).toMatch(words);
    expect(existsSync("/tmp/escaped")).toBe(false);
    store.images.beginImport().release();
    expect(store.leftovers()).toEqual([]);
  });

test("a hard link below a link of its own layer lands where that leads", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const image = await store.image(
    tar(file("a", { data: "below" })),
    tar(directory("usr/lib", { mode: 0o700 }), symlink("lib", "usr/lib"), hardlink("lib/l", "a")),
  );
  store.mounted(image, at => {
    expect(lstatSync(join(at, "lib")).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(at, "usr/lib/l"), "utf8")).toBe("below");
    expect(facts(join(at, "usr/lib"))).toEqual([0, 0, "700"]);
  });
});

test("as many layers as Docker allows can be stacked", () => {
  if (!root) return skip();
  using store = new TestStore();
  const digests = Array.from({ length: 127 }, (_, index) => `sha256:${sha256(Uint8Array.of(index))}`);
  const lower = digests.map(digest => store.images.layers.directory(digest));
  for (const [index, path] of lower.entries()) mkdirSync(join(path, `of-${index}`), { recursive: true });
  const at = store.make(`root/containers/${"0".repeat(64)}`);
  const merged = join(at, "merged");
  mountRootfs({ driver: "overlay", lower, upper: join(at, "upper"), work: join(at, "work"), merged });
  try {
    expect(readdirSync(merged)).toHaveLength(127);
  } finally {
    unmountRootfs(merged, "overlay");
  }
});

test("an image may have one layer more than once", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const [twice, between] = [tar(file("a")), tar(file(".wh.a", { data: "" }), file("b"))];
  const image = await store.image(twice, between, twice);
  store.mounted(image, at => expect(readdirSync(at).sort()).toEqual(["a", "b"]));
});

test("what killed commands left of layers, patches, blobs and images is swept; what images have stays", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const image = await store.image(tar(file("a", { data: "below" })), tar(hardlink("l", "a")));
  const before = store.leftovers().sort();
  const { layers, images, root: top } = store.paths;
  const made = [
    join(layers, ".staging-killed/diff"),
    join(layers, ".trash-killed/half"),
    join(layers, "0123456789abcdef0123456789abcdef/half"),
    join(layers, "0123456789abcdef0123456789abcdef.patch"),
    join(images, "unrecorded"),
    join(store.images.scratch, "load-killed"),
  ];
  for (const path of made) mkdirSync(path, { recursive: true });
  writeFileSync(join(top, "blobs/0123"), "half");
  writeFileSync(join(layers, "0123456789abcdef0123456789abcdef.loose"), "{}");
  // Somebody is at it: nothing may be touched.
  const session = store.images.beginImport();
  for (const path of made) mkdirSync(path, { recursive: true });
  store.images.sweep();
  expect(made.filter(path => !existsSync(path))).toEqual([]);
  session.release();
  store.images.sweep();
  expect(store.leftovers().sort()).toEqual(before);
  store.mounted(image, at => expect(readFileSync(join(at, "l"), "utf8")).toBe("below"));
});

test("a layer that was half removed is unpacked anew", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const layer = tar(file("a"), file("b"));
  const place = await store.unpack(layer);
  // Killed after the record went and before the directory did.
  store.db.run("DELETE FROM layer");
  await Bun.$`rm ${join(place, "a")}`.quiet();
  await store.unpack(layer);
  expect(readdirSync(place).sort()).toEqual(["a", "b"]);
});
