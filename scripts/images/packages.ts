/** Debian packages without a Debian around them: apt resolves and fetches, nothing is installed and no script runs. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Runs a command; throws with what it said on standard error when it fails. */
export function run(...words: string[]): string {
  const child = Bun.spawnSync(words, {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, LC_ALL: "C" },
  });
  if (child.exitCode === 0) return child.stdout.toString();
  throw new Error(`${words.slice(0, 2).join(" ")} failed: ${child.stderr.toString().trim()}`);
}

/** Entry of dpkg's status file for a package that counts as installed in whatever version is asked for. */
export function stub(name: string): string {
  const architecture = run("dpkg", "--print-architecture").trim();
  return `Package: ${name}\nStatus: install ok installed\nVersion: 9999:1\nArchitecture: ${architecture}\nMulti-Arch: allowed\nDescription: left out\n\n`;
}

/** Entries of dpkg's status file for these `.deb` files. */
export function statusOf(debs: string[]): string {
  return debs
    .map(deb => `Status: install ok installed\n${run("dpkg-deb", "-f", deb).trimEnd()}\n\n`)
    .join("");
}

/**
 * Fetches `packages` and what they depend on into `directory`, except what `status` (dpkg's status file) has. Gives the paths of the `.deb` files. The package lists are renewed once if they are too old.
 */
export function fetchPackages(packages: string[], status: string, directory: string): string[] {
  const archives = join(directory, "archives");
  mkdirSync(join(archives, "partial"), { recursive: true });
  const statusFile = join(directory, "status");
  writeFileSync(statusFile, status);
  const options = {
    "Dir::State::status": statusFile,
    "Dir::Cache": directory,
    "Dir::Cache::archives": archives,
    "APT::Install-Recommends": "false",
    "APT::Sandbox::User": "root",
    "Acquire::Retries": "2",
  };
  const fetch = () =>
    run(
      "apt-get",
      "-qq",
      "-y",
      ...Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]),
      "--download-only",
      "install",
      ...packages,
    );
  try {
    fetch();
  } catch {
    run("apt-get", "-qq", "update");
    fetch();
  }
  return readdirSync(archives)
    .filter(name => name.endsWith(".deb"))
    .sort()
    .map(name => join(archives, name));
}
