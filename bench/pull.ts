/**
 * A pull into an empty store, against Debian's podman, in turns, from a docker-registry on the loopback address: an image
 * of the size of PostgreSQL's or MariaDB's, made of this machine's own files. `bun run bench/pull.ts [rounds]`.
 * Goal: half of the time.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { TestRegistry } from "../test/support/registry.ts";

const GOAL = 0.5;
const PORTOLAN = process.env.PORTOLAN ?? resolve(import.meta.dir, "../dist/portolan");
/** Where the layers' files are from, the most of their bytes, and the most of one file's. */
const LAYERS = [
  { from: "/usr/lib/x86_64-linux-gnu", limit: 120 << 20 },
  { from: "/usr/share", limit: 80 << 20 },
  { from: "/usr/bin", limit: 80 << 20 },
  { from: "/usr/lib/python3.11", limit: 40 << 20 },
  { from: "/etc", limit: 4 << 20 },
];
const MAX_FILE = 30 << 20;

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const sha256 = (data: Uint8Array) => new Bun.CryptoHasher("sha256").update(data).digest("hex");

function run(...command: string[]): void {
  const child = Bun.spawnSync(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`${command.join(" ")}: ${child.stderr.toString()}`);
}

/** Files below `from`, in order of name, until `limit` bytes are reached. */
function someFiles(from: string, limit: number): string[] {
  const found: string[] = [];
  let size = 0;
  const visit = (directory: string) => {
    for (const entry of readdirSync(directory, { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (entry.isFile() || entry.isSymbolicLink()) {
        const bytes = entry.isFile() ? statSync(path).size : 0;
        if (bytes > MAX_FILE || size + bytes > limit) continue;
        size += bytes;
        found.push(path);
      }
    }
  };
  visit(from);
  return found;
}

/** A docker-archive of these layers; gives the bytes of its layers. */
function buildArchive(directory: string): number {
  const tars = LAYERS.filter(({ from }) => existsSync(from)).map(({ from, limit }, index) => {
    const [list, tar] = [join(directory, "list"), join(directory, `${index}.tar`)];
    writeFileSync(list, someFiles(from, limit).join("\0"));
    run("tar", "--create", "--absolute-names", "--null", "--files-from", list, "--file", tar);
    return tar;
  });
  const data = tars.map(tar => Bun.mmap(tar));
  const config = {
    architecture: { x64: "amd64" }[process.arch as string] ?? process.arch,
    os: "linux",
    rootfs: { type: "layers", diff_ids: data.map(one => `sha256:${sha256(one)}`) },
  };
  const manifest = [
    { Config: "config.json", RepoTags: null, Layers: tars.map((_, index) => `${index}.tar`) },
  ];
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  writeFileSync(join(directory, "manifest.json"), JSON.stringify(manifest));
  const names = ["manifest.json", "config.json", ...manifest[0]!.Layers];
  run("tar", "--create", "--directory", directory, "--file", join(directory, "image.tar"), ...names);
  return data.reduce((sum, one) => sum + one.length, 0);
}

const rounds = Number(process.argv[2] ?? 5);
const directory = mkdtempSync(join(tmpdir(), "portolan-bench-"));
try {
  await using registry = await TestRegistry.start();
  const bytes = buildArchive(directory);
  registry.push(`docker-archive:${join(directory, "image.tar")}`, "bench/image:latest", "--dest-compress");
  const stores = (name: string) => [
    "--root",
    join(directory, name, "root"),
    "--runroot",
    join(directory, name, "run"),
  ];
  const image = `${registry.address}/bench/image:latest`;
  const contenders = [
    { name: "podman", program: ["podman", ...stores("podman")], times: [] as number[] },
    { name: "portolan", program: [PORTOLAN, ...stores("portolan")], times: [] as number[] },
  ];
  for (let round = -1; round < rounds; round++)
    for (const { name, program, times } of contenders) {
      run("sync");
      const start = performance.now();
      run(...program, "pull", "--quiet", "--tls-verify=false", image);
      const time = performance.now() - start;
      run(...program, "rmi", "--all", "--force");
      if (name === "portolan") rmSync(join(directory, name), { recursive: true });
      // The first round warms the caches.
      if (round >= 0) times.push(time);
    }
  const [podman, ours] = contenders.map(({ name, times }) => {
    console.log(
      `${name.padEnd(10)} pull of ${(bytes / 1e6).toFixed(0)} MB in ${LAYERS.length} layers: median ${median(times).toFixed(0)} ms, min ${Math.min(...times).toFixed(0)} ms`,
    );
    return median(times);
  });
  const ratio = ours! / podman!;
  console.log(
    `pull       ratio ${ratio.toFixed(3)}, goal at most ${GOAL}: ${ratio <= GOAL ? "met" : "missed"}`,
  );
} finally {
  // podman's store may hold mounts of its own.
  Bun.spawnSync(["umount", join(directory, "podman/root/overlay")], { stderr: "ignore" });
  rmSync(directory, { recursive: true, force: true });
}
