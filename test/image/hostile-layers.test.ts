/** Layers that mean harm, or are only odd: each is refused with one clear line and leaves nothing, or is contained. */
import { expect, test } from "bun:test";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { UserError } from "../../src/base/errors.ts";
import { getXattr, listXattrs } from "../../src/sys/file.ts";
import { inInitialUserNamespace } from "../../src/sys/user-namespace.ts";
import { noise, TestStore } from "../support/images.ts";
import { directory, type Entry, entry, hardlink, longName, symlink, tar } from "../support/tar.ts";

const file = (name: string, more: Partial<Entry> = {}): Entry => ({ name, data: "text", ...more });
/** In a user namespace (user.test.ts runs these tests in one) devices and far ids are not to be had. */
const inside = !inInitialUserNamespace();
const root = process.getuid?.() === 0;
const skip = () => console.log("skipped: unpacking makes device nodes and a chroot, which needs root");

/** Layers that no reading makes sense of. */
const REFUSED: [what: string, layer: Uint8Array, words: RegExp][] = [
  ["a whiteout of ..", tar(file("d/.wh...", { data: "" })), /no whiteout that makes sense/],
  ["a whiteout of .", tar(file("d/.wh..", { data: "" })), /no whiteout that makes sense/],
  ["a whiteout of nothing", tar(file("d/.wh.", { data: "" })), /no whiteout that makes sense/],
  ["a whiteout of .. at the root", tar(file(".wh...", { data: "" })), /no whiteout that makes sense/],
  ["a hard link to a directory", tar(directory("d"), hardlink("l", "d")), /hard link/],
  ["a name that a terminal would obey", tar(directory("\x1b[2J\n"), hardlink("l", "\x1b[2J\n")), /hard link/],
  ["a hard link to itself", tar(file("a"), hardlink("a", "a")), /hard link/],
  ["a file that is the root", tar(file(".")), /root/],
  ["a file in place of the root", tar(file("a/..")), /root/],
  ["a link in place of the root", tar(symlink("/", "/etc")), /root/],
  ["a symlink to itself as a parent", tar(symlink("a", "a"), file("a/x")), /too many levels/],
  ["a parent that is a symlink to a file", tar(file("f"), symlink("a", "f"), file("a/x")), /not a directory/],
  ["an empty symlink", tar(symlink("a", "")), /symlink|no such file/],
  ["a name with NUL", tar(file("x", { pax: { path: "a\0b" } })), /NUL/],
  ["a link with NUL", tar({ ...symlink("x", "y"), pax: { linkpath: "/etc\0/passwd" } }), /NUL/],
  ["an attribute's name with NUL", tar(file("x", { pax: { "SCHILY.xattr.user.a\0b": "1" } })), /NUL/],
  ["a component of 300 bytes", tar(longName("n".repeat(300)), file("x")), /name too long/],
  ["a path of 5000 bytes", tar(file("x", { pax: { path: "d/".repeat(2500) } })), /name too long/],
  ["a negative size", tar(file("x", { size: -1n })), /impossible size/],
  ["a size beyond all disks", tar(file("x", { size: 2n ** 80n })), /impossible size/],
  ["more data promised than there is", tar(file("x", { size: 8 ** 11 - 1 })), /ends inside/],
  ["a pax size beyond what is there", tar(file("x", { pax: { size: "99999999999" } })), /ends inside/],
  ["a pax size that is no number", tar(file("x", { pax: { size: "-5" } })), /pax header with size/],
  ["a user that can't be", tar(file("x", { uid: 2 ** 32 - 1 })), /no user or group/],
  ["a negative group", tar(file("x", { gid: -2 })), /no user or group/],
  ["a time beyond the calendar", tar(file("x", { spoil: spoilt(136, [0x80, 0x7f, 1]) })), /time/],
  ["a device that can't be", tar({ name: "d", type: "3", major: 2 ** 20 }), /device/],
  ["a negative device", tar({ name: "d", type: "4", major: 8, minor: -1 }), /device/],
  ["a number of letters", tar(file("x", { spoil: spoilt(100, [0x61, 0x62]) })), /number field/],
  ["a sparse file of GNU tar", tar(file("x", { type: "S" })), /type "S"/],
  ["a sparse file in pax form", tar(file("x", { pax: { "GNU.sparse.major": "1" } })), /sparse/],
  ["a volume's continuation", tar(file("x", { type: "M" })), /type "M"/],
  ["a pax header of two megabytes", tar({ name: "p", type: "x", data: "x".repeat(2 << 20) }), /header of/],
  ["a pax record that lies about its length", tar({ name: "p", type: "x", data: "999 a=b\n" }), /pax header/],
  ["a pax record without a name", tar({ name: "p", type: "x", data: "6 =ab\n" }), /pax header/],
  ["a wrong checksum", tar(file("x", { spoil: spoilt(0, [0x79]), keepChecksum: true })), /checksum/],
  ["garbage", new Uint8Array(4096).fill(0xa5), /checksum/],
  ["half a header", tar(file("x")).subarray(0, 300), /cut short/],
  ["a file cut short", tar(file("x", { data: "y".repeat(5000) })).subarray(0, 2000), /ends inside/],
  ["a gzip cut short", gzipSync(tar(file("x", { data: noise(50_000) }))).subarray(0, 20_000), /decompress/],
  ["a gzip that is spoilt", corrupt(gzipSync(tar(file("x", { data: noise(50_000) })))), /decompress/],
  ["a zstd that is garbage", Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 9, 9, 9, 9, 9, 9, 9, 9), /decompress/],
];

