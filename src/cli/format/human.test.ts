import { expect, test } from "bun:test";
import { humanDuration, humanSize, parseDuration, parseSize, parseTime } from "./human.ts";
import { table } from "./table.ts";

test("sizes that people type", () => {
  expect(["10", "10b", "1k", "1K", "1.5m", "2g", "64MiB", "1kb"].map(parseSize)).toEqual([
    ...[10, 10, 1024, 1024, 1_572_864, 2_147_483_648, 67_108_864, 1024],
  ]);
  for (const text of ["", "m", "-1", "1x", "1 0", "1e3", "99999999999999999999"])
    expect(parseSize(text)).toBeUndefined();
});

test("sizes and spans for people", () => {
  expect([0, 999, 1000, 1_980_000, 187_654_321].map(one => humanSize(one))).toEqual([
    "0B",
    "999B",
    "1kB",
    "1.98MB",
    "188MB",
  ]);
  expect(humanSize(1_980_000, 3, " ")).toBe("1.98 MB");
  const spans = [0, 1500, 59_000, 60_000, 300_000, 3_600_000, 7_200_000, 172_800_000, 1_500_000_000];
  expect(spans.map(humanDuration)).toEqual([
    ...[
      "Less than a second",
      "1 second",
      "59 seconds",
      "About a minute",
      "5 minutes",
      "About an hour",
      "2 hours",
      "2 days",
    ],
    "2 weeks",
  ]);
});

test("durations and times that people type", () => {
  expect([parseDuration("1h30m"), parseDuration("250ms"), parseDuration("0"), parseDuration("1.5s")]).toEqual(
    [5_400_000, 250, 0, 1500],
  );
  for (const text of ["", "1", "h", "1x", "1h-"]) expect(parseDuration(text)).toBeUndefined();
  const now = Date.parse("2026-01-02T00:00:00Z");
  expect(parseTime("1h", now)).toBe(now - 3_600_000);
  expect(parseTime("1700000000", now)).toBe(1_700_000_000_000);
  expect(parseTime("2026-01-01T00:00:00Z", now)).toBe(now - 86_400_000);
  expect(parseTime("yesterday", now)).toBeUndefined();
});

test("columns of twelve at least, two spaces between", () => {
  expect(
    table([
      ["A", "B"],
      ["a-name-of-some-length", "x"],
    ]),
  ).toEqual(["A                      B", "a-name-of-some-length  x"]);
});
