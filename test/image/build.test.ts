/** build, by Debian's buildah. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { until } from "../support/await.ts";
import { configOf } from "../support/images.ts";
import { TestRegistry } from "../support/registry.ts";
import { directory, symlink, tar } from "../support/tar.ts";
import { Commands } from "./command.ts";
import { MANIFEST, rawImage } from "./fake-registry.ts";

const isReady = process.getuid?.() === 0 && Bun.which("buildah") !== null;
const skip = () => console.log("skipped: needs root and buildah");

let at: Commands;
let context: string;
let env: Record<string, string>;
/** buildah's own store, which nothing here may touch. */
let own: string;

beforeAll(async () => {
  if (!isReady) return;
  at = new Commands();
  context = join(at.directory, "context");
  own = join(at.directory, "own");
  const conf = `[storage]\ndriver = "overlay"\ngraphroot = "${own}/root"\nrunroot = "${own}/run"\n`;
  env = { CONTAINERS_STORAGE_CONF: await at.file(conf) };
  mkdirSync(context);
  await Bun.write(join(context, "hello"), "hi\n");
  const busybox = { name: "bin/busybox", data: readFileSync("/bin/busybox"), mode: 0o755 };
  const links = ["sh", "touch", "sleep"].map(name => symlink(`bin/${name}`, "busybox"));
  const base = await at.portolan(["import", "-", "busybox"], {}, tar(directory("bin"), busybox, ...links));
  expect(base.code).toBe(0);
});
afterAll(async () => {
  // Its file system is mounted on itself.
  await at?.portolan(["system", "prune", "-af"]);
  at?.[Symbol.dispose]();
});

