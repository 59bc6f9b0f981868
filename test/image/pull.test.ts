/** Pulls from Debian's docker-registry, as a person asks for them, and podman's beside them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createPrivateKey, sign, X509Certificate } from "node:crypto";
import { chmodSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { configOf, noise } from "../support/images.ts";
import { freePort, TestRegistry } from "../support/registry.ts";
import { directory, tar } from "../support/tar.ts";
import { Commands } from "./command.ts";
import { describe, digestOf, INDEX, json, MANIFEST, type RawImage, rawImage } from "./fake-registry.ts";

const root = process.getuid?.() === 0;
const missing = ["docker-registry", "podman"].filter(program => !Bun.which(program));
const isReady = root && missing.length === 0;
const skip = () => console.log(`skipped: needs root${missing.map(one => ` and ${one}`).join("")}`);

const BASE = tar(directory("bin"), { name: "bin/tool", mode: 0o755, data: noise(50_000, 7) });
const TOP = tar({ name: "etc/motd", data: "hello\n" });
const GZIP = rawImage(configOf([BASE, TOP]), [gzipSync(BASE), gzipSync(TOP)]);
const idOf = (image: RawImage) =>
  (
    JSON.parse(new TextDecoder().decode(image.manifest)) as { config: { digest: string } }
  ).config.digest.slice(7);

async function publish(registry: TestRegistry, name: string, image: RawImage, authorization?: string) {
  const [repository, tag = "latest"] = name.split(":") as [string, string?];
  for (const [digest, data] of image.blobs) await registry.putBlob(repository, digest, data, authorization);
  await registry.putManifest(repository, tag, image.manifest, MANIFEST, authorization);
}

let registry: TestRegistry;
beforeAll(async () => {
  if (!isReady) return;
  registry = await TestRegistry.start();
  await publish(registry, "library/thing", GZIP);
  await publish(registry, "team/deep/thing:v1", GZIP);
});
afterAll(() => registry?.[Symbol.asyncDispose]());

/** Lines that do not change from one run to the next. */
const lines = (text: string) => text.trim().split("\n");

test("what is printed: the same lines as podman's, the id alone on standard output", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const name = `${registry.address}/library/thing`;
  const [ours, podmans] = await at.both(["pull", "--tls-verify=false", name]);
  expect(ours).toMatchObject({ code: 0, stdout: `${idOf(GZIP)}\n` });
  expect(ours.stdout).toBe(podmans.stdout);
  // podman says this last line only for its own store.
  const expected = lines(podmans.stderr).filter(line => line !== "Storing signatures");
  expect(lines(ours.stderr).sort()).toEqual([...new Set(expected)].sort());
  expect(lines(ours.stderr).at(-1)).toBe("Writing manifest to image destination");
  // Again: every layer is there.
  const again = await at.portolan(["pull", "--tls-verify=false", name]);
  expect(again.stdout).toBe(ours.stdout);
  expect(again.stderr.match(/Copying blob sha256:[0-9a-f]{64} skipped: already exists/g)).toHaveLength(2);
  expect(await at.portolan(["pull", "-q", "--tls-verify=false", name])).toEqual({
    code: 0,
    stdout: ours.stdout,
    stderr: "",
  });
  const [images, podmansImages] = await at.both(["images", "--no-trunc", "--format", "{{.ID}} {{.Digest}}"]);
  expect(images.stdout.trim()).toBe(podmansImages.stdout.trim());
});

test("on a terminal each layer has a bar, which ends as done", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const printed = await at.onTerminal(["pull", "--tls-verify=false", `${registry.address}/library/thing`]);
  for (const digest of GZIP.layers) {
    const name = digest.slice(7, 19);
    expect(printed).toMatch(new RegExp(`Copying blob ${name} \\[[=>-]+\\] [0-9.]+MiB / [0-9.]+MiB`));
    expect(printed).toContain(`Copying blob ${name} done`);
  }
  expect(printed.trim().split("\n").at(-1)?.trim()).toBe(idOf(GZIP));
});

