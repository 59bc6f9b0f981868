/** Pulls from a registry that errs: what it breaks is made whole or refused in one line, and nothing stays. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { UserError } from "../../src/base/errors.ts";
import type { PullProgress } from "../../src/image/progress.ts";
import { type PullOptions, pullImage } from "../../src/image/pull.ts";
import { until } from "../support/await.ts";
import { configOf, noise, TestStore } from "../support/images.ts";
import { tar } from "../support/tar.ts";
import { Commands } from "./command.ts";
import {
  type Answer,
  FakeRegistry,
  json,
  MANIFEST,
  type RawImage,
  rawImage,
  refusal,
} from "./fake-registry.ts";

const root = process.getuid?.() === 0;
const skip = () => console.log("skipped: unpacking needs root");
const silent: PullProgress = { say() {}, blob: () => ({ update() {}, done() {} }), end() {} };

/** Layers that don't compress, so that their blobs have some size. */
const LAYERS = [1, 2, 3].map(seed => tar({ name: `file-${seed}`, data: noise(200_000, seed) }));
const IMAGE = rawImage(
  configOf(LAYERS),
  LAYERS.map(layer => gzipSync(layer)),
);
const FIRST = IMAGE.layers[0]!;

const pull = (store: TestStore, registry: FakeRegistry, options: PullOptions = {}) =>
  pullImage(store.images, `${registry.address}/some/image:tag`, {
    tlsVerify: false,
    progress: silent,
    ...options,
  });

/** The words of the refusal, once it is known to be one, in one line, with nothing left behind. */
async function refused(store: TestStore, attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UserError);
  const { message } = error as UserError;
  expect(message).not.toMatch(/[\x00-\x1f]/);
  expect(store.leftovers()).toEqual([]);
  return message;
}

/** Counts what has come of each blob. */
function counter() {
  const came = new Map<string, number>();
  const blob = (digest: string) => ({ update: (bytes: number) => came.set(digest, bytes), done() {} });
  return { came: (digest: string) => came.get(digest) ?? 0, progress: { ...silent, blob } as PullProgress };
}

const isBlob = (path: string, digest = FIRST) => path.endsWith(`/blobs/${digest}`);
const from = (range: string) => Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0);

test("a download that breaks off is taken up where it stopped", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const blob = IMAGE.blobs.get(FIRST)!;
  const { came, progress } = counter();
  await using registry = await FakeRegistry.start(IMAGE, ({ path, range }) => {
    if (!isBlob(path)) return undefined;
    const start = from(range);
    const rest: Answer = {
      status: start > 0 ? 206 : 200,
      headers: start > 0 ? { "Content-Range": `bytes ${start}-${blob.length - 1}/${blob.length}` } : {},
      body: blob.subarray(start),
    };
    const end = start + 60_000;
    return end < blob.length ? { ...rest, cut: 60_000, when: () => came(FIRST) >= end } : rest;
  });
  const image = await pull(store, registry, { progress });
  expect(registry.of(FIRST).map(({ range }) => range)).toEqual([
    "",
    "bytes=60000-",
    "bytes=120000-",
    "bytes=180000-",
  ]);
  const names = store.images.layerDirectories(image).flatMap(directory => readdirSync(directory));
  expect(names.sort()).toEqual(["file-1", "file-2", "file-3"]);
});

test("a server that knows no ranges begins again, and what came before is passed over", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const { came, progress } = counter();
  await using registry = await FakeRegistry.start(IMAGE, ({ path }) => {
    const [end, times] = [registry.of(FIRST).length * 60_000, registry.of(FIRST).length];
    if (!isBlob(path) || times > 2) return undefined;
    return { body: IMAGE.blobs.get(FIRST)!, cut: end, when: () => came(FIRST) >= end };
  });
  const image = await pull(store, registry, { progress });
  expect(registry.of(FIRST)).toHaveLength(3);
  const bottom = store.images.layerDirectories(image).at(-1)!;
  expect(readFileSync(join(bottom, "file-1")).equals(noise(200_000, 1))).toBe(true);
});

