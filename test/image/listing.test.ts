/** Looking at images and for them: history, tree, filters, search and all tags of a repository, as podman prints them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { configOf, noise } from "../support/images.ts";
import { TestRegistry } from "../support/registry.ts";
import { directory, tar } from "../support/tar.ts";
import { Commands } from "./command.ts";
import { MANIFEST, rawImage } from "./fake-registry.ts";

const missing = ["docker-registry", "podman"].filter(program => !Bun.which(program));
const isReady = process.getuid?.() === 0 && missing.length === 0;
const skip = () => console.log(`skipped: needs root${missing.map(one => ` and ${one}`).join("")}`);

const [A, B, C] = [
  tar(directory("bin"), { name: "bin/tool", data: noise(50_000, 7) }),
  tar({ name: "b", data: "b" }),
  tar({ name: "c", data: "c" }),
] as const;
const HISTORY = [
  {
    created: "2024-01-01T00:00:00Z",
    created_by: `/bin/sh -c #(nop) ADD file:${"ebba725fb97cea45".repeat(4)} in / `,
  },
  {
    created: "2024-01-01T00:00:01Z",
    created_by: '/bin/sh -c #(nop)  CMD ["sh"]',
    empty_layer: true,
    comment: "hm",
  },
  { created: "2024-02-01T00:00:02.5Z", created_by: "/bin/sh -c b", author: "x" },
  { created: "2024-02-01T00:00:02.5Z", created_by: "/bin/sh -c c" },
];
const make = (layers: Uint8Array[], more: Record<string, unknown>) =>
  rawImage(
    configOf(layers, more),
    layers.map(layer => gzipSync(layer)),
  );
/** Each made from the one before, and one that is like the first alone. */
const IMAGES = {
  base: make([A], { history: HISTORY.slice(0, 2), config: { Labels: { k: "w" } } }),
  mid: make([A, B], { history: HISTORY.slice(0, 3), created: "2024-02-02T03:04:05Z" }),
  top: make([A, B, C], { history: HISTORY, created: "2024-03-02T03:04:05Z" }),
  other: make([A, C], { created: "2023-12-02T03:04:05Z" }),
};

let registry: TestRegistry;
let at: Commands;
beforeAll(async () => {
  if (!isReady) return;
  registry = await TestRegistry.start();
  at = new Commands();
  for (const [name, image] of Object.entries(IMAGES)) {
    for (const [digest, data] of image.blobs) await registry.putBlob(name, digest, data);
    for (const tag of ["latest", "v2"]) await registry.putManifest(name, tag, image.manifest, MANIFEST);
    await at.both(["pull", "-q", "--tls-verify=false", `${registry.address}/${name}`]);
  }
});
afterAll(async () => {
  at?.[Symbol.dispose]();
  await registry?.[Symbol.asyncDispose]();
});

/** The same output, exit code and error, but for layers' ids and for podman's sizes, which count what it keeps besides. */
function same(words: string, only: "all" | "output" = "all"): void {
  test(words, async () => {
    if (!isReady) return skip();
    const args = words.split(" ").map(word => word.replace("ADDRESS", registry.address));
    const both = await at.both(args);
    const [ours, podmans] = both.map(({ code, stdout, stderr }) => ({
      code,
      stdout: stdout
        .replace(/^Size:.*/gm, "Size")
        .replace(/^(.{3,12}ID: )\w+/gm, "$1layer")
        .replaceAll("\\u003c", "<")
        .replaceAll("\\u003e", ">"),
      stderr: only === "all" ? stderr : "",
    }));
    expect(ours).toEqual(podmans!);
  });
}

