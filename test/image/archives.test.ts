/** docker-archive and oci-archive: there and back, with skopeo and podman as judges; what is no archive is refused. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { UserError } from "../../src/base/errors.ts";
import { loadArchive } from "../../src/image/load.ts";
import { pullImage } from "../../src/image/pull.ts";
import { configOf, TestStore } from "../support/images.ts";
import { skopeo } from "../support/registry.ts";
import { directory, type Entry, symlink, tar } from "../support/tar.ts";
import { Commands } from "./command.ts";
import { describe, digestOf, INDEX, json, MANIFEST, rawImage } from "./fake-registry.ts";

const root = process.getuid?.() === 0;
const missing = ["skopeo", "podman"].filter(program => !Bun.which(program));
const isReady = root && missing.length === 0;
const skip = () => console.log(`skipped: needs root${missing.map(one => ` and ${one}`).join("")}`);

const BASE = tar(directory("bin", { mode: 0o711 }), { name: "bin/tool", mode: 0o4755, data: "tool" });
const TOP = tar({ name: "bin/.wh.tool", data: "" }, { name: "motd", data: "hello" });
const CONFIG = configOf([BASE, TOP], { config: { Cmd: ["/bin/sh"], Env: ["A=b"], Labels: { of: "test" } } });
const ID = digestOf(CONFIG).slice(7);
const NAME = "localhost/thing:1";

/** A docker-archive as `docker save` writes it. */
const dockerArchive = (config = CONFIG, layers: Uint8Array[] = [BASE, TOP], ...more: Entry[]): Uint8Array =>
  tar(
    ...layers.map((data, index): Entry => ({ name: `${index}/layer.tar`, data })),
    { name: "config.json", data: config },
    {
      name: "manifest.json",
      data: json([
        {
          Config: "config.json",
          RepoTags: ["thing:1"],
          Layers: layers.map((_, index) => `${index}/layer.tar`),
        },
      ]),
    },
    ...more,
  );

/** An oci-archive of these blobs. */
const ociArchive = (manifests: unknown, blobs: Iterable<Uint8Array>): Uint8Array =>
  tar(
    { name: "oci-layout", data: '{"imageLayoutVersion":"1.0.0"}' },
    { name: "index.json", data: json({ schemaVersion: 2, manifests }) },
    ...[...blobs].map((data): Entry => ({ name: `blobs/${digestOf(data).replace(":", "/")}`, data })),
  );

/** Loads an archive into a new store of the command's. */
async function load(at: Commands, archive: Uint8Array): Promise<string> {
  const path = join(at.directory, "in.tar");
  writeFileSync(path, archive);
  const { code, stdout, stderr } = await at.portolan(["load", "-i", path]);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout.trim();
}

const save = async (at: Commands, format: string, name: string, ...names: string[]): Promise<string> => {
  const path = join(at.directory, `${format}.tar`);
  const { code, stderr } = await at.portolan(["save", "--format", format, "-o", path, name, ...names]);
  expect([code, stderr]).toEqual([0, ""]);
  return path;
};

for (const format of ["docker-archive", "oci-archive"])
  test(`${format}: what we save, skopeo and podman read as the same image`, async () => {
    if (!isReady) return skip();
    using at = new Commands();
    expect(await load(at, dockerArchive())).toBe(`Loaded image: ${NAME}`);
    const saved = await save(at, format, "thing:1");
    expect(skopeo("inspect", "--config", "--raw", `${format}:${saved}`)).toBe(
      new TextDecoder().decode(CONFIG),
    );
    const told = JSON.parse(skopeo("inspect", `${format}:${saved}`)) as { Layers: string[] };
    expect(told.Layers).toEqual([BASE, TOP].map(digestOf));
    const podmans = await at.podman(["load", "-i", saved]);
    expect(podmans.stdout).toContain(NAME);
    const { stdout } = await at.podman(["inspect", "--format", "{{.Id}} {{index .RepoTags 0}}", NAME]);
    expect(stdout.trim()).toBe(`${ID} ${NAME}`);
    // And back again.
    expect((await at.portolan(["rmi", NAME])).code).toBe(0);
    expect((await at.portolan(["load", "-q", "-i", saved])).stdout.trim()).toBe(`Loaded image: ${NAME}`);
    const again = await at.portolan(["inspect", "--format", "{{.Id}}", NAME]);
    expect(again.stdout.trim()).toBe(ID);
  });