test("layers in zstd and in gzip make the same files", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const zstd = rawImage(configOf([BASE, TOP], { author: "zstd" }), [zstdCompressSync(BASE), gzipSync(TOP)]);
  await publish(registry, "zstd", zstd);
  const { code, stdout } = await at.portolan(["pull", "--tls-verify=false", `${registry.address}/zstd`]);
  expect([code, stdout.trim()]).toEqual([0, idOf(zstd)]);
});

test("an index: this machine's image, another by --platform, by digest, and one line where there is none", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const mine = { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch;
  const other = mine === "arm64" ? "amd64" : "arm64";
  const [own, foreign] = [mine, other].map(architecture =>
    rawImage(configOf([BASE], { architecture }), [gzipSync(BASE)]),
  ) as [RawImage, RawImage];
  for (const image of [own, foreign]) await publish(registry, "many:one", image);
  const index = json({
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [
      { ...describe(foreign.manifest, MANIFEST), platform: { os: "linux", architecture: other } },
      { ...describe(own.manifest, MANIFEST), platform: { os: "linux", architecture: mine } },
    ],
  });
  await registry.putManifest("many", "latest", index, INDEX);
  const pull = (...args: string[]) => at.portolan(["pull", "-q", "--tls-verify=false", ...args]);
  const name = `${registry.address}/many`;
  expect((await pull(name)).stdout.trim()).toBe(idOf(own));
  expect((await pull("--platform", `linux/${other}`, name)).stdout.trim()).toBe(idOf(foreign));
  expect((await pull("--arch", other, name)).stdout.trim()).toBe(idOf(foreign));
  expect((await pull(`${name}@${digestOf(foreign.manifest)}`)).stdout.trim()).toBe(idOf(foreign));
  const { code, stderr } = await pull("--platform", "linux/s390x", name);
  expect(code).toBe(125);
  expect(stderr).toMatch(/^Error: [^\n]*no image found in manifest list for architecture s390x[^\n]*\n$/);
  await at.podman(["pull", "-q", "--tls-verify=false", name]);
  const [told, podmans] = await at.both([
    "inspect",
    "--format",
    "{{.Digest}} {{json .RepoDigests}}",
    idOf(own),
  ]);
  const digests = [index, own.manifest].map(data => `${name}@${digestOf(data)}`);
  expect(told.stdout.trim()).toBe(`${digestOf(index)} ${JSON.stringify(digests)}`);
  expect(podmans.stdout.trim()).toBe(told.stdout.trim());
});

test("what is not there is refused with podman's exit code", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  for (const name of [`${registry.address}/nothing`, `${registry.address}/library/thing:none`]) {
    const [ours, podmans] = await at.both(["pull", "-q", "--tls-verify=false", name]);
    expect([ours.code, ours.stdout]).toEqual([podmans.code, ""]);
    expect(ours.stderr).toMatch(/^Error: [^\n]*manifest unknown[^\n]*\n$/);
  }
  const port = await freePort();
  const { code, stderr } = await at.portolan(["pull", "-q", "--tls-verify=false", `127.0.0.1:${port}/x`]);
  expect(code).toBe(125);
  expect(stderr).toMatch(/^Error: [^\n]*pinging container registry[^\n]*connection refused\n$/);
});

