/**
 * Go's newest CNI plugins (v1.9.1 when this was written), from Debian's unstable suite: they need nothing but a libc that
 * Debian 12 has. Fetched once by apt, by lists of its own, and kept; nothing is installed.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { giveBack } from "../../scripts/give-back.ts";
import { mirror } from "./debian13.ts";

const PACKAGE = "containernetworking-plugins";
const DIRECTORY = resolve(import.meta.dir, "../../.cache/go-plugins");

/** What Debian 12 has of them: v1.1.1. */
export const oldGoPlugins = "/usr/lib/cni";

/** The directory of the plugins. Throws, with why, where the mirror gives nothing. */
export function newestGoPlugins(): string {
  const root = join(DIRECTORY, "root");
  const plugins = join(root, "usr/lib/cni");
  if (existsSync(plugins)) return plugins;
  const work = join(DIRECTORY, `${process.pid}`);
  for (const directory of ["lists/partial", "cache/archives/partial", "state"])
    mkdirSync(join(work, directory), { recursive: true });
  const keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
  writeFileSync(join(work, "sources.list"), `deb [signed-by=${keys}] ${mirror()} sid main\n`);
  const options = Object.entries({
    "Dir::Etc::SourceList": join(work, "sources.list"),
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::State": join(work, "state"),
    "Dir::State::Lists": join(work, "lists"),
    "Dir::Cache": join(work, "cache"),
    "Acquire::Languages": "none",
    "APT::Sandbox::User": "root",
    "APT::Update::Error-Mode": "any",
    "Acquire::Retries": "3",
  }).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  try {
    run(work, ["apt-get", ...options, "update", "-qq", "--error-on=any"]);
    run(work, ["apt-get", ...options, "download", "-qq", `${PACKAGE}/sid`]);
    run(work, ["sh", "-c", `dpkg -x ${PACKAGE}_*.deb root`]);
    if (!existsSync(plugins)) renameSync(join(work, "root"), root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  giveBack(resolve(DIRECTORY, ".."), DIRECTORY);
  return plugins;
}

function run(cwd: string, words: string[]): void {
  const child = Bun.spawnSync(words, { cwd, stdout: "ignore", stderr: "pipe" });
  if (child.exitCode !== 0)
    throw new Error(`Go's newest CNI plugins can't be had: ${child.stderr.toString().trim()}`);
}