for (const transport of ["docker-archive", "oci-archive"])
  test(`${transport}: what podman saves and skopeo copies, we load as the same image`, async () => {
    if (!isReady) return skip();
    using at = new Commands();
    const first = join(at.directory, "first.tar");
    writeFileSync(first, dockerArchive());
    const copied = join(at.directory, "copied.tar");
    skopeo("copy", `docker-archive:${first}`, `${transport}:${copied}:${NAME}`);
    expect((await at.podman(["load", "-i", first])).stderr).toContain("Writing manifest");
    const saved = join(at.directory, "saved.tar");
    const outcome = await at.podman(["save", "-q", "--format", transport, "-o", saved, NAME]);
    expect(outcome).toEqual({ code: 0, stdout: "", stderr: "" });
    for (const path of [copied, saved]) {
      using store = new TestStore();
      expect(await loadArchive(store.images, path)).toEqual([NAME]);
      const image = store.images.get(NAME);
      expect([image.config.config?.Env, image.config.config?.Labels]).toEqual([["A=b"], { of: "test" }]);
      expect(image.config.rootfs.diff_ids).toEqual([BASE, TOP].map(digestOf));
      store.mounted(image, path => expect(readdirSync(path).sort()).toEqual(["bin", "motd"]));
      store.mounted(image, path => expect(readdirSync(join(path, "bin"))).toEqual([]));
      const pulled = await pullImage(store.images, `${transport}:${path}`);
      expect(pulled.id).toBe(image.id);
    }
  });

test("oci-archive: compressed layers come back byte for byte, with the same manifest", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const image = rawImage(CONFIG, [gzipSync(BASE), zstdCompressSync(TOP)]);
  const annotations = { "org.opencontainers.image.ref.name": NAME };
  const archive = ociArchive(
    [{ ...describe(image.manifest, MANIFEST), annotations }],
    [image.manifest, ...image.blobs.values()],
  );
  expect(await load(at, archive)).toBe(`Loaded image: ${NAME}`);
  const saved = await save(at, "oci-archive", NAME);
  expect(skopeo("inspect", "--raw", `oci-archive:${saved}`)).toBe(new TextDecoder().decode(image.manifest));
  skopeo("copy", `oci-archive:${saved}`, `dir:${join(at.directory, "out")}`);
  for (const digest of image.layers)
    expect(digestOf(readFileSync(join(at.directory, "out", digest.slice(7))))).toBe(digest);
});

test("oci-archive: a layer that another image brought in another form is named as it is", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  await load(at, dockerArchive());
  const image = rawImage(configOf([BASE]), [gzipSync(BASE)]);
  const annotations = { "org.opencontainers.image.ref.name": "localhost/other:latest" };
  await load(
    at,
    ociArchive(
      [{ ...describe(image.manifest, MANIFEST), annotations }],
      [image.manifest, ...image.blobs.values()],
    ),
  );
  const saved = await save(at, "oci-archive", "localhost/other");
  skopeo("copy", `oci-archive:${saved}`, `dir:${join(at.directory, "out")}`);
  expect(existsSync(join(at.directory, "out", digestOf(BASE).slice(7)))).toBe(true);
});

test("oci-archive: an index inside is followed to this machine's image; an image without a name has its id", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const architecture = { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch;
  const [mine, other] = [architecture, "mips"].map(name => {
    const image = rawImage(configOf([BASE], { architecture: name }), [gzipSync(BASE)]);
    const platform = { os: "linux", architecture: name };
    return { ...image, descriptor: { ...describe(image.manifest, MANIFEST), platform } };
  }) as [never, never] as { manifest: Uint8Array; blobs: Map<string, Uint8Array>; descriptor: object }[];
  const index = json({
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [other!.descriptor, mine!.descriptor],
  });
  const archive = ociArchive([describe(index, INDEX)], [index, mine!.manifest, ...mine!.blobs.values()]);
  const id = digestOf(configOf([BASE], { architecture }));
  expect(await load(at, archive)).toBe(`Loaded image: ${id}`);
});

test("several images, several names, standard input, compressed archives, links of old archives", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const old = tar(
    { name: "a/layer.tar", data: BASE },
    symlink("b/layer.tar", "../a/layer.tar"),
    { name: "one.json", data: configOf([BASE]) },
    { name: "two.json", data: configOf([BASE, BASE]) },
    {
      name: "manifest.json",
      data: json([
        { Config: "one.json", RepoTags: ["one", "one:too"], Layers: ["a/layer.tar"] },
        { Config: "two.json", RepoTags: null, Layers: ["a/layer.tar", "b/layer.tar"] },
      ]),
    },
  );
  const loaded = ["localhost/one:latest", "localhost/one:too", digestOf(configOf([BASE, BASE]))].map(
    name => `Loaded image: ${name}`,
  );
  for (const packed of [old, gzipSync(old), zstdCompressSync(old)]) {
    expect((await load(at, packed)).split("\n")).toEqual(loaded);
    expect((await at.portolan(["rmi", "-a", "-f"])).code).toBe(0);
  }
  const { stdout } = await at.portolan(["load"], {}, gzipSync(old));
  expect(stdout.trim().split("\n")).toEqual(loaded);
  const both = await save(at, "docker-archive", "one", "one:too");
  const manifest = JSON.parse((await Bun.$`tar -xOf ${both} manifest.json`.quiet()).stdout.toString()) as {
    RepoTags: string[];
  }[];
  expect(manifest.flatMap(({ RepoTags }) => RepoTags).sort()).toEqual([
    "localhost/one:latest",
    "localhost/one:too",
  ]);
});

