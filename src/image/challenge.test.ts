import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseChallenges } from "./challenge.ts";

const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
const quoted = (text: string) => `"${text.replace(/[\\"]/g, "\\$&")}"`;
const challenge = fc.record({
  scheme: token,
  parameters: fc
    .array(
      fc.tuple(
        token,
        fc.string().filter(text => !/[\r\n]/.test(text)),
      ),
      { minLength: 1, maxLength: 4 },
    )
    .map(entries => Object.fromEntries(entries) as Record<string, string>),
});

test("what is written is read as it was", () => {
  fc.assert(
    fc.property(fc.array(challenge, { maxLength: 3 }), challenges => {
      const header = challenges.map(
        ({ scheme, parameters }) =>
          `${scheme.toUpperCase()} ${Object.entries(parameters)
            .map(([key, value]) => `${key}=${quoted(value)}`)
            .join(", ")}`,
      );
      const parsed = parseChallenges(header.join(", "));
      expect(parsed.map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } }))).toEqual(
        challenges,
      );
    }),
  );
});

test("any text has some challenges, or none", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom("Bearer ", "realm", "=", '"', "\\", ",", " ", "x")).map(parts => parts.join("")),
  );
  fc.assert(
    fc.property(texts, text => {
      for (const { scheme, parameters } of parseChallenges(text)) {
        expect(scheme).toBe(scheme.toLowerCase());
        for (const value of Object.values(parameters)) expect(typeof value).toBe("string");
      }
    }),
    { numRuns: 500 },
  );
});

test("the headers of registries in use", () => {
  expect(
    parseChallenges(
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    )[0],
  ).toMatchObject({
    scheme: "bearer",
    parameters: {
      realm: "https://auth.docker.io/token",
      service: "registry.docker.io",
      scope: "repository:a/b:pull,push",
    },
  });
  expect(parseChallenges('Basic realm="x", Bearer realm=y').map(({ scheme }) => scheme)).toEqual([
    "basic",
    "bearer",
  ]);
});