/** registries.conf: what it says, the name that is asked for, and what the image is called then. */
const CONFIGURED: [
  what: string,
  conf: (address: string, dead: string) => string,
  name: string,
  called: string,
][] = [
  [
    "mirrors, the first of which is down; a short name",
    (address, dead) =>
      `unqualified-search-registries = ["docker.io"]
         [[registry]]
         location = "docker.io"
         [[registry.mirror]]
         location = "${dead}"
         insecure = true
         [[registry.mirror]]
         location = "${address}"
         insecure = true`,
    "thing",
    "docker.io/library/thing:latest",
  ],
  [
    "a prefix that means another place",
    address =>
      `[[registry]]
         prefix = "example.com/things"
         location = "${address}/team/deep"
         insecure = true`,
    "example.com/things/thing:v1",
    "example.com/things/thing:v1",
  ],
  [
    "the more specific of two prefixes",
    (address, dead) =>
      `[[registry]]
         prefix = "*.example.com"
         location = "${dead}"
         [[registry]]
         prefix = "a.example.com/team"
         location = "${address}/team"
         insecure = true`,
    "a.example.com/team/deep/thing:v1",
    "a.example.com/team/deep/thing:v1",
  ],
  [
    "an alias",
    address =>
      `[[registry]]
         location = "${address}"
         insecure = true
         [aliases]
         "my-thing" = "${address}/team/deep/thing"`,
    "my-thing:v1",
    "ADDRESS/team/deep/thing:v1",
  ],
  [
    "registries to search, the first of which has it not",
    (address, dead) =>
      `unqualified-search-registries = ["${dead}", "${address}"]
         [[registry]]
         location = "${address}"
         insecure = true
         [[registry]]
         location = "${dead}"
         insecure = true`,
    "team/deep/thing:v1",
    "ADDRESS/team/deep/thing:v1",
  ],
];

for (const [what, conf, name, called] of CONFIGURED)
  test(`registries.conf: ${what}`, async () => {
    if (!isReady) return skip();
    using at = new Commands();
    const dead = `127.0.0.1:${await freePort()}`;
    const env = { CONTAINERS_REGISTRIES_CONF: await at.file(conf(registry.address, dead)) };
    const [ours, podmans] = await at.both(["pull", name], env);
    expect([ours.code, ours.stdout]).toEqual([0, podmans.stdout]);
    const trying = (text: string) => lines(text).filter(line => line.startsWith("Trying"));
    expect(trying(ours.stderr)).toEqual(trying(podmans.stderr));
    const [images, podmansImages] = await at.both(["images", "--format", "{{.Repository}}:{{.Tag}}"], env);
    expect(images.stdout.trim()).toBe(called.replace("ADDRESS", registry.address));
    expect(podmansImages.stdout.trim()).toBe(images.stdout.trim());
  });

/** registries.conf that refuses. */
const REFUSING: [what: string, conf: (address: string) => string, name: string, words: RegExp][] = [
  [
    "a blocked registry",
    address => `[[registry]]\nlocation = "${address}"\nblocked = true`,
    "ADDRESS/library/thing",
    /blocked/,
  ],
  [
    "no registry to search",
    () => "unqualified-search-registries = []",
    "no-alias-for-this",
    /did not resolve to an alias and no unqualified-search registries are defined/,
  ],
  [
    "plain HTTP where nobody allowed it",
    address => `unqualified-search-registries = ["${address}"]`,
    "ADDRESS/library/thing",
    /pinging container registry .*(TLS|HTTPS|http)/i,
  ],
  [
    "two registries without it",
    address =>
      `unqualified-search-registries = ["${address}", "localhost:${address.split(":")[1]}"]
       [[registry]]
       location = "${address}"
       insecure = true
       [[registry]]
       location = "localhost:${address.split(":")[1]}"
       insecure = true`,
    "nothing/here",
    /2 errors occurred while pulling: \* .*manifest unknown \* .*manifest unknown/,
  ],
  [
    "a prefix without a location",
    () => '[[registry]]\nprefix = "docker.io"',
    "thing",
    /location is unset and prefix is not in the format: \*\.example\.com/,
  ],
  ["what is no TOML", () => "[[registry", "thing", /loading registries configuration/],
  ["the first version of the format", () => '[registries.search]\nregistries = ["x"]', "thing", /version 1/],
];

for (const [what, conf, name, words] of REFUSING)
  test(`registries.conf: ${what} is refused in one line`, async () => {
    if (!isReady) return skip();
    using at = new Commands();
    const env = { CONTAINERS_REGISTRIES_CONF: await at.file(conf(registry.address)) };
    const { code, stderr } = await at.portolan(
      ["pull", "-q", name.replace("ADDRESS", registry.address)],
      env,
    );
    expect(code).toBe(125);
    expect(stderr).toMatch(/^Error: [^\n]+\n$/);
    expect(stderr).toMatch(words);
  });

