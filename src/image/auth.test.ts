import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { findCredentials } from "./auth.ts";

const directory = mkdtempSync(join(tmpdir(), "portolan-auth-"));
afterAll(() => rmSync(directory, { recursive: true }));
const AT = { registry: "quay.io", repository: "team/app" };

function find(content: unknown, at = AT) {
  const path = join(directory, "auth.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return findCredentials(at, path, { PATH: directory });
}
const auth = (text: string) => ({ auth: Buffer.from(text).toString("base64") });

test("names and passwords come as they were written", () => {
  const user = fc.string({ minLength: 1 }).filter(text => !/[:\0]/.test(text));
  const password = fc.string({ unit: "grapheme" }).filter(text => !text.includes("\0"));
  fc.assert(
    fc.property(user, password, (username, secret) => {
      const found = find({ auths: { "quay.io": auth(`${username}:${secret}`) } });
      expect(found).toMatchObject({ username, password: secret });
    }),
  );
});

test("the most specific entry speaks; Docker's old addresses are understood", () => {
  const auths = { "quay.io": auth("a:1"), "quay.io/team": auth("b:2"), "quay.io/team/other": auth("c:3") };
  expect(find({ auths })?.username).toBe("b");
  expect(find({ auths }, { registry: "quay.io", repository: "else" })?.username).toBe("a");
  expect(find({ auths }, { registry: "ghcr.io", repository: "else" })).toBeUndefined();
  const old = { auths: { "https://index.docker.io/v1/": auth("d:4") } };
  expect(find(old, { registry: "docker.io", repository: "library/nginx" })?.username).toBe("d");
});

test("any file gives credentials of text, none, or a refusal in one line", () => {
  const value: fc.Arbitrary<unknown> = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom("YTpi", "!", "YQ==", null, 5, ["a"]),
  );
  const entry = fc.oneof(value, fc.record({ auth: value, identitytoken: value }, { requiredKeys: [] }));
  const file = fc.record(
    {
      auths: fc.oneof(value, fc.dictionary(fc.constantFrom("quay.io", "quay.io/team", "x"), entry)),
      credHelpers: fc.oneof(value, fc.dictionary(fc.constantFrom("quay.io", "x"), value)),
      credsStore: value,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.jsonValue(), file), content => {
      try {
        const found = find(content);
        for (const text of Object.values(found ?? {})) expect(["string", "undefined"]).toContain(typeof text);
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        expect((error as Error).message).not.toMatch(/[\n\r]/);
      }
    }),
    { numRuns: 500 },
  );
});
