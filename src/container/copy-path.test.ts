import { expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { parseCopyPath, placement } from "./copy-path.ts";

test("a container's path has a colon, unless it begins like a path of the host", () => {
  const name = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,12}$/);
  const path = fc.string({ maxLength: 30 });
  fc.assert(
    fc.property(name, path, (container, rest) => {
      expect(parseCopyPath(`${container}:${rest}`)).toEqual({ container, path: rest });
      expect(parseCopyPath(`./${container}:${rest}`)).toEqual({ path: `./${container}:${rest}` });
      expect(parseCopyPath(`/${container}:${rest}`)).toEqual({ path: `/${container}:${rest}` });
    }),
  );
  expect(parseCopyPath("-")).toEqual({ path: "-" });
  expect(parseCopyPath("plain")).toEqual({ path: "plain" });
});

const missing = () => new UserError("nowhere");
const directory = { isDirectory: true, name: "d", contents: false };
const file = { isDirectory: false, name: "f", contents: false };
const there = { text: "/t", path: "/t", kind: "directory" as const, inDirectory: true };
const gone = { text: "/x/t", path: "/x/t", inDirectory: true };

test("into a directory that is there, by its own name or without itself", () => {
  expect(placement(file, there, missing)).toEqual({ directory: "/t", name: "f" });
  expect(placement(directory, there, missing)).toEqual({ directory: "/t", name: "d" });
  expect(placement({ ...directory, contents: true }, there, missing).name).toBeUndefined();
  expect(placement({ ...directory, name: "" }, there, missing).name).toBeUndefined();
});

test("by another name, beside what is there", () => {
  for (const source of [file, directory, { ...directory, contents: true }])
    expect(placement(source, gone, missing)).toEqual({ directory: "/x", name: "t" });
  expect(placement(file, { ...gone, kind: "file" }, missing)).toEqual({ directory: "/x", name: "t" });
});

test("what can't be is refused", () => {
  expect(() => placement(directory, { ...there, kind: "file" }, missing)).toThrow(/must be a directory/);
  expect(() => placement(file, { ...there, text: "/t/", kind: "file" }, missing)).toThrow(/not a directory/);
  expect(() => placement(file, { ...gone, inDirectory: false }, missing)).toThrow(/nowhere/);
  expect(() => placement(file, { ...gone, text: "/x/t/" }, missing)).toThrow(/nowhere/);
});