/** Builds by a Containerfile of these lines. */
async function build(lines: string[], ...words: string[]) {
  await Bun.write(join(context, "Containerfile"), `${lines.join("\n")}\n`);
  return await at.portolan(["build", ...words, context], env);
}
const images = async () => {
  const { stdout } = await at.portolan(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
  return stdout.trim().split("\n").sort();
};
const scratch = () => {
  const place = join(at.directory, "root/tmp");
  return existsSync(place) ? readdirSync(place) : [];
};
const lastLine = (text: string) => text.trim().split("\n").at(-1)!;

test("an image is built, tagged and kept; a Containerfile that is wrong has buildah's exit code", async () => {
  if (!isReady) return skip();
  const idFile = join(at.directory, "id");
  const lines = ["FROM scratch", "ARG WORD=none", "COPY hello /hello", "LABEL word=$WORD"];
  const args = ["--build-arg", "WORD=ahoy", "-t", "one", "-t", "quay.io/two:v1", "--iidfile", idFile];
  const built = await build(lines, ...args);
  expect(built.code).toBe(0);
  const id = readFileSync(idFile, "utf8").replace("sha256:", "");
  expect(lastLine(built.stdout)).toBe(id);
  const seen = await at.portolan(["inspect", "-f", "{{.Id}} {{.Labels.word}} {{.RepoTags}}", "one"]);
  expect(seen.stdout.trim()).toBe(`${id} ahoy [localhost/one:latest quay.io/two:v1]`);
  for (const format of ["oci", "docker"]) {
    const quiet = await build(lines, "-q", "--format", format);
    expect([quiet.code, quiet.stdout]).toEqual([0, expect.stringMatching(/^[0-9a-f]{64}\n$/)]);
  }
  const wrong = await build(["FROM a b"]);
  expect([wrong.code, wrong.stdout]).toEqual([125, ""]);
  expect(wrong.stderr).toMatch(/^Error: FROM requires/m);
  const policy = await build(lines, "--pull=sometimes");
  expect([policy.code, policy.stderr]).toEqual([125, expect.stringContaining('pull policy "sometimes"')]);
  expect(scratch()).toEqual([]);
});

test("images of the store are bases, layers are kept for later builds, and buildah's own store has nothing", async () => {
  if (!isReady) return skip();
  await at.portolan(["tag", "busybox", "localhost/mybase"]);
  const lines = [
    "ARG BASE=none",
    "FROM $BASE AS made",
    "RUN touch /made",
    "FROM busybox",
    "COPY --from=made /made /made",
    "COPY --from=localhost/mybase /bin/busybox /other",
  ];
  const words = ["--network=none", "--build-arg", "BASE=mybase", "-t", "built"];
  const first = await build(lines, ...words);
  expect([first.code, first.stderr]).toEqual([0, ""]);
  expect(first.stdout).not.toContain("Using cache");
  const again = await build(lines, ...words);
  expect(again.stdout).toContain("Using cache");
  expect(lastLine(again.stdout)).toBe(lastLine(first.stdout));
  expect((await build(["FROM built", "COPY hello /hello"])).code).toBe(0);
  // The name of another image now.
  await at.portolan(["tag", "built", "localhost/mybase"]);
  const id = (await build(["FROM mybase"], "-q")).stdout.trim();
  const { stdout } = await at.portolan(["inspect", "-f", "{{len .RootFS.Layers}}", id]);
  expect(stdout.trim()).toBe("3");
  await at.portolan(["untag", "built", "localhost/mybase"]);
  const gone = await build(["FROM localhost/mybase"], "--pull=never");
  expect([gone.code, gone.stderr]).toEqual([125, expect.stringContaining("localhost/mybase")]);
  expect(existsSync(own)).toBe(false);
});

test("a base that was pulled is kept, and pulled anew by --pull", async () => {
  if (!isReady || !Bun.which("docker-registry")) return console.log("skipped: needs docker-registry");
  await using registry = await TestRegistry.start();
  const name = `${registry.address}/team/base`;
  const push = async (text: string) => {
    const layer = tar({ name: "word", data: text });
    const { blobs, manifest } = rawImage(configOf([layer], { history: [{}] }), [gzipSync(layer)]);
    for (const [digest, data] of blobs) await registry.putBlob("team/base", digest, data);
    await registry.putManifest("team/base", "latest", manifest, MANIFEST);
  };
  const id = async () => (await at.portolan(["inspect", "-f", "{{.Id}}", name])).stdout.trim();
  const lines = [`FROM ${name}`, "COPY hello /hello"];
  await push("one");
  expect((await build(lines, "--tls-verify=false")).code).toBe(0);
  expect(await images()).toContain(`${name}:latest`);
  const before = await id();
  await push("two");
  expect((await build(lines, "--tls-verify=false")).stdout).toContain("Using cache");
  expect(await id()).toBe(before);
  expect((await build(lines, "--tls-verify=false", "--pull")).stdout).not.toContain("Using cache");
  expect(await id()).not.toBe(before);
});

test("a signal ends buildah and what it runs, and nothing is left", async () => {
  if (!isReady) return skip();
  const out = join(at.directory, "out");
  mkdirSync(out);
  const file = await at.file("FROM busybox\nRUN touch /out/started && exec sleep 86413\n");
  const running = () =>
    readdirSync("/proc").filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[1] === "86413";
      } catch {
        return false;
      }
    });
  const child = at.start(["build", "--network=none", "-v", `${out}:/out`, "-f", file, context]);
  await until(
    () => existsSync(join(out, "started")),
    () => "RUN does not begin",
  );
  expect(running()).toHaveLength(1);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(143);
  expect([running(), scratch()]).toEqual([[], []]);
  const working = join(at.directory, "root/buildah/overlay-containers/containers.json");
  expect(JSON.parse(readFileSync(working, "utf8"))).toEqual([]);
});

test("system prune removes the cache of images that are gone, with -a all of it", async () => {
  if (!isReady) return skip();
  const lines = ["FROM busybox", "COPY hello /one", "COPY hello /two"];
  await build(lines, "-t", "kept");
  await at.portolan(["system", "prune", "-f"]);
  expect((await build(lines)).stdout).toContain("Using cache");
  await at.portolan(["rmi", "-f", "kept"]);
  await at.portolan(["system", "prune", "-f"]);
  expect((await build(lines)).stdout).not.toContain("Using cache");
  await at.portolan(["system", "prune", "-af"]);
  expect(readdirSync(join(at.directory, "root"))).not.toContain("buildah");
  expect(readdirSync(join(at.directory, "run"))).not.toContain("buildah");
});
