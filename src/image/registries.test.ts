import { expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { formatReference, parseReference } from "./reference.ts";
import { Registries } from "./registries.ts";

function configured(...texts: string[]): Registries {
  const registries = new Registries();
  for (const text of texts) registries.add(text, "test.conf");
  return registries;
}

/** Runs it; anything thrown must be a refusal in one line. */
function orRefused<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    expect((error as Error).message).not.toMatch(/[\n\r]/);
    return undefined;
  }
}

const host = fc.stringMatching(/^[a-z]{1,6}\.[a-z]{2}(:[1-9][0-9]{1,3})?$/);
const path = fc.array(fc.stringMatching(/^[a-z]{1,4}$/), { maxLength: 2 }).map(parts => parts.join("/"));
const location = fc.tuple(host, path).map(parts => parts.filter(Boolean).join("/"));

test("where a name begins with a prefix, the location stands in its place, and mirrors come first", () => {
  fc.assert(
    fc.property(location, location, location, path, (prefix, place, mirror, rest) => {
      const conf = configured(
        `[[registry]]\nprefix = "${prefix}"\nlocation = "${place}"\ninsecure = true\n[[registry.mirror]]\nlocation = "${mirror}"`,
      );
      const tail = `${rest || "x"}/y`;
      const reference = parseReference(`${prefix}/${tail}`);
      const found = conf.endpoints(reference).map(({ host, repository }) => `${host}/${repository}`);
      expect(found).toEqual([`${mirror}/${tail}`, `${place}/${tail}`]);
      expect(conf.endpoints(reference).map(({ insecure }) => insecure)).toEqual([false, true]);
      // Another host, and one that only begins with the same letters.
      for (const other of [`other.example/${tail}`, `x${prefix}/${tail}`])
        expect(conf.endpoints(parseReference(other))).toEqual([
          {
            host: other.slice(0, other.indexOf("/")),
            repository: other.slice(other.indexOf("/") + 1),
            insecure: false,
          },
        ]);
    }),
  );
});

test("mirrors for digests only, for tags only, and a registry that is blocked", () => {
  const conf = configured(`
    [[registry]]
    location = "a.example"
    [[registry.mirror]]
    location = "digests.example"
    pull-from-mirror = "digest-only"
    [[registry.mirror]]
    location = "tags.example"
    pull-from-mirror = "tag-only"
    [[registry]]
    prefix = "*.blocked.example"
    blocked = true`);
  const hosts = (text: string) => conf.endpoints(parseReference(text)).map(({ host }) => host);
  expect(hosts("a.example/x:tag")).toEqual(["tags.example", "a.example"]);
  expect(hosts(`a.example/x@sha256:${"0".repeat(64)}`)).toEqual(["digests.example", "a.example"]);
  expect(() => hosts("a.blocked.example/x")).toThrow(/blocked/);
  expect(hosts("blocked.example/x")).toEqual(["blocked.example"]);
  expect(hosts("docker.io/library/x")).toEqual(["registry-1.docker.io"]);
});

test("short names: aliases, registries to search, later files over earlier ones", () => {
  const conf = configured(
    'unqualified-search-registries = ["one.example", "two.example"]\n[aliases]\na = "x.example/a"\nb = "x.example/b"',
    '[aliases]\na = ""\nb = "y.example/c"',
  );
  const names = (text: string) => conf.resolve(text).references.map(formatReference);
  expect(names("a:1")).toEqual(["one.example/a:1", "two.example/a:1"]);
  expect(names("b:1")).toEqual(["y.example/c:1"]);
  expect(names("z.example/q")).toEqual(["z.example/q:latest"]);
  expect(new Registries().resolve("nginx").references.map(formatReference)).toEqual([
    "docker.io/library/nginx:latest",
  ]);
  const strict = configured(
    'short-name-mode = "enforcing"\nunqualified-search-registries = ["a.example", "b.example"]',
  );
  expect(() => strict.resolve("x")).toThrow(/a\.example, b\.example/);
});

test("where no registry is searched, the refusal says how to name the image and what to write into which file", () => {
  const conf = configured("unqualified-search-registries = []");
  const refusal = (text: string) => {
    try {
      return conf.resolve(text);
    } catch (error) {
      return error as UserError;
    }
  };
  for (const [short, full] of [
    ["nginx", "docker.io/library/nginx"],
    ["nginx:1", "docker.io/library/nginx:1"],
    ["grafana/loki", "docker.io/grafana/loki"],
  ] as const)
    expect(refusal(short)).toMatchObject({
      message: expect.stringContaining(`short-name "${short}" did not resolve to an alias`),
      hint: `give the full name, as docker.io's ${full}, or write unqualified-search-registries = ["docker.io"] into that file`,
    });
});

/** A TOML value of any form. */
const toml: fc.Arbitrary<string> = fc.letrec<{ value: string }>(tie => ({
  value: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom(
      "true",
      "false",
      "1",
      "1.5",
      '"a.example"',
      '"*.x"',
      '"*"',
      '""',
      '"http://x"',
      '"a/b:c@d"',
    ),
    fc.array(tie("value"), { maxLength: 2 }).map(list => `[${list.join(", ")}]`),
    tie("value").map(value => `{ location = ${value} }`),
  ),
})).value;
const KEYS = [
  "prefix",
  "location",
  "insecure",
  "blocked",
  "mirror",
  "mirror-by-digest-only",
  "pull-from-mirror",
];
const line = (keys: string[]) =>
  fc.tuple(fc.constantFrom(...keys), toml).map(([key, value]) => `${key} = ${value}`);
const file = fc
  .tuple(
    fc.array(
      line(["unqualified-search-registries", "short-name-mode", "registry", "aliases", "credential-helpers"]),
      {
        maxLength: 2,
      },
    ),
    fc.array(line(KEYS), { maxLength: 4 }),
  )
  .map(([top, registry]) => [...top, "[[registry]]", ...registry].join("\n"));

test("any file is understood, and then every name has an answer; or is refused in one line", () => {
  fc.assert(
    fc.property(fc.oneof(file, fc.string()), text => {
      const conf = orRefused(() => configured(text));
      if (!conf) return;
      for (const name of ["x", "a.example/x", `b.example/x@sha256:${"0".repeat(64)}`])
        for (const reference of orRefused(() => conf.resolve(name))?.references ?? [])
          for (const { host, repository } of orRefused(() => conf.endpoints(reference)) ?? [])
            expect([typeof host, typeof repository]).toEqual(["string", "string"]);
    }),
    { numRuns: 500 },
  );
});
