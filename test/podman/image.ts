/** Images for both engines; among them one with every setting that an image can have. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildImage } from "../../scripts/images/build.ts";

/** busybox's files, and a configuration that leaves nothing to defaults. */
const FEATURED = {
  User: "nobody",
  Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "FROM_IMAGE=yes"],
  Entrypoint: ["/bin/echo", "entry"],
  Cmd: ["from", "image"],
  WorkingDir: "/made/by/image",
  Labels: { origin: "image", both: "image" },
  Volumes: { "/data": {}, "/etc/opt": {} },
  ExposedPorts: { "80/tcp": {}, "53/udp": {} },
  StopSignal: "SIGUSR1",
  Healthcheck: { Test: ["CMD", "true"], Interval: 3_600_000_000_000, Retries: 5 },
};

/** The path of a docker-archive: of `featured`, or of a recipe in scripts/images/recipes.ts. */
export async function imageArchive(name: string): Promise<string> {
  if (name !== "featured") return buildImage(name);
  const base = await buildImage("busybox");
  const key = new Bun.CryptoHasher("sha256").update(base + JSON.stringify(FEATURED)).digest("hex");
  const archive = join(dirname(base), `featured-${key.slice(0, 12)}.tar`);
  if (existsSync(archive)) return archive;
  const work = mkdtempSync(join(tmpdir(), "portolan-featured-"));
  const tar = (...words: string[]) => {
    const child = Bun.spawnSync(["tar", "-C", work, ...words], { stderr: "pipe" });
    if (child.exitCode !== 0) throw new Error(`tar: ${child.stderr.toString()}`);
  };
  try {
    tar("-xf", base);
    const read = (file: string) => JSON.parse(readFileSync(join(work, file), "utf8"));
    const [manifest] = read("manifest.json");
    writeFileSync(
      join(work, "featured.json"),
      JSON.stringify({ ...read(manifest.Config), config: FEATURED }),
    );
    const changed = { ...manifest, Config: "featured.json", RepoTags: ["localhost/featured:latest"] };
    writeFileSync(join(work, "manifest.json"), JSON.stringify([changed]));
    tar("-cf", join(work, "whole.tar"), "manifest.json", "featured.json", ...manifest.Layers);
    copyFileSync(join(work, "whole.tar"), archive);
    return archive;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