test("an overloaded server is asked again", async () => {
  if (!root) return skip();
  using store = new TestStore();
  await using registry = await FakeRegistry.start(IMAGE, ({ path }) =>
    isBlob(path) && registry.of(FIRST).length === 1 ? { status: 503 } : undefined,
  );
  await pull(store, registry);
  expect(registry.of(FIRST)).toHaveLength(2);
});

test("layers come at the same time: the first waits for the second", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const second = Promise.withResolvers<undefined>();
  await using registry = await FakeRegistry.start(IMAGE, ({ path }) => {
    if (isBlob(path, IMAGE.layers[1])) second.resolve(undefined);
    return isBlob(path) ? second.promise : undefined;
  });
  await pull(store, registry);
  expect(store.images.list()).toHaveLength(1);
});

test("a blob on another host: it is fetched there, and our credentials stay here", async () => {
  if (!root) return skip();
  using store = new TestStore();
  await using elsewhere = await FakeRegistry.start(IMAGE);
  await using registry = await FakeRegistry.start(IMAGE, ({ path, authorization }) => {
    if (authorization !== `Basic ${btoa("me:secret")}`)
      return refusal(401, "UNAUTHORIZED", "", { "WWW-Authenticate": 'Basic realm="here"' });
    const away = `http://${elsewhere.address}${path.replace("/v2/", "/storage/")}`;
    return path.includes("/blobs/") ? { status: 307, headers: { Location: away } } : undefined;
  });
  const authFile = join(store.directory, "auth.json");
  await Bun.write(authFile, JSON.stringify({ auths: { [registry.address]: { auth: btoa("me:secret") } } }));
  await pull(store, registry, { authFile });
  expect(elsewhere.requests.length).toBe(4);
  expect(elsewhere.requests.filter(({ authorization }) => authorization !== "")).toEqual([]);
  expect(registry.requests.filter(({ authorization }) => authorization === "")).toHaveLength(1);
});

