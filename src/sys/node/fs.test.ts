import { afterAll, beforeEach, expect, test } from "bun:test";
import * as theirs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import * as ours from "./fs.ts";

type Fs = typeof ours;
const directory = theirs.mkdtempSync(join(tmpdir(), "portolan-node-fs-"));
const at = (...parts: string[]) => join(directory, ...parts);

/** A tree with one of each. */
function plant(): void {
  theirs.rmSync(at("tree"), { recursive: true, force: true });
  theirs.mkdirSync(at("tree/full/deep/er"), { recursive: true });
  theirs.mkdirSync(at("tree/empty"));
  theirs.writeFileSync(at("tree/file"), "one\n", { mode: 0o640 });
  theirs.writeFileSync(at("tree/full/bytes"), Buffer.from([0xef, 0xbb, 0xbf, 65, 0xff, 0, 66]));
  theirs.writeFileSync(at("tree/full/deep/long"), "é".repeat(100_000));
  theirs.symlinkSync("file", at("tree/link"));
  theirs.symlinkSync("nowhere", at("tree/broken"));
  theirs.symlinkSync("loop", at("tree/loop"));
  theirs.symlinkSync("full", at("tree/to-full"));
}

beforeEach(plant);
afterAll(() => theirs.rmSync(directory, { recursive: true, force: true }));

/** What a call gives or throws, all of it that callers look at. */
function outcome(act: () => unknown): unknown {
  try {
    // accessSync gives null there.
    return { gave: act() ?? undefined };
  } catch (error) {
    const { name, message, code, errno, syscall, path, dest } = error as NodeJS.ErrnoException & {
      dest?: string;
    };
    return { threw: { name, message, code, errno, syscall, path, dest } };
  }
}

/** Every entry below the tree: its type, mode, size and bytes. */
function tree(path = at("tree")): unknown {
  const stats = theirs.lstatSync(path);
  const content = stats.isDirectory()
    ? theirs
        .readdirSync(path)
        .sort()
        .map(name => [name, tree(join(path, name))])
    : stats.isFile()
      ? theirs.readFileSync(path).toString("latin1")
      : theirs.readlinkSync(path);
  return [stats.mode, content];
}

/** Does the same twice, each time in a fresh tree, and compares what it gave and what it left. */
function same(what: string, act: (fs: Fs) => unknown): void {
  plant();
  const theirOutcome = outcome(() => act(theirs as unknown as Fs));
  const theirTree = tree();
  plant();
  const ourOutcome = outcome(() => act(ours));
  expect([what, ourOutcome, tree()]).toEqual([what, theirOutcome, theirTree]);
}

const PLACES = [
  ...["file", "link", "broken", "loop", "empty", "empty/", "full", "to-full", "to-full/bytes", "full/bytes"],
  ...["full/deep/long", "missing", "missing/more/", "file/below", "file/", "", ".", "nul\0", "é/ü"],
];

/** Times differ between two plantings. */
const facts = (given: unknown) => {
  if (!given) return given;
  const stats = given as theirs.Stats;
  const { mode, nlink, uid, gid, rdev, size, blksize, blocks, dev } = stats;
  const types = [
    [stats.isFile(), stats.isDirectory(), stats.isSymbolicLink()],
    [stats.isFIFO(), stats.isSocket(), stats.isCharacterDevice(), stats.isBlockDevice()],
  ];
  return { mode, nlink, uid, gid, rdev, size, blksize, blocks, dev, types };
};

test.each(PLACES)("%j: the same answer, errors and tree as node:fs", place => {
  const path = place === "" ? "" : `${at("tree")}/${place}`;
  const other = at("tree/new");
  same("exists", fs => fs.existsSync(path));
  for (const mode of [0, 1, 2, 4, 7]) same("access", fs => fs.accessSync(path, mode));
  for (const options of [undefined, { throwIfNoEntry: false }]) {
    same("stat", fs => facts(fs.statSync(path, options)));
    same("lstat", fs => facts(fs.lstatSync(path, options)));
  }
  same("read bytes", fs => fs.readFileSync(path));
  same("read text", fs => fs.readFileSync(path, "utf8"));
  same("write", fs => fs.writeFileSync(path, "new ü"));
  same("write bytes", fs => fs.writeFileSync(path, Uint8Array.of(1, 2)));
  for (const flag of ["w", "wx", "a", "r+", "nonsense"])
    same(`write ${flag}`, fs => fs.writeFileSync(path, "x\ud800y", { flag, mode: 0o604 }));
  for (const flag of ["r", "wx", "w", "a", "wx+"])
    same(`open ${flag}`, fs => fs.closeSync(fs.openSync(path, flag, 0o600)));
  same("readlink", fs => fs.readlinkSync(path));
  same("list", fs => fs.readdirSync(path).sort());
  same("list types", fs =>
    fs
      .readdirSync(path, { withFileTypes: true })
      .map(
        one => `${one.parentPath} ${one.name} ${one.isDirectory()} ${one.isFile()} ${one.isSymbolicLink()}`,
      )
      .sort(),
  );
  same("mkdir", fs => fs.mkdirSync(path, { mode: 0o710 }));
  same("mkdir -p", fs => fs.mkdirSync(path, { recursive: true, mode: 0o711 }));
  same("mkdir -p below", fs => fs.mkdirSync(`${path}/x/y/`, { recursive: true }));
  same("chmod", fs => fs.chmodSync(path, 0o700));
  same("chown", fs => fs.chownSync(path, process.getuid!(), process.getgid!()));
  same("unlink", fs => fs.unlinkSync(path));
  same("rmdir", fs => fs.rmdirSync(path));
  same("rename", fs => fs.renameSync(path, other));
  same("rename onto", fs => fs.renameSync(at("tree/empty"), path));
  same("link", fs => fs.linkSync(path, other));
  same("symlink", fs => fs.symlinkSync("target", path));
  for (const recursive of [false, true])
    for (const force of [false, true]) {
      // The runtime calls it EFAULT that a parent is no directory; so do we, by asking it.
      same(`rm ${recursive} ${force}`, fs => fs.rmSync(path, { recursive, force }));
    }
});

