/** Pushes to Debian's docker-registry, with podman on the other side; and to registries that err. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { configOf, noise } from "../support/images.ts";
import { skopeo, TestRegistry } from "../support/registry.ts";
import { directory, tar } from "../support/tar.ts";
import { Commands } from "./command.ts";
import { digestOf, FakeRegistry, MANIFEST, type RawImage, rawImage, refusal } from "./fake-registry.ts";

const missing = ["docker-registry", "podman", "skopeo"].filter(program => !Bun.which(program));
const isReady = process.getuid?.() === 0 && missing.length === 0;
const skip = () => console.log(`skipped: needs root${missing.map(one => ` and ${one}`).join("")}`);

const BASE = tar(directory("bin"), { name: "bin/tool", mode: 0o755, data: noise(600_000, 7) });
const TOP = tar({ name: "etc/motd", data: "hello\n" });
const IMAGE = rawImage(configOf([BASE, TOP]), [gzipSync(BASE), gzipSync(TOP)]);
const LOCAL = ["--tls-verify=false"];

let registry: TestRegistry;
let at: Commands;
/** In the store of the tests under this name. */
let thing: string;
const ask = (path: string) => `docker://${registry.address}/${path}`;
const manifest = (path: string) => skopeo("inspect", "--raw", "--tls-verify=false", ask(path));

beforeAll(async () => {
  if (!isReady) return;
  registry = await TestRegistry.start();
  for (const [digest, data] of IMAGE.blobs) await registry.putBlob("team/thing", digest, data);
  await registry.putManifest("team/thing", "latest", IMAGE.manifest, MANIFEST);
  at = new Commands();
  thing = `${registry.address}/team/thing`;
  const { stderr } = await at.portolan(["pull", "-q", ...LOCAL, thing]);
  expect(stderr).toBe("");
});
afterAll(async () => {
  at?.[Symbol.dispose]();
  await registry?.[Symbol.asyncDispose]();
});

/** A failure in one line. */
async function refused(args: string[], words: RegExp): Promise<void> {
  const { code, stdout, stderr } = await at.portolan(["push", "-q", ...args]);
  expect([code, stdout]).toEqual([125, ""]);
  expect(stderr).toMatch(/^Error: [^\n]+\n$/);
  expect(stderr).toMatch(words);
}

test("what was pulled is pushed byte for byte, with the lines that podman prints", async () => {
  if (!isReady) return skip();
  const name = `${registry.address}/copies/thing:v1`;
  const digestFile = join(at.directory, "digest");
  const pushed = await at.portolan(["push", ...LOCAL, "--digestfile", digestFile, thing, name]);
  expect([pushed.code, pushed.stdout]).toEqual([0, ""]);
  expect(readFileSync(digestFile, "utf8")).toBe(digestOf(IMAGE.manifest));
  expect(manifest("copies/thing:v1")).toBe(new TextDecoder().decode(IMAGE.manifest));
  const pulled = await at.podman(["pull", "-q", ...LOCAL, name]);
  expect(pulled.stderr).toBe("");
  // podman's lines, of the same image from its own store, which has the layers not as they came: but for their digests.
  const podmans = await at.podman(["push", ...LOCAL, name, `${registry.address}/copies/podmans`]);
  const lines = (text: string) =>
    text
      .replace(/\b[0-9a-f]{64}/g, "<digest>")
      .trim()
      .split("\n");
  expect(lines(pushed.stderr)).toEqual(lines(podmans.stderr).filter(line => line !== "Storing signatures"));
  const back = await at.portolan(["pull", "-q", ...LOCAL, `${registry.address}/copies/podmans`]);
  expect(back.stdout).toBe(pulled.stdout);
});