/** Archives that hold no image, or a wrong one. */
const WRONG: [what: string, archive: Uint8Array, words: RegExp][] = [
  ["no archive at all", new Uint8Array(2048).fill(7), /does not match any of the supported image formats/],
  ["an empty file", new Uint8Array(), /neither manifest.json nor index.json/],
  ["an archive of something else", tar({ name: "x" }), /neither manifest.json nor index.json/],
  ["half an archive", dockerArchive().subarray(0, 2000), /supported image formats/],
  ["half a compressed archive", gzipSync(dockerArchive()).subarray(0, 300), /decompress/],
  ["a manifest that is no list", tar({ name: "manifest.json", data: "{}" }), /no list/],
  ["a manifest that is no JSON", tar({ name: "manifest.json", data: "{" }), /no JSON/],
  ["a manifest of numbers", tar({ name: "manifest.json", data: "[1]" }), /without a configuration/],
  [
    "a configuration that is missing",
    tar({ name: "manifest.json", data: '[{"Config":"x","Layers":[]}]' }),
    /lacks x/,
  ],
  [
    "a layer that is another",
    dockerArchive(CONFIG, [BASE, BASE]),
    /does not match the image's configuration/,
  ],
  ["a layer too few", dockerArchive(CONFIG, [BASE]), /names 2 layers, its manifest 1/],
  [
    "a layer that harms",
    (() => {
      const layer = tar({ name: ".wh...", data: "" });
      return dockerArchive(configOf([BASE, layer]), [BASE, layer]);
    })(),
    /no whiteout that makes sense/,
  ],
  ["an index that is none", tar({ name: "index.json", data: "[]" }), /no object/],
  [
    "a manifest that was changed",
    tar(
      {
        name: "index.json",
        data: json({ schemaVersion: 2, manifests: [describe(json({}), MANIFEST)] }),
      },
      { name: `blobs/${digestOf(json({})).replace(":", "/")}`, data: "{ }" },
    ),
    /does not match its digest/,
  ],
];

for (const [what, archive, words] of WRONG)
  test(`refused in one line: ${what}; nothing stays`, async () => {
    if (!root) return skip();
    using store = new TestStore();
    const path = join(store.directory, "in.tar");
    writeFileSync(path, archive);
    const refusal = await loadArchive(store.images, path).catch(error => error as Error);
    expect(refusal).toBeInstanceOf(UserError);
    expect((refusal as Error).message).toMatch(words);
    expect((refusal as Error).message).not.toMatch(/[\x00-\x1f]/);
    expect(store.leftovers()).toEqual([]);
  });

test("a full disk while loading and while saving: one line, and no half of anything", async () => {
  if (!root) return skip();
  using store = new TestStore({ size: 600 });
  const big = tar({ name: "big", data: new Uint8Array(1 << 20) });
  const path = join(store.directory, "in.tar");
  writeFileSync(path, gzipSync(dockerArchive(configOf([big]), [big])));
  const refusal = await loadArchive(store.images, path).catch(error => error as Error);
  expect((refusal as Error).message).toMatch(/no space left on device while loading an archive/);
  expect(store.leftovers()).toEqual([]);
  using at = new Commands();
  await load(at, dockerArchive());
  const { code, stderr } = await at.portolan(["save", "-o", join(store.directory, "root/out.tar"), NAME]);
  expect(code).toBe(0);
  expect(stderr).toBe("");
  const full = join(store.directory, "root/fill");
  await Bun.$`dd if=/dev/zero of=${full} bs=4k`.quiet().nothrow();
  const second = await at.portolan(["save", "-o", join(store.directory, "root/second.tar"), NAME]);
  expect([second.code, second.stderr.trim().split("\n").length]).toEqual([125, 1]);
  expect(second.stderr).toMatch(/no space left on device/i);
  expect(readdirSync(join(store.directory, "root")).filter(name => name.startsWith("second"))).toEqual([]);
});