/** What a registry may do wrong, and what is said of it. */
const FAULTS: [what: string, fault: (path: string, range: string) => Answer | undefined, words: RegExp][] = [
  [
    "a layer with a wrong byte",
    path =>
      isBlob(path)
        ? { body: IMAGE.blobs.get(FIRST)!.map((byte, at) => (at === 100 ? byte ^ 1 : byte)) }
        : undefined,
    /copying .*(does not match its digest|decompress)/,
  ],
  [
    "another layer in a layer's place",
    path => (isBlob(path) ? { body: IMAGE.blobs.get(IMAGE.layers[1]!)! } : undefined),
    /does not match its digest|sends more/,
  ],
  [
    "more than was promised",
    path => (isBlob(path) ? { body: Buffer.concat([IMAGE.blobs.get(FIRST)!, noise(1000, 9)]) } : undefined),
    /sends more than the \d+ bytes of blob sha256:/,
  ],
  [
    "a layer that breaks off again and again",
    path => (isBlob(path) ? { body: IMAGE.blobs.get(FIRST)!, cut: 50_000 } : undefined),
    /reading blob sha256:.*(connection|ended after)/,
  ],
  [
    "a layer that is gone",
    path => (isBlob(path) ? refusal(404, "BLOB_UNKNOWN", "blob unknown to registry") : undefined),
    /reading blob sha256:[0-9a-f]+: blob unknown/,
  ],
  [
    "redirects in a circle",
    path => (isBlob(path) ? { status: 302, headers: { Location: path } } : undefined),
    /without an end/,
  ],
  [
    "a redirect to a file",
    path => (isBlob(path) ? { status: 302, headers: { Location: "file:///etc/passwd" } } : undefined),
    /not safe to follow/,
  ],
  [
    "no manifest",
    path => (path.includes("/manifests/") ? refusal(404, "MANIFEST_UNKNOWN") : undefined),
    /manifest unknown/,
  ],
  [
    "an answer that would draw on a terminal",
    path => (path.includes("/manifests/") ? refusal(403, "DENIED", "\x1b[2Jgo\naway") : undefined),
    /denied: \\x1b\[2Jgo away/,
  ],
  ["a server at its end", path => (path.includes("/manifests/") ? { status: 500 } : undefined), /500/],
  [
    "a page in place of a manifest",
    path => (path.includes("/manifests/") ? { body: "<html>" } : undefined),
    /no JSON/,
  ],
  [
    "no registry at all",
    path => (path === "/v2/" ? { status: 404 } : undefined),
    /pinging container registry .*404/,
  ],
  [
    "a manifest of five megabytes",
    path => (path.includes("/manifests/") ? { body: " ".repeat(5 << 20) } : undefined),
    /more than \d+ bytes/,
  ],
];

for (const [what, fault, words] of FAULTS)
  test(`refused in one line: ${what}`, async () => {
    if (!root) return skip();
    using store = new TestStore();
    await using registry = await FakeRegistry.start(IMAGE, ({ path, range }) => fault(path, range));
    expect(await refused(store, pull(store, registry))).toMatch(words);
  }, 60_000);

/** Images that are whole, and wrong. */
const WRONG: [what: string, image: RawImage, words: RegExp][] = [
  [
    "a layer whose content is another than the configuration says",
    rawImage(configOf([LAYERS[0]!]), [gzipSync(LAYERS[1]!)]),
    /does not match the image's configuration/,
  ],
  [
    "fewer layers than the configuration says",
    rawImage(configOf(LAYERS), [gzipSync(LAYERS[0]!)]),
    /names 3 layers, its manifest 1/,
  ],
  ["a configuration without layers", rawImage(json({ os: "linux" }), []), /names no layers/],
  ["a configuration that is none", rawImage(json([]), []), /no object/],
  [
    "a hard link to nothing",
    (() => {
      const layer = tar({ name: "l", type: "1", link: "nowhere" });
      return rawImage(configOf([layer]), [gzipSync(layer)]);
    })(),
    /hard link to \/nowhere/,
  ],
];

for (const [what, image, words] of WRONG)
  test(`refused in one line: an image with ${what}`, async () => {
    if (!root) return skip();
    using store = new TestStore();
    await using registry = await FakeRegistry.start(image);
    expect(await refused(store, pull(store, registry))).toMatch(words);
  });

for (const size of [600, 900, 1200])
  test(`a full disk of ${size} KiB: said so, and nothing stays`, async () => {
    if (!root) return skip();
    using store = new TestStore({ size });
    await using registry = await FakeRegistry.start(IMAGE);
    expect(await refused(store, pull(store, registry))).toMatch(/no space left on device/);
  });

test("a pull that another command undoes half-way brings the layers again", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const other = rawImage(configOf([LAYERS[0]!]), [gzipSync(LAYERS[0]!)]);
  await using otherRegistry = await FakeRegistry.start(other);
  const first = await pull(store, otherRegistry);
  await using registry = await FakeRegistry.start(IMAGE, ({ path }) => {
    // By now the pull has counted on the layer that it has in common with the other image.
    if (isBlob(path, IMAGE.layers[2]) && store.images.byId(first.id)) store.images.remove(first);
    return undefined;
  });
  const image = await pull(store, registry);
  expect(
    store.images
      .layerDirectories(image)
      .flatMap(directory => readdirSync(directory))
      .sort(),
  ).toEqual(["file-1", "file-2", "file-3"]);
});

