import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { describeFlags, type Flag, parseFlags } from "./flags.ts";

const FLAGS: Flag[] = [
  { long: "detach", short: "d", kind: "bool", help: "in the background" },
  { long: "tty", short: "t", kind: "bool", help: "a terminal" },
  { long: "env", short: "e", kind: "array", help: "a variable" },
  { long: "cap-add", kind: "slice", help: "capabilities" },
  { long: "name", kind: "string", help: "a name" },
  { long: "pids-limit", kind: "int", help: "a limit" },
  { long: "cpus", kind: "float", help: "processors" },
  { long: "pull", kind: "string", bare: "always", help: "a policy" },
  { long: "network", kind: "array", aliases: ["net"], help: "networks" },
];
const parse = (line: string[], interspersed = true) =>
  parseFlags(FLAGS, line, { path: "portolan run", interspersed });
const refusal = (line: string[]) => {
  try {
    parse(line);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).exitCode).toBe(125);
    return (error as UserError).message;
  }
  throw new Error("it was not refused");
};

describe("the grammar", () => {
  test("a flag that needs no value takes one after = alone", () => {
    const bare = parse(["--pull", "img"]);
    expect([bare.values.string("pull"), bare.args]).toEqual(["always", ["img"]]);
    expect(parse(["--pull=never"]).values.string("pull")).toBe("never");
  });

  test("clusters, joined and separate values, repeated flags", () => {
    const { values, args } = parse([
      "-dt",
      "-eA=1",
      "-e",
      "B=2",
      "--name=x",
      "--cap-add",
      "a,b",
      "--cap-add=c",
      "img",
    ]);
    expect(values.bool("detach") && values.bool("tty")).toBe(true);
    expect(values.list("env")).toEqual(["A=1", "B=2"]);
    expect(values.list("cap-add")).toEqual(["a", "b", "c"]);
    expect(values.string("name")).toBe("x");
    expect(args).toEqual(["img"]);
  });

  test("what follows the image belongs to the container", () => {
    const { values, args } = parse(["--net=host", "img", "cmd", "-d", "--name", "y"], false);
    expect(values.list("network")).toEqual(["host"]);
    expect(values.bool("detach")).toBe(false);
    expect(args).toEqual(["img", "cmd", "-d", "--name", "y"]);
  });

  test("booleans take a value only after the equals sign", () => {
    expect(parse(["--detach=false", "x"]).values.optionalBool("detach")).toBe(false);
    expect(parse(["--detach", "false"]).args).toEqual(["false"]);
  });

  test("numbers, negative ones too", () => {
    expect(parse(["--pids-limit", "-1"]).values.number("pids-limit")).toBe(-1);
    expect(parse(["--cpus=1.5"]).values.number("cpus")).toBe(1.5);
  });

  test("refusals in the words of Podman", () => {
    expect(refusal(["--bogus"])).toBe("unknown flag: --bogus");
    expect(refusal(["--rootfs", "/x"])).toBe("the flag --rootfs is Podman's and not there yet");
    expect(refusal(["-Y"])).toBe("unknown shorthand flag: 'Y' in -Y");
    expect(refusal(["--name"])).toBe("flag needs an argument: --name");
    expect(refusal(["--pids-limit", "many"])).toContain('invalid argument "many" for "--pids-limit" flag');
  });
});

test("any line is read or refused, and what follows -- is never an option", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), (before, after) => {
      try {
        const { args } = parse([...before, "--", ...after]);
        expect(args.slice(args.length - after.length)).toEqual(
          after.length ? after : args.slice(args.length),
        );
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
      }
    }),
  );
});

test("help names every flag, its short form and its value", () => {
  const text = describeFlags(FLAGS);
  expect(text).toContain("-d, --detach");
  expect(text).toContain("--name string");
  expect(text.split("\n").length).toBe(FLAGS.length);
});
