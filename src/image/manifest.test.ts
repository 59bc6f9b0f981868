import { expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { parseDockerManifest } from "./load.ts";
import { choose, type Descriptor, parseManifest, parsePlatform } from "./manifest.ts";
import { parseConfig } from "./parse-config.ts";

const bytes = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

/** Runs it; anything thrown must be a refusal in one short line. */
function orRefused<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    expect((error as Error).message).not.toMatch(/[\0-\x1f]/);
    expect((error as Error).message.length).toBeLessThan(600);
    return undefined;
  }
}

const digest = fc.stringMatching(/^sha256:[0-9a-f]{64}$/);
const size = fc.nat();
const descriptor = fc.record({ mediaType: fc.string(), digest, size });
/** JSON of any form, which knows the words that are looked for. */
const words = [
  ...[
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "digest",
    "size",
    "platform",
    "annotations",
  ],
  ...[
    "rootfs",
    "diff_ids",
    "history",
    "created",
    "Env",
    "Cmd",
    "Labels",
    "Healthcheck",
    "Test",
    "Config",
    "Layers",
  ],
  ...["RepoTags", "os", "architecture", "__proto__", "constructor"],
];
const anything: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(null, true, 0, 1, 2, -1, 1.5, 1e300, "", "x", "\n", "amd64", "linux"),
    digest,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(fc.tuple(fc.constantFrom(...words), tie("value")), { maxLength: 5 }).map(Object.fromEntries),
  ),
})).value;
/** What would do, with one part of it replaced. */
const spoilt = (whole: Record<string, unknown>) =>
  fc
    .tuple(fc.constantFrom(...Object.keys(whole)), anything)
    .map(([key, value]) => ({ ...whole, [key]: value }));

const D = { mediaType: "x", digest: `sha256:${"a".repeat(64)}`, size: 1 };
const CONFIG = {
  architecture: "amd64",
  os: "linux",
  config: { Env: ["a=b"], Healthcheck: { Test: ["NONE"] } },
  rootfs: { type: "layers", diff_ids: [D.digest] },
  history: [{ created: "x" }],
};

test("a manifest and an index are read as they were written", () => {
  fc.assert(
    fc.property(
      descriptor,
      fc.array(descriptor),
      fc.string({ minLength: 1 }),
      (config, layers, mediaType) => {
        expect(parseManifest(bytes({ schemaVersion: 2, mediaType, config, layers }), "")).toEqual({
          kind: "image",
          mediaType,
          config,
          layers,
        });
        expect(parseManifest(bytes({ schemaVersion: 2, manifests: layers }), "y; charset=z")).toEqual({
          kind: "index",
          mediaType: "y",
          manifests: layers,
        });
      },
    ),
  );
});

test("any JSON, and any bytes, are a manifest or are refused in one line", () => {
  const whole = { schemaVersion: 2, mediaType: "m", config: D, layers: [D] };
  const index = { schemaVersion: 2, manifests: [D] };
  const texts = fc.oneof(fc.string(), anything, spoilt(whole), spoilt(index));
  fc.assert(
    fc.property(texts, value => {
      const manifest = orRefused(() => parseManifest(bytes(value), "text/html"));
      const all =
        manifest?.kind === "image" ? [manifest.config, ...manifest.layers] : (manifest?.manifests ?? []);
      for (const one of all) {
        expect(one.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
        expect(Number.isSafeInteger(one.size) && one.size >= 0).toBe(true);
        for (const text of Object.values(one.annotations ?? {})) expect(typeof text).toBe("string");
      }
      if (manifest?.kind === "index") orRefused(() => choose(manifest.manifests, parsePlatform()));
    }),
    { numRuns: 1000 },
  );
});

test("any JSON, and any bytes, are a configuration that can be relied on, or are refused in one line", () => {
  const runtimes = spoilt(CONFIG.config).map(config => ({ ...CONFIG, config }));
  const isTexts = (value: unknown) => Array.isArray(value) && value.every(one => typeof one === "string");
  fc.assert(
    fc.property(fc.oneof(fc.string(), anything, spoilt(CONFIG), runtimes), value => {
      const parsed = orRefused(() => parseConfig(bytes(value)));
      if (!parsed) return;
      for (const one of parsed.rootfs.diff_ids) expect(one).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect([typeof parsed.os, typeof parsed.architecture]).toEqual(["string", "string"]);
      expect(["string", "undefined"]).toContain(typeof parsed.created);
      const { Env, Cmd, Labels, Healthcheck } = parsed.config ?? {};
      for (const list of [Env, Cmd, Healthcheck?.Test])
        expect(list === undefined || isTexts(list)).toBe(true);
      expect(Labels === undefined || isTexts(Object.values(Labels ?? {}))).toBe(true);
      for (const one of parsed.history ?? []) expect(typeof one).toBe("object");
    }),
    { numRuns: 1000 },
  );
});

test("docker save's list: any JSON is one, or is refused in one line", () => {
  const whole = { Config: "c", RepoTags: ["x"], Layers: ["l"] };
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        anything,
        spoilt(whole).map(one => [one]),
      ),
      value => {
        for (const { Config, RepoTags, Layers } of orRefused(() => parseDockerManifest(bytes(value))) ?? [])
          for (const text of [Config, ...RepoTags, ...Layers]) expect(typeof text).toBe("string");
      },
    ),
    { numRuns: 500 },
  );
});

test("an index's image: the variant that was asked for, else the one without, else the first", () => {
  const of = (architecture: string, variant?: string): Descriptor => ({
    ...D,
    size: variant ? Number(variant.slice(1)) : 0,
    platform: { os: "linux", architecture, variant },
  });
  const pick = (text: string, ...manifests: Descriptor[]) => choose(manifests, parsePlatform(text)).size;
  expect(pick("linux/arm/v7", of("arm", "v6"), of("arm", "v7"))).toBe(7);
  expect(pick("linux/arm", of("arm", "v6"), of("arm"))).toBe(0);
  expect(pick("linux/arm", of("arm", "v6"), of("arm", "v7"))).toBe(6);
  expect(pick("linux/arm64", of("amd64"), of("arm64", "v8"))).toBe(8);
  expect(pick("linux/arm64/v8", of("arm64"))).toBe(0);
  expect(() => pick("linux/arm/v5", of("arm", "v6"))).toThrow(/variant "v5"/);
  expect(() => parsePlatform("linux")).toThrow(UserError);
});