test("a pull killed at any moment leaves nothing that the next command does not clear away", async () => {
  if (!root) return skip();
  await using registry = await FakeRegistry.start(IMAGE);
  using at = new Commands();
  const options = { root: join(at.directory, "root"), runRoot: join(at.directory, "run") };
  using store = new TestStore({ at: options });
  const name = `${registry.address}/some/image`;
  const asked = () => registry.requests.length;
  for (let moment = 1; moment <= 16; moment++) {
    const before = asked();
    const child = at.start(["pull", "-q", "--tls-verify=false", name]);
    // First by what it has asked for, later by what lies in the store.
    const reached = () =>
      moment <= 6
        ? asked() >= before + moment
        : store.leftovers().length >= moment - 6 || child.exitCode !== null;
    await until(reached, () => `moment ${moment} never came`);
    child.kill("SIGKILL");
    await child.exited;
    await until(
      () => {
        store.images.sweep();
        return store.images.list().length > 0 || store.leftovers().length === 0;
      },
      () => `after moment ${moment} there still are ${store.leftovers().join(", ")}`,
    );
    for (const image of store.images.list()) {
      const names = store.images.layerDirectories(image).flatMap(directory => readdirSync(directory));
      expect(names.sort()).toEqual(["file-1", "file-2", "file-3"]);
      store.images.remove(image);
    }
    expect(store.leftovers()).toEqual([]);
  }
  expect(await at.portolan(["pull", "-q", "--tls-verify=false", name])).toMatchObject({
    code: 0,
    stderr: "",
  });
}, 60_000);

test("a token that runs out is asked for again; a registry that takes no token at all is not asked for ever", async () => {
  if (!root) return skip();
  using store = new TestStore();
  let [given, good] = [0, "none"];
  const challenge = () => ({
    "WWW-Authenticate": `Bearer realm="http://${registry.address}/token",service="here",scope="repository:some/image:pull"`,
  });
  await using registry = await FakeRegistry.start(IMAGE, ({ path, authorization }) => {
    if (path === "/token") {
      good = `token-${++given}`;
      return { body: JSON.stringify({ token: good }) };
    }
    if (authorization !== `Bearer ${good}`) return refusal(401, "UNAUTHORIZED", "", challenge());
    // The manifest was the last that this token opened.
    if (given === 1 && path.includes("/manifests/")) good = "none";
    return undefined;
  });
  await pull(store, registry);
  expect(given).toBeGreaterThan(1);
  const { query } = registry.requests.find(({ path }) => path === "/token")!;
  expect([query.get("service"), query.get("scope")]).toEqual(["here", "repository:some/image:pull"]);

  using empty = new TestStore();
  await using closed = await FakeRegistry.start(IMAGE, ({ path }) =>
    path === "/token"
      ? { body: JSON.stringify({ access_token: "x" }) }
      : refusal(401, "UNAUTHORIZED", "no", {
          "WWW-Authenticate": `Bearer realm="http://${closed.address}/token"`,
        }),
  );
  expect(await refused(empty, pull(empty, closed))).toMatch(/unauthorized: no/);
});

test("an identity token is exchanged as OAuth 2 has it", async () => {
  if (!root) return skip();
  using store = new TestStore();
  let form = "";
  await using registry = await FakeRegistry.start(IMAGE, ({ path, authorization }, body) => {
    if (path === "/token") {
      form = body;
      return { body: JSON.stringify({ access_token: "fresh" }) };
    }
    return authorization === "Bearer fresh"
      ? undefined
      : refusal(401, "UNAUTHORIZED", "", {
          "WWW-Authenticate": `Bearer realm="http://${registry.address}/token",service="here"`,
        });
  });
  const authFile = join(store.directory, "auth.json");
  const auths = { [`${registry.address}/some`]: { auth: btoa("me:"), identitytoken: "refresh-me" } };
  await Bun.write(authFile, JSON.stringify({ auths }));
  await pull(store, registry, { authFile });
  const sent = new URLSearchParams(form);
  expect([sent.get("grant_type"), sent.get("refresh_token"), sent.get("scope")]).toEqual([
    "refresh_token",
    "refresh-me",
    "repository:some/image:pull",
  ]);
});

test("layers in zstd, in plain tar, and one layer twice", async () => {
  if (!root) return skip();
  using store = new TestStore();
  const [one, two] = [LAYERS[0]!, LAYERS[1]!];
  const image = rawImage(configOf([one, two, one]), [zstdCompressSync(one), two, zstdCompressSync(one)]);
  await using registry = await FakeRegistry.start(image);
  const pulled = await pull(store, registry);
  expect(store.images.layerDirectories(pulled)).toHaveLength(2);
  expect(pulled.manifestType).toBe(MANIFEST);
});
