import { expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { parseNetworkWord } from "./parse-network.ts";

test("a network with everything that it can have", () => {
  expect(
    parseNetworkWord("web:ip=10.1.0.9,ip=fd01::9,mac=92-D0-C6-0A-29-33,alias=a,alias=b,interface_name=in0"),
  ).toEqual({
    name: "web",
    options: { ip: "10.1.0.9", ip6: "fd01::9", mac: "92:d0:c6:0a:29:33", ifName: "in0", aliases: ["a", "b"] },
  });
  expect(parseNetworkWord("web:")).toEqual(parseNetworkWord("web"));
});

test.each([
  ["web:ip=x", 'invalid option for network web: invalid ip address "x"'],
  ["web:mac=x", "invalid option for network web: address x: invalid MAC address"],
  ["web:bogus=1", "invalid option for network web: unknown bridge network option: bogus"],
  ["web:alias", "invalid option for network web: alias cannot be empty"],
  ["web:interface_name=", "invalid option for network web: interface_name cannot be empty"],
  ["web:ip=10.0.0.1,ip=10.0.0.2", "invalid option for network web: ip is given twice"],
])("%s is refused", (word, message) => {
  expect(() => parseNetworkWord(word)).toThrow(message);
});

test("anything is either read or refused in one line", () => {
  fc.assert(
    fc.property(fc.string(), options => {
      try {
        expect(parseNetworkWord(`n:${options}`).name).toBe("n");
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
      }
    }),
  );
});
