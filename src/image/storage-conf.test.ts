import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { parseStorageConf, readStorageConf } from "./storage-conf.ts";

test("driver, mount program and squashing, in the table of the driver or above it", () => {
  expect(parseStorageConf('[storage]\ndriver = "vfs"\ngraphroot = "/elsewhere"\n', "f")).toEqual({
    driver: "vfs",
    mountProgram: "",
    ignoreChownErrors: false,
  });
  const options = '[storage.options]\nmount_program = "/a"\nignore_chown_errors = "true"\n';
  expect(parseStorageConf(options, "f")).toEqual({ driver: "", mountProgram: "/a", ignoreChownErrors: true });
  const overlay = '[storage.options.overlay]\nmount_program = "/b"\nignore_chown_errors = "false"\n';
  expect(parseStorageConf(options + overlay, "f")).toMatchObject({
    mountProgram: "/b",
    ignoreChownErrors: false,
  });
});

test("what is wrong is said with the file's name and the field's", () => {
  for (const [text, words] of [
    ["[storage", /^decoding configuration f: toml/],
    ["storage = 1", /^decoding configuration f: storage must be a table/],
    ["[storage]\ndriver = 5", /storage\.driver must be a string/],
    ['[storage.options]\nignore_chown_errors = "perhaps"', /ignore_chown_errors must be true or false/],
    ["[storage.options.overlay]\nmount_program = []", /mount_program must be a string/],
  ] as const)
    expect(() => parseStorageConf(text, "f")).toThrow(words);
});

test("whatever a file holds, it is read or refused in one line", () => {
  const value = fc.oneof(fc.string(), fc.boolean(), fc.integer());
  const lines = fc.array(
    fc.tuple(
      fc.constantFrom("[storage]", "[storage.options]", "[storage.options.overlay]", "[[storage]]", ""),
      fc.constantFrom("driver", "mount_program", "ignore_chown_errors", "options"),
      value,
    ),
  );
  fc.assert(
    fc.property(lines, list => {
      const text = list.map(([table, key, one]) => `${table}\n${key} = ${JSON.stringify(one)}\n`).join("");
      try {
        expect(typeof parseStorageConf(text, "f").driver).toBe("string");
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
      }
    }),
  );
});

test("one file counts: the named one, else the machine's, else the distribution's", () => {
  const root = mkdtempSync(join(tmpdir(), "portolan-conf-"));
  const write = (path: string, driver: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `[storage]\ndriver = "${driver}"\n`);
  };
  try {
    expect(readStorageConf({}, root).driver).toBe("");
    write("usr/share/containers/storage.conf", "theirs");
    expect(readStorageConf({}, root).driver).toBe("theirs");
    write("etc/containers/storage.conf", "ours");
    expect(readStorageConf({}, root).driver).toBe("ours");
    write("named", "named");
    expect(readStorageConf({ CONTAINERS_STORAGE_CONF: join(root, "named") }, root).driver).toBe("named");
    expect(() => readStorageConf({ CONTAINERS_STORAGE_CONF: "/missing" }, root)).toThrow(
      "storage.conf file: open /missing: no such file or directory",
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
