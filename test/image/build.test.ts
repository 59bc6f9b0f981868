/** build, by Debian's buildah. */
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Commands } from "./command.ts";

const isReady = process.getuid?.() === 0 && Bun.which("buildah") !== null;

test("an image is built, tagged and kept; a Containerfile that is wrong has buildah's exit code", async () => {
  if (!isReady) return console.log("skipped: needs root and buildah");
  using at = new Commands();
  const store = join(at.directory, "buildah");
  const conf = `[storage]\ndriver = "vfs"\ngraphroot = "${store}/root"\nrunroot = "${store}/run"\n`;
  const env = { CONTAINERS_STORAGE_CONF: await at.file(conf) };
  const context = join(at.directory, "context");
  mkdirSync(context);
  const file = join(context, "Containerfile");
  await Bun.write(join(context, "hello"), "hi\n");
  await Bun.write(file, "FROM scratch\nARG WORD=none\nCOPY hello /hello\nLABEL word=$WORD\n");
  const idFile = join(at.directory, "id");
  const args = [
    "build",
    "--build-arg",
    "WORD=ahoy",
    "-t",
    "one",
    "-t",
    "quay.io/two:v1",
    "--iidfile",
    idFile,
  ];
  const built = await at.portolan([...args, context], env);
  expect(built.code).toBe(0);
  const id = readFileSync(idFile, "utf8").replace("sha256:", "");
  expect(built.stdout.trim().split("\n").at(-1)).toBe(id);
  const seen = await at.portolan(["inspect", "-f", "{{.Id}} {{.Labels.word}} {{.RepoTags}}", "one"]);
  expect(seen.stdout.trim()).toBe(`${id} ahoy [localhost/one:latest quay.io/two:v1]`);
  for (const format of ["oci", "docker"]) {
    const quiet = await at.portolan(["build", "-q", "--format", format, "-f", file, context], env);
    expect([quiet.code, quiet.stdout]).toEqual([0, expect.stringMatching(/^[0-9a-f]{64}\n$/)]);
  }
  await Bun.write(file, "FROM a b\n");
  const wrong = await at.portolan(["build", context], env);
  expect([wrong.code, wrong.stdout]).toEqual([125, ""]);
  expect(wrong.stderr).toMatch(/^Error: FROM requires/m);
});
