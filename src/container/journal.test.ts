import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseJournalLine } from "./journal.ts";

const line = (more: object) =>
  JSON.stringify({
    MESSAGE: "a line",
    PRIORITY: "6",
    __REALTIME_TIMESTAMP: "1795698536570742",
    __CURSOR: "c1",
    ...more,
  });

test("lines of both streams, with their time to the microsecond", () => {
  expect(parseJournalLine(line({}))).toEqual({
    time: "2026-11-26T13:08:56.570742000+00:00",
    stream: "stdout",
    text: "a line",
    partial: false,
    cursor: "c1",
  });
  expect(parseJournalLine(line({ MESSAGE: "a line\n" }))?.text).toBe("a line");
  expect(parseJournalLine(line({ PRIORITY: "3" }))?.stream).toBe("stderr");
  expect(parseJournalLine(line({ CONTAINER_PARTIAL_MESSAGE: "true" }))?.partial).toBe(true);
  expect(parseJournalLine(line({ MESSAGE: [27, 91, 49, 109] }))?.text).toBe("\x1b[1m");
});

test("whatever journalctl says is a line of a container's or nothing", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.object().map(one => line(one)),
      ),
      text => {
        const parsed = parseJournalLine(text);
        if (parsed) expect(Number.isNaN(Date.parse(parsed.time))).toBe(false);
      },
    ),
  );
});
