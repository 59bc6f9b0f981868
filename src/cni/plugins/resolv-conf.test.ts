import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseResolvConf } from "./resolv-conf.ts";

test("every word of resolv.conf(5) has its place, comments have none", () => {
  const text =
    "# nameserver 192.0.2.9\n; search no\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 # more\ndomain example.com\nsearch a.test b.test\nsearch c.test\noptions ndots:2 rotate\nnameserver\n";
  expect(parseResolvConf(text)).toEqual({
    nameservers: ["192.0.2.1", "2001:db8::1"],
    domain: "example.com",
    search: ["a.test", "b.test", "c.test"],
    options: ["ndots:2", "rotate"],
  });
  expect(parseResolvConf("")).toEqual({});
});

test("whatever stands in the file, the answer is words", () => {
  fc.assert(
    fc.property(fc.string(), text => {
      const { nameservers = [], search = [], options = [] } = parseResolvConf(text);
      for (const word of [...nameservers, ...search, ...options]) expect(word).toMatch(/^\S+$/);
    }),
  );
});