test("layers that came uncompressed go in gzip, or as --compression-format says; --format names the manifest's types", async () => {
  if (!isReady) return skip();
  const archive = join(at.directory, "plain.tar");
  const saved = await at.portolan(["save", "-o", archive, thing]);
  expect(saved.code).toBe(0);
  using other = new Commands();
  expect((await other.portolan(["load", "-q", "-i", archive])).stderr).toBe("");
  for (const [flags, type, layer] of [
    [["--format", "v2s2"], "vnd.docker.distribution.manifest.v2", "vnd.docker.image.rootfs.diff.tar.gzip"],
    [["--format", "oci"], "vnd.oci.image.manifest.v1", "vnd.oci.image.layer.v1.tar+gzip"],
    [["--compression-format", "zstd"], "vnd.oci.image.manifest.v1", "vnd.oci.image.layer.v1.tar+zstd"],
  ] as const) {
    const name = `plain/${flags[1]}`;
    const outcome = await other.portolan([
      "push",
      "-q",
      ...LOCAL,
      ...flags,
      thing,
      `${registry.address}/${name}`,
    ]);
    expect(outcome).toEqual({ code: 0, stdout: "", stderr: "" });
    const { mediaType, layers } = JSON.parse(manifest(name));
    expect(mediaType).toBe(`application/${type}+json`);
    expect(layers.map((one: { mediaType: string }) => one.mediaType)).toEqual(
      new Array(2).fill(`application/${layer}`),
    );
    const pulled = await at.podman(["pull", "-q", ...LOCAL, `${registry.address}/${name}`]);
    expect(pulled.stdout.trim()).toBe(digestOf([...IMAGE.blobs.values()][0]!).slice(7));
  }
  expect(readdirSync(join(other.directory, "root/tmp"))).toEqual([]);
  await refused(
    [...LOCAL, "-f", "v2s2", "--compression-format", "zstd", thing, `${registry.address}/no`],
    /no layers in zstd/,
  );
});

test("archives and directories: podman reads each of them, and so do we", async () => {
  if (!isReady) return skip();
  const id = digestOf([...IMAGE.blobs.values()][0]!).slice(7);
  // podman makes a name of the path, and names have no capitals.
  const work = join(tmpdir(), `portolan-push-${process.pid}`);
  mkdirSync(work);
  using _end = { [Symbol.dispose]: () => rmSync(work, { recursive: true, force: true }) };
  for (const place of [
    "oci-archive:o.tar:one",
    "docker-archive:d.tar:a/b:c",
    "oci:layout:tag",
    "dir:plain",
  ]) {
    const target = place.replace(":", `:${work}/`);
    expect(await at.portolan(["push", thing, target])).toMatchObject({ code: 0, stdout: "" });
    const podmans = await at.podman(["pull", "-q", target.replace(/:a\/b:c$/, "")]);
    expect([place, podmans.code, podmans.stdout.trim()]).toEqual([place, 0, id]);
  }
  await refused(
    [thing, `docker-archive:${work}/d.tar`],
    /docker-archive doesn't support modifying existing images/,
  );
  await refused([thing, "docker-daemon:a:b"], /docker-daemon is not supported/);
});

test("a registry that wants a name and a password: --creds, auth.json, and one line where they are wrong", async () => {
  if (!isReady) return skip();
  await using closed = await TestRegistry.start({ users: { me: "secret" } });
  const name = `${closed.address}/mine/thing`;
  await refused([...LOCAL, thing, name], /unauthorized: authentication required/);
  await refused([...LOCAL, "--creds", "me:wrong", thing, name], /unauthorized: authentication required/);
  const pushed = await at.portolan(["push", "-q", ...LOCAL, "--creds", "me:secret", thing, name]);
  expect(pushed).toEqual({ code: 0, stdout: "", stderr: "" });
  const auths = { [closed.address]: { auth: btoa("me:secret") } };
  const authFile = await at.file(JSON.stringify({ auths }));
  const again = await at.portolan(["push", "-q", ...LOCAL, "--authfile", authFile, thing, `${name}:2`]);
  expect(again).toEqual({ code: 0, stdout: "", stderr: "" });
});

/** A registry that has nothing, takes all, and notes it. */
const EMPTY: RawImage = { manifest: new Uint8Array(), blobs: new Map(), layers: [] };
const at202 = (path: string) => ({ status: 202, headers: { Location: `${path}upload?state=x` } });

