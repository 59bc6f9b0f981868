import { expect, test } from "bun:test";
import packet from "dns-packet";
import fc from "fast-check";
import { parseIP } from "./addr.ts";
import {
  CLASS,
  emitError,
  emitReply,
  HEADER,
  parseQuery,
  questionEnd,
  RCODE,
  reverseAddress,
  TYPE,
} from "./dns.ts";

const query = (...labels: string[]) =>
  Uint8Array.of(
    ...[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    ...labels.flatMap(label => [label.length, ...Buffer.from(label, "latin1")]),
    ...[0, 0, 1, 0, 1],
  );

/** As a C library writes it. */
const encoded = (name: string, type: string, udpPayloadSize?: number) =>
  Uint8Array.from(
    packet.encode({
      type: "query",
      id: 0x1234,
      flags: packet.RECURSION_DESIRED,
      questions: [{ type, name }],
      additionals: udpPayloadSize ? [{ type: "OPT", name: ".", udpPayloadSize, flags: 0, options: [] }] : [],
    }),
  );

test("a question's end is found, and what is no query has none", () => {
  expect(questionEnd(query("example", "org"))).toBe(12 + 8 + 4 + 5);
  expect(questionEnd(query())).toBe(12 + 5);
  expect(questionEnd(query("example", "org").subarray(0, 20))).toBe(-1);
  expect(questionEnd(query(...Array.from({ length: 5 }, () => "x".repeat(63))))).toBe(-1);
  const answer = query("example");
  answer[2] = 0x81;
  expect(questionEnd(answer)).toBe(-1);
  const two = query("example");
  two[5] = 2;
  expect(questionEnd(two)).toBe(-1);
  const pointer = query("example");
  pointer[12] = 0xc0;
  expect(questionEnd(pointer)).toBe(-1);
});

test("a query's name is in lower case, and no byte in a label is taken for the end of it", () => {
  expect(parseQuery(query("Web", "DNS", "podman"))?.name).toBe("web.dns.podman");
  expect(parseQuery(query("web.dns", "podman"))?.name).toBe("web\\046dns.podman");
  expect(parseQuery(query("a\\b", "\0\xff "))?.name).toBe("a\\092b.\\000\\255\\032");
  expect(parseQuery(query())?.name).toBe("");
});

test("queries as a C library writes them are understood, EDNS too", () => {
  const names = fc.array(fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/), { minLength: 1, maxLength: 6 });
  const types = fc.constantFrom("A", "AAAA", "PTR", "TXT");
  fc.assert(
    fc.property(names, types, fc.option(fc.integer({ min: 1, max: 65_535 })), (labels, type, size) => {
      const parsed = parseQuery(encoded(labels.join("."), type, size ?? undefined));
      expect(parsed?.name).toBe(labels.join(".").toLowerCase());
      expect(parsed?.udpSize).toBe(size ?? undefined);
      expect(parsed?.class).toBe(CLASS.IN);
      expect(parsed?.type).toBe({ A: 1, AAAA: 28, PTR: 12, TXT: 16 }[type]!);
    }),
  );
});

test("whatever bytes come, reading stays inside them, and what is answered is an answer to them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: HEADER, maxLength: 300 }), fc.boolean(), (message, likely) => {
      if (likely) message.set([0, 0, 0, 1], 2);
      const end = questionEnd(message);
      expect(end).toBeLessThanOrEqual(message.length);
      const parsed = parseQuery(message);
      expect(parsed === undefined).toBe(end < 0);
      const answers = [emitError(message, RCODE.FORMERR)];
      if (parsed) answers.push(emitReply(message, parsed, { rcode: 0, records: [] }, 0, false));
      for (const answer of answers) {
        expect([...answer.subarray(0, 2)]).toEqual([...message.subarray(0, 2)]);
        expect(answer[2]! & 0x80).toBe(0x80);
        if (end > 0) expect(answer.subarray(HEADER, end)).toEqual(message.subarray(HEADER, end));
      }
    }),
  );
});

test("an answer is what others read; by UDP it is as long as the asker allows and says when it is cut off", () => {
  const counts = fc.integer({ min: 0, max: 120 });
  const sizes = fc.option(fc.integer({ min: 0, max: 4096 }));
  fc.assert(
    fc.property(counts, sizes, fc.boolean(), fc.constantFrom<4 | 6>(4, 6), (count, size, stream, family) => {
      const type = family === 4 ? TYPE.A : TYPE.AAAA;
      const message = encoded("Web.dns.podman", family === 4 ? "A" : "AAAA", size ?? undefined);
      const records = Array.from({ length: count }, (_, index) => ({
        type,
        data: parseIP(family === 4 ? `10.89.0.${index}` : `fd00::${index.toString(16)}`)!.bytes,
      }));
      const answer = emitReply(message, parseQuery(message)!, { rcode: RCODE.NOERROR, records }, 7, stream);
      const limit = stream ? 65_535 : Math.min(Math.max(size || 512, 512), 1232);
      expect(answer.length).toBeLessThanOrEqual(limit);
      const read = packet.decode(Buffer.from(answer)) as unknown as {
        id: number;
        flag_aa: boolean;
        flag_tc: boolean;
        flag_rd: boolean;
        answers: { name: string; ttl: number; data: string }[];
        additionals: { type: string }[];
      };
      expect(read.id).toBe(0x1234);
      expect([read.flag_aa, read.flag_rd]).toEqual([true, true]);
      expect(read.flag_tc).toBe(read.answers.length < count);
      expect(read.additionals.map(one => one.type)).toEqual(size ? ["OPT"] : []);
      for (const [index, one] of read.answers.entries()) {
        expect([one.name, one.ttl]).toEqual(["Web.dns.podman", 7]);
        expect(parseIP(one.data)!.bytes).toEqual(records[index]!.data);
      }
      // As many as there is room for.
      const each = 12 + (family === 4 ? 4 : 16);
      if (read.flag_tc) expect(answer.length + each).toBeGreaterThan(limit);
    }),
  );
});

test("names of the reverse trees are addresses, others are not", () => {
  expect(reverseAddress("5.0.89.10.in-addr.arpa")).toEqual(Uint8Array.of(10, 89, 0, 5));
  const six = parseIP("fd00::a5")!.bytes;
  const digits = [...Buffer.from(six).toString("hex")].reverse().join(".");
  expect(reverseAddress(`${digits}.ip6.arpa`)).toEqual(six);
  for (const text of [
    "0.89.10.in-addr.arpa",
    "256.0.89.10.in-addr.arpa",
    "web",
    "f.ip6.arpa",
    "in-addr.arpa",
  ])
    expect(reverseAddress(text)).toBeUndefined();
});