test("basic authentication: auth.json, $REGISTRY_AUTH_FILE, a namespace's own entry; wrong or none is refused", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  await using closed = await TestRegistry.start({ users: { me: "secret" } });
  await publish(closed, "team/thing", GZIP, `Basic ${btoa("me:secret")}`);
  const auth = (key: string, text: string) => JSON.stringify({ auths: { [key]: { auth: btoa(text) } } });
  const [good, own, bad] = [
    await at.file(auth(closed.address, "me:secret")),
    await at.file(auth(`${closed.address}/team`, "me:secret")),
    await at.file(auth(closed.address, "me:wrong")),
  ];
  const pull = ["pull", "-q", "--tls-verify=false"];
  const name = `${closed.address}/team/thing`;
  expect((await at.portolan([...pull, "--authfile", good, name])).stdout.trim()).toBe(idOf(GZIP));
  expect((await at.portolan([...pull, name], { REGISTRY_AUTH_FILE: own })).code).toBe(0);
  for (const args of [["--authfile", bad], []]) {
    const [ours, podmans] = await at.both([...pull, ...args, name]);
    expect(ours.code).toBe(podmans.code);
    expect(ours.stderr).toMatch(/^Error: [^\n]*(unauthorized|authentication required)[^\n]*\n$/);
  }
  const none = await at.portolan([...pull, "--authfile", join(at.directory, "none.json"), name]);
  expect(none.stderr).toMatch(/no such file or directory/);
});

test("a mirror has credentials of its own; a credential helper is asked", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  await using closed = await TestRegistry.start({ users: { mirror: "secret" } });
  await publish(closed, "library/thing", GZIP, `Basic ${btoa("mirror:secret")}`);
  const conf = `[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "${closed.address}"\ninsecure = true`;
  const env = { CONTAINERS_REGISTRIES_CONF: await at.file(conf) };
  const auths = {
    [closed.address]: { auth: btoa("mirror:secret") },
    "docker.io": { auth: btoa("me:other") },
  };
  const authFile = await at.file(JSON.stringify({ auths }));
  const name = "docker.io/library/thing";
  const [ours, podmans] = await at.both(["pull", "-q", "--authfile", authFile, name], env);
  expect([ours.code, ours.stdout]).toEqual([0, podmans.stdout]);

  const helper = join(at.directory, "docker-credential-test");
  await Bun.write(
    helper,
    `#!/bin/sh\nread server\necho "{\\"Username\\":\\"mirror\\",\\"Secret\\":\\"secret\\"}"\n`,
  );
  chmodSync(helper, 0o755);
  const path = { PATH: `${at.directory}:${process.env.PATH}` };
  const asks = await at.file(JSON.stringify({ credHelpers: { [closed.address]: "test" } }));
  const pull = ["pull", "-q", "--tls-verify=false", "--authfile", asks, `${closed.address}/library/thing`];
  expect(await at.portolan(pull, path)).toMatchObject({ code: 0, stderr: "" });
  await Bun.write(helper, "#!/bin/sh\necho the safe is locked >&2; exit 1\n");
  const refused = await at.portolan(pull, path);
  expect(refused.stderr).toMatch(
    /^Error: the credential helper docker-credential-test failed: the safe is locked\n$/,
  );
});

test("several commands that pull the same image at the same time all have it, once", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const name = `${registry.address}/library/thing`;
  const pulls = Array.from({ length: 5 }, () => at.portolan(["pull", "-q", "--tls-verify=false", name]));
  for (const { code, stdout, stderr } of await Promise.all(pulls))
    expect([code, stdout, stderr]).toEqual([0, `${idOf(GZIP)}\n`, ""]);
  const { stdout } = await at.portolan(["images", "-q"]);
  expect(stdout.trim().split("\n")).toHaveLength(1);
  const layers = readdirSync(join(at.directory, "root/layers")).filter(one => !/\.(loose|patch)$/.test(one));
  expect([layers.length, readdirSync(join(at.directory, "root/blobs")).length]).toEqual([2, 2]);
});