function spoilt(offset: number, bytes: number[]) {
  return (header: Uint8Array) => header.set(bytes, offset);
}

function corrupt(data: Uint8Array): Uint8Array {
  return data.map((byte, index) => (index > data.length / 2 ? byte ^ 0x55 : byte));
}

for (const [what, layer, words] of REFUSED)
  test(`refused: ${what}`, async () => {
    if (!root) return skip();
    using store = new TestStore();
    const refusal = await store.unpack(layer).catch(error => error as Error);
    expect(refusal).toBeInstanceOf(UserError);
    expect((refusal as Error).message).toMatch(words);
    expect((refusal as Error).message).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
    expect(store.leftovers()).toEqual([]);
  });

/** Names that try to leave: what they make lies inside, and nothing outside has changed. */
const ESCAPES: [what: string, entries: Entry[], inside: string][] = [
  ["dots above the root", [file("../../../../escaped")], "escaped"],
  ["an absolute name", [file("/escaped")], "escaped"],
  ["dots inside a name", [file("a/../../../escaped")], "escaped"],
  ["an absolute symlink as a parent", [directory("x"), symlink("way", "/x"), file("way/in")], "x/in"],
  [
    "a climbing symlink as a parent",
    [directory("x"), symlink("way", "../../../../x"), file("way/in")],
    "x/in",
  ],
  ["a chain of symlinks as parents", [symlink("a", "/b"), symlink("b", "../../c"), file("a/in")], "c/in"],
  ["what every Debian has", [symlink("var/run", "/run"), file("var/run/in")], "run/in"],
  ["a file through a symlink that it replaces", [symlink("f", "../../../outside/kept"), file("f")], "f"],
  ["whiteouts through a symlink", [symlink("way", "/y"), file("way/.wh.kept", { data: "" })], "y/kept"],
];

for (const [what, entries, inside] of ESCAPES)
  test(`contained: ${what}`, async () => {
    if (!root) return skip();
    using store = new TestStore();
    await Bun.write(join(store.make("outside"), "kept"), "kept");
    const layer = await store.unpack(tar(...entries));
    expect(lstatSync(join(layer, inside))).toBeDefined();
    expect(readdirSync(store.directory).sort()).toEqual(["outside", "root", "run"]);
    expect(readdirSync(store.paths.layers).filter(name => name.includes("escaped"))).toEqual([]);
    expect(readFileSync(join(store.directory, "outside/kept"), "utf8")).toBe("kept");
    expect(existsSync("/escaped")).toBe(false);
  });

test("a symlink may point anywhere; it is kept as it is and followed by nobody", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const layer = await store.unpack(tar(symlink("abs", "/etc/passwd"), symlink("up", "../../../../etc")));
  expect([readlinkSync(join(layer, "abs")), readlinkSync(join(layer, "up"))]).toEqual([
    "/etc/passwd",
    "../../../../etc",
  ]);
});

test("a hard link to a file outside links nothing outside", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const outside = join(store.make("outside"), "secret");
  await Bun.write(outside, "secret");
  const climbing = `../../../../../../${outside}`;
  const layer = await store.unpack(tar(hardlink("a", outside), hardlink("b", climbing)));
  expect(readdirSync(layer)).toEqual([]);
  expect(statSync(outside).nlink).toBe(1);
});

