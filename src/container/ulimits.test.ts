import { expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { decideUlimits, ownHardLimit, parseUlimit, parseUlimits, specUlimits } from "./ulimits.ts";

test("what people type", () => {
  expect(parseUlimit("nofile=1024:2048")).toEqual({ name: "nofile", soft: 1024, hard: 2048 });
  expect(parseUlimit("nproc=-1")).toEqual({ name: "nproc", soft: -1, hard: -1 });
  expect(parseUlimit("core=0:unlimited")).toEqual({ name: "core", soft: 0, hard: -1 });
  expect(parseUlimit("stack=18446744073709551615")).toEqual({ name: "stack", soft: -1, hard: -1 });
  expect(parseUlimits(["host"])).toEqual([]);
  for (const [text, why] of [
    ["foo=1", "invalid ulimit type: foo"],
    ["nofile", "invalid ulimit argument: nofile"],
    ["nofile=", 'parsing "": invalid syntax'],
    ["nofile=10:5", "soft limit must be less than or equal to hard limit: 10 > 5"],
    ["nofile=-1:5", "soft limit must be less"],
    ["nofile=99999999999999999999", "invalid ulimit value"],
  ] as const)
    expect(() => parseUlimit(text)).toThrow(why);
});

test("any text is a limit or a refusal", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(nofile|core|x)=[-:0-9a-z]{0,22}$/)), text => {
      try {
        const { soft, hard } = parseUlimit(text);
        expect(Number.isSafeInteger(soft) && Number.isSafeInteger(hard)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
      }
    }),
  );
});

test("defaults are clamped to what this process may give; what was asked for is not", () => {
  const most = () => 20_000;
  expect(decideUlimits(undefined, undefined, most)).toEqual([
    { name: "nofile", soft: 20_000, hard: 20_000 },
    { name: "nproc", soft: 20_000, hard: 20_000 },
  ]);
  expect(decideUlimits(undefined, ["nofile=100:-1"], most)[0]).toEqual({
    name: "nofile",
    soft: 100,
    hard: 20_000,
  });
  expect(decideUlimits(undefined, [], most)).toEqual([]);
  expect(decideUlimits([], ["nofile=1"], most)).toEqual([]);
  expect(decideUlimits([{ name: "nofile", soft: 1, hard: 2 }], ["core=1"], most)).toEqual([
    { name: "nofile", soft: 1, hard: 2 },
    { name: "nproc", soft: 20_000, hard: 20_000 },
  ]);
  expect(() => decideUlimits([{ name: "nofile", soft: 1, hard: -1 }], undefined, most)).toThrow(
    "ulimit nofile: a hard limit of unlimited is above 20000",
  );
});

test("a process with CAP_SYS_RESOURCE gives anything, up to fs.nr_open of open files", () => {
  const files: Record<string, string> = {
    "/proc/self/status": "Name:\tx\nCapEff:\t000001ffffffffff\n",
    "/proc/self/uid_map": "         0          0 4294967295\n",
    "/proc/sys/fs/nr_open": "1048576\n",
    "/proc/self/limits": `Limit                     Soft Limit           Hard Limit           Units     
Max processes             96365                96365                processes 
Max open files            1024                 20000                files     
Max core file size        0                    unlimited            bytes     
`,
  };
  const limit = (name: string) => ownHardLimit(name, path => files[path]!);
  expect([limit("nofile"), limit("nproc")]).toEqual([1_048_576, Number.POSITIVE_INFINITY]);
  files["/proc/self/uid_map"] = "         0       1000          1\n         1     100000      65536\n";
  expect([limit("nofile"), limit("nproc")]).toEqual([20_000, 96_365]);
  files["/proc/self/status"] = "CapEff:\t000001fffeffffff\n";
  expect([limit("nofile"), limit("nproc"), limit("core")]).toEqual([
    20_000,
    96_365,
    Number.POSITIVE_INFINITY,
  ]);
});

test("no limit is written as 2^64-1, exactly", () => {
  expect(JSON.stringify(specUlimits({ ulimits: [{ name: "core", soft: 5, hard: -1 }] }))).toBe(
    '[{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":5}]',
  );
});