/** A certificate for the loopback address, and its key. */
async function certificate(at: Commands): Promise<{ certificate: string; key: string }> {
  const [path, key] = [join(at.directory, "cert.pem"), join(at.directory, "key.pem")];
  const subject = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"];
  await Bun.$`openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ${key} -out ${path} ${subject}`.quiet();
  return { certificate: path, key };
}

test("token authentication, as docker-registry itself checks it", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const { certificate: path, key } = await certificate(at);
  const pem = readFileSync(path, "utf8");
  const privateKey = createPrivateKey(readFileSync(key));
  const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const scopes: string[] = [];
  const token = (scope: string, actions: string[]) => {
    const now = Math.floor(Date.now() / 1000);
    const name = scope.split(":")[1];
    const head = { typ: "JWT", alg: "RS256", x5c: [new X509Certificate(pem).raw.toString("base64")] };
    const claims = { iss: "tests", sub: "me", aud: "here", exp: now + 60, nbf: now - 60, iat: now, jti: "1" };
    const text = `${base64(head)}.${base64({ ...claims, access: [{ type: "repository", name, actions }] })}`;
    return `${text}.${sign("sha256", Buffer.from(text), privateKey).toString("base64url")}`;
  };
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const { searchParams } = new URL(request.url);
      const isKnown = request.headers.get("authorization") === `Basic ${btoa("me:secret")}`;
      const scope = searchParams.get("scope") ?? "";
      scopes.push(`${searchParams.get("service")} ${scope} ${searchParams.get("account") ?? ""}`);
      if (!isKnown && scope.includes("private")) return new Response("{}", { status: 401 });
      return Response.json({ token: token(scope, ["pull"]) });
    },
  });
  await using closed = await TestRegistry.start({
    token: {
      realm: `http://127.0.0.1:${server.port}/token`,
      service: "here",
      issuer: "tests",
      certificate: pem,
    },
  });
  for (const repository of ["public/thing", "private/thing"])
    await publish(closed, repository, GZIP, `Bearer ${token(`repository:${repository}:`, ["push", "pull"])}`);
  const pull = ["pull", "-q", "--tls-verify=false"];
  expect(await at.portolan([...pull, `${closed.address}/public/thing`])).toMatchObject({
    code: 0,
    stderr: "",
  });
  expect(scopes).toEqual(["here repository:public/thing:pull "]);
  const refused = await at.portolan([...pull, `${closed.address}/private/thing`]);
  expect(refused.code).toBe(125);
  expect(refused.stderr).toMatch(/^Error: [^\n]*unable to retrieve auth token[^\n]*\n$/);
  const auths = { [closed.address]: { auth: btoa("me:secret") } };
  const authFile = await at.file(JSON.stringify({ auths }));
  const name = `${closed.address}/private/thing`;
  expect(await at.portolan([...pull, "--authfile", authFile, name])).toMatchObject({ code: 0, stderr: "" });
  expect(scopes.at(-1)).toBe("here repository:private/thing:pull me");
});

test("a certificate that nobody knows is refused, unless --tls-verify=false", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  await using closed = await TestRegistry.start({ tls: await certificate(at) });
  const refused = await at.portolan(["pull", "-q", `${closed.address}/thing`]);
  expect(refused.code).toBe(125);
  expect(refused.stderr).toMatch(/^Error: [^\n]*pinging container registry[^\n]*certificate[^\n]*\n$/);
  const [ours, podmans] = await at.both(["pull", "-q", "--tls-verify=false", `${closed.address}/thing`]);
  expect(ours.code).toBe(podmans.code);
  // It was spoken with: it only has no such image.
  expect(ours.stderr).toMatch(/manifest unknown/);
});
