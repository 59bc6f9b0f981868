import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Entries, fileName, formatEntries, networkOfFile, parseEntries } from "./entries.ts";

test("a file as aardvark-dns has it", () => {
  const text =
    "10.91.0.1,fd10:91::1 8.8.8.8\n2d0fe6 10.91.0.5 fd10:91::5 one,al,2d0fe6\nbeef  fd10:91::6 two 9.9.9.9\n";
  const entries = parseEntries(text);
  expect(entries).toEqual({
    listen: ["10.91.0.1", "fd10:91::1"],
    servers: ["8.8.8.8"],
    containers: [
      {
        id: "2d0fe6",
        ipv4: ["10.91.0.5"],
        ipv6: ["fd10:91::5"],
        names: ["one", "al", "2d0fe6"],
        servers: [],
      },
      { id: "beef", ipv4: [], ipv6: ["fd10:91::6"], names: ["two"], servers: ["9.9.9.9"] },
    ],
  });
  expect(formatEntries(entries)).toBe(text);
});

test("what is written is read again", () => {
  const word = fc.stringMatching(/^[a-z0-9.:_-]{1,20}$/);
  const words = fc.array(word, { maxLength: 3 });
  const entry = fc.record({ id: word, ipv4: words, ipv6: words, names: words, servers: words });
  fc.assert(
    fc.property(
      fc.record({ listen: words, servers: words, containers: fc.array(entry) }),
      (entries: Entries) => {
        expect(parseEntries(formatEntries(entries))).toEqual(entries);
      },
    ),
  );
});

test("any text is read without an error", () => {
  fc.assert(fc.property(fc.string(), text => void parseEntries(text)));
});

test("an internal network's file says so", () => {
  for (const internal of [false, true])
    expect(networkOfFile(fileName("net", internal))).toEqual({ network: "net", internal });
  expect(networkOfFile("aardvark.pid")).toBeUndefined();
});