for (const words of [
  "history top",
  "history --no-trunc top",
  "history --format json top",
  "history -H=false top",
  "history -q top",
  "history -q --no-trunc top",
  "history other",
  "history nope",
  "history",
  "history --format {{.ID}}|{{.Created}}|{{.CreatedAt}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}} mid",
  "image tree top",
  "image tree other",
  "image tree --whatrequires base",
  "image tree nope",
  "images -q --filter since=base",
  "images -q --filter after=base",
  "images -q --filter before=top",
  "images -q --filter dangling=true",
  "images -q --filter intermediate=false",
  "images -q --filter readonly=true",
  "images -q --filter containers=true",
  "images -q --filter label=k",
  "images -q --filter label!=k=w",
  "images -q --filter reference=*/base:latest",
  "images -q --filter until=2024-02-15",
  "images --filter bogus=1",
  "images --filter dangling",
  "images --filter until=bogus",
  "image prune -f --filter bogus=1",
  "image prune -f --filter until=bogus",
  "search --tls-verify=false ADDRESS/",
  "search --tls-verify=false ADDRESS/o",
  "search --tls-verify=false --limit 2 --compatible ADDRESS/",
  "search --tls-verify=false ADDRESS/nope",
  "search --tls-verify=false --list-tags ADDRESS/base",
  "search --tls-verify=false --list-tags --format json ADDRESS/base",
  "search --tls-verify=false --format json ADDRESS/ba",
  "search --tls-verify=false --format {{.Name}}|{{.Index}}|{{.Stars}}|{{.Official}}| ADDRESS/ba",
  "search --tls-verify=false --filter bogus=1 ADDRESS/a",
  "search --tls-verify=false --filter stars=x ADDRESS/a",
  "search --tls-verify=false --filter is-official=true ADDRESS/a",
  "search",
])
  same(words);

test("what is refused in words of our own: one line, exit code 125", async () => {
  if (!isReady) return skip();
  for (const [args, words] of [
    [["images", "--filter", "dangling=x"], /non-boolean value "x" for dangling filter/],
    [
      ["images", "--filter", "before=nope"],
      /could not find local image for filter "before"="nope": nope: image not known/,
    ],
    [
      ["search", "--tls-verify=false", "--list-tags", `${registry.address}/nope`],
      /fetching tags list: name unknown/,
    ],
    [
      ["search", "--tls-verify=false", "127.0.0.1:1/x"],
      /couldn't search registry "127.0.0.1:1": .*connection refused/,
    ],
    [["pull", "-a", `${registry.address}/base:v2`], /--all-tags wants a repository without a tag/],
  ] as const) {
    const { code, stdout, stderr } = await at.portolan(args);
    expect([code, stdout]).toEqual([125, ""]);
    expect(stderr).toMatch(/^Error: [^\n]+\n$/);
    expect(stderr).toMatch(words);
  }
});

test("pull --all-tags brings every tag; a nameless image goes with prune, and one that others come from is no dangling one", async () => {
  if (!isReady) return skip();
  using other = new Commands();
  const name = `${registry.address}/top`;
  const pulled = await other.portolan(["pull", "-q", "-a", "--tls-verify=false", name]);
  expect(pulled).toMatchObject({ code: 0, stderr: "" });
  const tags = await other.portolan(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
  expect(tags.stdout.trim().split("\n").sort()).toEqual([`${name}:latest`, `${name}:v2`]);
  await other.portolan(["pull", "-q", "--tls-verify=false", `${registry.address}/mid`]);
  await other.portolan(["untag", `${registry.address}/mid`]);
  const ids = async (...args: string[]) =>
    (await other.portolan(["images", "-q", ...args])).stdout.trim().split("\n").filter(Boolean).length;
  expect([await ids(), await ids("-a"), await ids("--filter", "intermediate=true")]).toEqual([1, 2, 1]);
  expect(await ids("--filter", "dangling=true")).toBe(0);
  const pruned = await other.portolan(["image", "prune", "-a", "-f"]);
  expect(pruned.stdout.trim().split("\n")).toHaveLength(2);
  expect(await ids("-a")).toBe(0);
});

test("a policy that rejects a registry: neither engine pulls from it, and nothing is asked there", async () => {
  if (!isReady) return skip();
  using other = new Commands();
  const reject = { default: [{ type: "insecureAcceptAnything" }], transports: { docker: {} } };
  reject.transports.docker = { [registry.address]: [{ type: "reject" }] };
  const file = `${other.directory}/.config/containers/policy.json`;
  await Bun.write(file, JSON.stringify(reject));
  const both = await other.both(["pull", "-q", "--tls-verify=false", `${registry.address}/top`]);
  for (const { code, stdout, stderr } of both) {
    expect([code, stdout]).toEqual([125, ""]);
    expect(stderr).toContain(
      `Source image rejected: Running image docker://${registry.address}/top:latest is rejected by policy.`,
    );
  }
});
