import { expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { parseTarget } from "./question.ts";

test("a destination is a name or an address, with a port and a protocol", () => {
  expect(parseTarget("db")).toEqual({ name: "db", protocol: "tcp" });
  expect(parseTarget("db:80")).toEqual({ name: "db", port: 80, protocol: "tcp" });
  expect(parseTarget("db:53/udp")).toEqual({ name: "db", port: 53, protocol: "udp" });
  expect(parseTarget("10.88.0.2:80")).toEqual({ name: "10.88.0.2", port: 80, protocol: "tcp" });
  expect(parseTarget("fd00::1")).toEqual({ name: "fd00::1", protocol: "tcp" });
  expect(parseTarget("[fd00::1]:80")).toEqual({ name: "fd00::1", port: 80, protocol: "tcp" });
  for (const wrong of ["", ":80", "db:", "db:0", "db:65536", "db:80/icmp", "db:80:80", "[]:80", "db:80/"])
    expect(() => parseTarget(wrong)).toThrow(UserError);
});

test("whatever is written is parsed or refused", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[[\]a-f0-9:./tcpud]{0,20}$/)), text => {
      try {
        const { name, port = 1 } = parseTarget(text);
        expect(name).not.toBe("");
        expect(port).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
      }
    }),
  );
});