test("the store is closed to other users: set-user-id files and devices of layers lie in it", async () => {
  if (!root) return skip();
  using store = new TestStore();
  await store.unpack(tar(file("su", { mode: 0o4755 })));
  for (const path of [store.paths.layers, join(store.paths.root, "blobs")])
    expect(statSync(path).mode & 0o077).toBe(0);
});

test("owners, modes and set-user-id are kept; a hard link does not change its target's mode", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const layer = await store.unpack(
    tar(
      file("su", { mode: 0o6755, uid: 1000, gid: 100 }),
      { ...hardlink("su2", "su"), mode: 0o600 },
      inside ? file("far", { uid: 65_535, gid: 65_535 }) : file("far", { uid: 2 ** 31 + 5, gid: 200_000 }),
      directory("locked", { mode: 0 }),
      file("locked/in"),
      file("old", { mtime: -86_400 }),
      file("fraction", { pax: { mtime: "-1.25" } }),
      { name: "pipe", type: "6", mode: 0o620 },
      { name: "null", type: "3", mode: 0o666, major: 1, minor: 3 },
    ),
  );
  const stat = (name: string) => lstatSync(join(layer, name));
  expect([stat("su").mode & 0o7777, stat("su").uid, stat("su").gid, stat("su").nlink]).toEqual([
    0o6755, 1000, 100, 2,
  ]);
  expect([stat("far").uid, stat("far").gid]).toEqual(inside ? [65_535, 65_535] : [2 ** 31 + 5, 200_000]);
  expect(stat("locked").mode & 0o7777).toBe(0);
  expect([stat("old").mtimeMs, stat("fraction").mtimeMs]).toEqual([-86_400_000, -1250]);
  expect([stat("pipe").isFIFO(), stat("pipe").mode & 0o7777]).toEqual([true, 0o620]);
  if (inside) expect(existsSync(join(layer, "null"))).toBe(false);
  else expect([stat("null").isCharacterDevice(), stat("null").rdev]).toEqual([true, 0x103]);
});

test("whiteouts become what overlayfs obeys", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const empty = { data: "" };
  const layer = await store.unpack(
    tar(
      file("d/.wh.gone", empty),
      file("before/.wh..wh..opq", empty),
      file("before/new"),
      file("after/new"),
      file("after/.wh..wh..opq", empty),
      file(".wh.again", empty),
      directory("again"),
      file("again/new"),
      { name: "device", type: "3" },
    ),
  );
  const attribute = inside ? "user.overlay.opaque" : "trusted.overlay.opaque";
  const opaque = (name: string) => getXattr(join(layer, name), attribute)?.toString() ?? "";
  for (const name of ["d/gone", "device"]) {
    const one = lstatSync(join(layer, name));
    expect([name, one.isCharacterDevice(), one.rdev]).toEqual([name, true, 0]);
  }
  const yes = new TextEncoder().encode("y").toString();
  expect(["before", "after", "again", "d"].map(opaque)).toEqual([yes, yes, yes, ""]);
  expect(existsSync(join(layer, "again/new"))).toBe(true);
});

test("through a real overlay: what was removed is gone, what was made anew has nothing old, the rest is there", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const empty = { data: "" };
  const below = ["plain", "gone", "before", "after", "again", "first", "device"].map(name =>
    file(`${name}/old`),
  );
  const above = tar(
    file(".wh.gone", empty),
    file("plain/.wh.nothing", empty),
    file("before/.wh..wh..opq", empty),
    file("before/new"),
    file("after/new"),
    file("after/.wh..wh..opq", empty),
    file(".wh.again", empty),
    file("again/new"),
    file("first/new"),
    file(".wh.first", empty),
    { name: "device/old", type: "3" },
  );
  store.mounted(await store.image(tar(...below), above), at => {
    const shown = Object.fromEntries(readdirSync(at).map(name => [name, readdirSync(join(at, name)).sort()]));
    expect(shown).toEqual({
      plain: ["old"],
      before: ["new"],
      after: ["new"],
      again: ["new"],
      first: ["new"],
      device: [],
    });
  });
});