test("descriptors are read and written as node:fs does it", () => {
  const path = at("tree/full/bytes");
  const buffer = () => new Uint8Array(16);
  const opened = (flags: string, act: (fs: Fs, fd: number) => unknown) => (fs: Fs) => {
    const fd = fs.openSync(path, flags);
    try {
      return act(fs, fd);
    } finally {
      fs.closeSync(fd);
    }
  };
  same(
    "read",
    opened("r", (fs, fd) => [fs.readSync(fd, buffer()), fs.readSync(fd, buffer())]),
  );
  same(
    "read into the middle",
    opened("r", (fs, fd) => {
      const into = buffer();
      return [fs.readSync(fd, into, 3, 4, null), fs.readSync(fd, into, 8, 2, 1), into];
    }),
  );
  same(
    "read into a view",
    opened("r", (fs, fd) => {
      const view = new DataView(new ArrayBuffer(12));
      return [fs.readSync(fd, view, 1, 5, 2), new Uint8Array(view.buffer)];
    }),
  );
  same(
    "write",
    opened("r+", (fs, fd) => [fs.writeSync(fd, "äöü"), fs.writeSync(fd, Uint8Array.of(1, 2, 3), 1)]),
  );
  same(
    "write there",
    opened("r+", (fs, fd) => fs.writeSync(fd, Uint8Array.of(1, 2, 3), 1, 2, 4)),
  );
  same(
    "whole by descriptor",
    opened("r", (fs, fd) => fs.readFileSync(fd, "utf8")),
  );
  same(
    "write whole by descriptor",
    opened("r+", (fs, fd) => fs.writeFileSync(fd, "abc")),
  );
  same(
    "stat",
    opened("r", (fs, fd) => facts(fs.fstatSync(fd))),
  );
  same(
    "chmod",
    opened("r", (fs, fd) => fs.fchmodSync(fd, 0o600)),
  );
  same(
    "fsync",
    opened("r", (fs, fd) => fs.fsyncSync(fd)),
  );
  const none = 1_000_000;
  same("close nothing", fs => fs.closeSync(none));
  same("stat nothing", fs => fs.fstatSync(none));
  same("read nothing", fs => fs.readSync(none, buffer()));
  same("write nothing", fs => fs.writeSync(none, buffer()));
  same("read nothing whole", fs => fs.readFileSync(none));
  same("write nothing whole", fs => fs.writeFileSync(none, "x"));
});

test("stats tell the same times, numbers and devices", () => {
  for (const path of [at("tree/file"), "/", "/dev/null", "/dev/tty", "/proc/self"]) {
    const [own, others] = [ours.statSync(path), theirs.statSync(path)];
    expect(JSON.parse(JSON.stringify(own))).toEqual(JSON.parse(JSON.stringify(others)));
    expect([own.mtime, own.ctime, own.birthtime]).toEqual([others.mtime, others.ctime, others.birthtime]);
    expect(ours.statSync(path, { bigint: true }).mtimeNs).toBe(
      theirs.statSync(path, { bigint: true }).mtimeNs,
    );
  }
});

test("files of any size and names of any characters come back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(200_000), (name, size) => {
      const file = at(`n${name.replaceAll(/[/\0]/g, "_").slice(0, 40)}`);
      const data = new Uint8Array(size).map((_, index) => index * 7);
      ours.writeFileSync(file, data);
      expect(Buffer.compare(ours.readFileSync(file), data)).toBe(0);
      expect(ours.readdirSync(directory)).toEqual(theirs.readdirSync(directory));
      ours.rmSync(file);
      expect(theirs.existsSync(file)).toBe(false);
    }),
    { numRuns: 50 },
  );
});

test("a directory of thousands is listed whole and removed whole, links in it not followed", () => {
  ours.mkdirSync(at("many/below"), { recursive: true });
  for (let index = 0; index < 3000; index++) ours.writeFileSync(at("many", `file-with-a-name-${index}`), "");
  ours.symlinkSync(at("tree/full"), at("many/below/link"));
  expect(ours.readdirSync(at("many")).length).toBe(3001);
  ours.rmSync(at("many"), { recursive: true });
  expect(theirs.existsSync(at("many"))).toBe(false);
  expect(theirs.readdirSync(at("tree/full")).length).toBe(2);
});
