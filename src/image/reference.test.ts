import { expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { formatReference, parseReference, repositoryName, splitReference } from "./reference.ts";

const component = fc.stringMatching(/^[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}$/);
const registry = fc.oneof(
  fc.constantFrom("docker.io", "localhost", "localhost:5000", "[::1]:443", "[fd00::1]"),
  fc.stringMatching(/^[a-z0-9]{1,8}\.[a-z]{2,3}(:[1-9][0-9]{0,3})?$/),
);
const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,20}$/);
const digest = fc.stringMatching(/^sha256:[0-9a-f]{64}$/);
const reference = fc.record({
  registry,
  // docker.io's repositories have two parts at least.
  repository: fc.array(component, { minLength: 2, maxLength: 4 }).map(parts => parts.join("/")),
  tag: fc.option(tag, { nil: undefined }),
  digest: fc.option(digest, { nil: undefined }),
});

test("what is written is read as it was", () => {
  fc.assert(
    fc.property(reference, one => {
      const full = one.tag || one.digest ? one : { ...one, tag: "latest" };
      expect(parseReference(formatReference(full))).toEqual(full);
    }),
  );
});

test("any text is a reference, and then its own full form is the same one; or is refused in one line", () => {
  const texts = fc.oneof(
    fc.array(fc.nat(0xffff)).map(codes => String.fromCharCode(...codes)),
    fc
      .array(fc.constantFrom("a", "B", "/", ":", "@", ".", "-", "_", "5", "sha256", "\n", "[", "]"))
      .map(parts => parts.join("")),
  );
  fc.assert(
    fc.property(texts, text => {
      try {
        const full = parseReference(text);
        expect(parseReference(formatReference(full))).toEqual(full);
        expect(splitReference(formatReference(full)).registry).toBe(full.registry);
        expect(repositoryName(full)).not.toMatch(/[\s\0-\x1f]|\.\./);
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        expect((error as Error).message).not.toMatch(/[\0-\x1f]/);
      }
    }),
    { numRuns: 500 },
  );
});

test("short names become full as everybody makes them", () => {
  for (const [text, full] of [
    ["nginx", "docker.io/library/nginx:latest"],
    ["nginx:1.2", "docker.io/library/nginx:1.2"],
    ["team/nginx", "docker.io/team/nginx:latest"],
    ["index.docker.io/nginx", "docker.io/library/nginx:latest"],
    ["localhost/nginx", "localhost/nginx:latest"],
    ["host:5000/nginx", "host:5000/nginx:latest"],
    ["quay.io/a/b/c:d", "quay.io/a/b/c:d"],
  ] as const)
    expect(formatReference(parseReference(text))).toBe(full);
  for (const text of [
    "",
    "UPPER",
    "a//b",
    "/a",
    "a/",
    "a:",
    "a@",
    "a@sha256:12",
    "-a",
    "a:b:c",
    "a b",
    "..",
    "a/../b",
  ])
    expect(() => parseReference(text)).toThrow(UserError);
});