test("overlay's own attributes from a layer are dropped, capabilities and user attributes kept", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const capability = Uint8Array.of(1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const layer = await store.unpack(
    tar(
      directory("d", {
        pax: {
          "SCHILY.xattr.trusted.overlay.opaque": "y",
          "SCHILY.xattr.user.overlay.opaque": "y",
          "SCHILY.xattr.user.fuseoverlayfs.opaque": "y",
          "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        },
      }),
      file("f", {
        uid: 7,
        mode: 0o755,
        pax: { "SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.note": "kept" },
      }),
    ),
  );
  expect(listXattrs(join(layer, "d"))).toEqual([]);
  expect(listXattrs(join(layer, "f")).sort()).toEqual(["security.capability", "user.note"]);
});

test("the same name more than once: the last one stands", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const layer = await store.unpack(
    tar(
      file("a", { data: "first" }),
      file("a", { data: "last" }),
      directory("d"),
      file("d/in"),
      file("d", { data: "no directory any more" }),
      file("e"),
      directory("e", { mode: 0o700 }),
      file("e/in"),
      directory("e", { mode: 0o711 }),
      symlink("l", "/a"),
      file("l", { data: "no link any more" }),
    ),
  );
  expect(readFileSync(join(layer, "a"), "utf8")).toBe("last");
  expect(lstatSync(join(layer, "d")).isFile()).toBe(true);
  expect([lstatSync(join(layer, "e")).mode & 0o777, existsSync(join(layer, "e/in"))]).toEqual([0o711, true]);
  expect(readFileSync(join(layer, "l"), "utf8")).toBe("no link any more");
  expect(readFileSync(join(layer, "a"), "utf8")).toBe("last");
});

test("long names of GNU and of pax, and deep paths", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const long = (letter: string) => `${letter.repeat(200)}/${letter.repeat(200)}`;
  const deep = Array.from({ length: 60 }, (_, index) => `level-${index}`).join("/");
  const utf8 = "žluťoučký kůň";
  const layer = await store.unpack(
    tar(
      longName(long("g")),
      file("short"),
      longName(long("k"), "K"),
      symlink("to", "short"),
      file("p", { pax: { path: long("p") } }),
      file("q", { pax: { path: `${deep}/end` } }),
      file("u", { pax: { path: utf8 } }),
    ),
  );
  for (const name of [long("g"), long("p"), `${deep}/end`, utf8])
    expect(readFileSync(join(layer, name), "utf8")).toBe("text");
  expect(readlinkSync(join(layer, "to"))).toBe(long("k"));
});

test("a header of before POSIX, with anything where its devices would be", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const old = file("old", { spoil: header => header.fill(0x7a, 257, 500) });
  const layer = await store.unpack(tar(old, file("dir/", { data: "" })));
  expect(readFileSync(join(layer, "old"), "utf8")).toBe("text");
  expect(lstatSync(join(layer, "dir")).isDirectory()).toBe(true);
});

test("no end mark, or much after it: what came before stands", async () => {
  if (!root) return skip();
  using store = new TestStore();
  for (const layer of [entry(file("a")), Buffer.concat([tar(file("a"), file("b")), noise(300_000)])])
    expect(existsSync(join(await store.unpack(layer), "a"))).toBe(true);
});

test("gzip in several members and zstd in several frames are one layer", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const whole = tar(file("a"), file("b", { data: noise(100_000) }));
  const halves = [whole.subarray(0, 5000), whole.subarray(5000)];
  // RFC 8878, 3.1.2: a frame to be skipped, as zstd:chunked ends with.
  const skippable = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
  const packed = [
    Buffer.concat(halves.map(half => gzipSync(half))),
    Buffer.concat([...halves.map(half => zstdCompressSync(half)), skippable]),
  ];
  for (const layer of packed) {
    const place = await store.unpack(layer);
    expect(readdirSync(place).sort()).toEqual(["a", "b"]);
    expect(statSync(join(place, "b")).size).toBe(100_000);
    store.images.dropUnused();
  }
});

test("an opaque mark at the root of a layer hides all that is below", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const image = await store.image(tar(file("old")), tar(file(".wh..wh..opq", { data: "" }), file("new")));
  store.mounted(image, at => expect(readdirSync(at)).toEqual(["new"]));
});

test("a bomb takes no memory: half a gigabyte of zeros from half a megabyte, refused at a full disk's word", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const small = store.make("root/layers");
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small]);
  expect(mounted.exitCode).toBe(0);
  try {
    const header = entry(file("zeros", { data: "", size: 1 << 29 }));
    const zeros = new Uint8Array(1 << 20);
    const bomb = async function* () {
      yield header;
      for (let count = 0; count < 512; count++) yield zeros;
    };
    const before = process.memoryUsage().rss;
    const refusal = await store.images.layers.ingest(bomb()).catch(error => error as Error);
    expect((refusal as Error).message).toMatch(/no space left/i);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20);
    expect(readdirSync(small)).toEqual([]);
  } finally {
    Bun.spawnSync(["umount", small]);
  }
});