test("a token is asked for with the right to push; blobs are taken over from the repository that they came from", async () => {
  if (!isReady) return skip();
  const scopes: string[] = [];
  await using fake = await FakeRegistry.start(EMPTY, ({ method, path, query, authorization }) => {
    if (path === "/token") {
      scopes.push(query.getAll("scope").join(" "));
      return { body: JSON.stringify({ token: btoa(query.getAll("scope").join(" ")) }) };
    }
    if (!authorization) {
      const challenge = `Bearer realm="http://${fake.address}/token",service="s"`;
      return refusal(401, "UNAUTHORIZED", "", { "WWW-Authenticate": challenge });
    }
    if (method === "PUT" && path.includes("/manifests/")) return { status: 201 };
    if (method === "POST" && query.get("from") === "team/thing") return { status: 201 };
    if (method === "POST") return at202(path);
    if (method === "PATCH") return { ...at202(path), headers: { Location: path } };
    if (method === "PUT") return { status: 201 };
    return undefined;
  });
  const source = `${fake.address}/team/thing`;
  await at.portolan(["tag", thing, source]);
  const pushed = await at.portolan(["push", "-q", ...LOCAL, source, `${fake.address}/other/thing`]);
  expect(pushed).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(new Set(scopes)).toEqual(
    new Set([
      "repository:other/thing:pull,push",
      "repository:other/thing:pull,push repository:team/thing:pull",
    ]),
  );
  const uploads = fake.requests.filter(({ method }) => method === "PATCH");
  // The configuration alone was sent.
  expect(uploads).toHaveLength(1);
});

test("a connection that breaks in the middle of a layer: the layer is sent again", async () => {
  if (!isReady) return skip();
  let cuts = 0;
  const sockets = new Set<Socket>();
  const proxy = createServer(client => {
    const server = createConnection(Number(registry.address.split(":")[1]), "127.0.0.1");
    for (const one of [client, server]) {
      sockets.add(one);
      one.on("error", () => {});
    }
    let own = 0;
    client.on("data", data => {
      own += data.length;
      server.write(data);
      if (own > 300_000 && cuts === 0) {
        cuts++;
        // What was read goes out before the end.
        server.end();
        client.destroy();
      }
    });
    server.pipe(client);
    client.on("end", () => server.end());
  });
  await new Promise<void>(done => proxy.listen(0, "127.0.0.1", done));
  try {
    const { port } = proxy.address() as { port: number };
    const name = `127.0.0.1:${port}/cut/thing`;
    const pushed = await at.portolan(["push", "-q", ...LOCAL, thing, name]);
    expect(pushed).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(cuts).toBe(1);
    expect(manifest("cut/thing")).toBe(new TextDecoder().decode(IMAGE.manifest));
  } finally {
    for (const one of sockets) one.destroy();
    proxy.close();
  }
});

test("a registry that knows how far a broken upload has come is sent the rest", async () => {
  if (!isReady) return skip();
  let isCut = false;
  await using fake = await FakeRegistry.start(EMPTY, ({ method, path }) => {
    if (method === "POST") return at202(path);
    if (method === "PATCH" && !isCut) {
      isCut = true;
      return { body: "x", cut: 0 };
    }
    if (method === "PATCH") return { status: 202, headers: { Location: `${path}?again` } };
    if (method === "GET" && path.endsWith("upload"))
      return { status: 204, headers: { Range: "0-99", Location: `${path}?state=new` } };
    return method === "PUT" ? { status: 201 } : undefined;
  });
  const pushed = await at.portolan(["push", "-q", ...LOCAL, thing, `${fake.address}/a/b`]);
  expect(pushed).toEqual({ code: 0, stdout: "", stderr: "" });
  const ranges = fake.requests.filter(one => one.method === "PATCH").map(one => one.range);
  const sizes = IMAGE.layers.map(digest => IMAGE.blobs.get(digest)!.length);
  expect(sizes.map(size => `100-${size - 1}`)).toContain(ranges.find(Boolean)!);
  expect(ranges.filter(Boolean)).toHaveLength(1);
});

test("what the other end refuses is said in one line: 403, 404, 413, 429, a full disk", async () => {
  if (!isReady) return skip();
  const cases: [number, string, RegExp][] = [
    [403, "DENIED", /denied: no right to push/],
    [404, "NAME_UNKNOWN", /name unknown: no right to push/],
    [413, "", /invalid status code from registry 413/],
    [429, "TOOMANYREQUESTS", /toomanyrequests: no right to push/],
    [507, "", /invalid status code from registry 507 \(Insufficient Storage\)/],
  ];
  await Promise.all(
    cases.map(async ([status, code, words]) => {
      await using fake = await FakeRegistry.start(EMPTY, ({ method, path }) => {
        if (method === "POST") return at202(path);
        if (method === "PATCH")
          return code ? refusal(status, code, "no right to push") : { status, body: "<html>" };
        return undefined;
      });
      await refused([...LOCAL, thing, `${fake.address}/a/b`], words);
    }),
  );
});
