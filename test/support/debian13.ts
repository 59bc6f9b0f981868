/**
 * Debian 13 as a root file system for a `TestHost`: the newest podman and pasta that Debian has, beside what Portolan needs
 * there. Made once by mmdebstrap from the mirror that this machine's apt is set to, and kept.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { giveBack } from "../../scripts/give-back.ts";

const SUITE = "trixie";
const PACKAGES = [
  ...["podman", "passt", "slirp4netns", "netavark", "aardvark-dns", "nftables", "uidmap"],
  ...["runc", "conmon", "catatonit", "libnftables1", "ca-certificates"],
  ...["bash", "busybox-static", "curl", "iproute2", "iperf3", "iputils-ping", "mount", "passwd", "procps"],
];
const LEFT_OUT = ["doc", "man", "info", "locale", "lintian", "zoneinfo"];

const DIRECTORY = resolve(import.meta.dir, "../../.cache/debian13");

/** The path of a tar of the root; made first where it is missing. Throws, with why, where the mirror gives nothing. */
export function debian13(): string {
  const key = Bun.hash(JSON.stringify([SUITE, PACKAGES, LEFT_OUT])).toString(16);
  const archive = join(DIRECTORY, `${SUITE}-${key}.tar`);
  if (existsSync(archive)) return archive;
  mkdirSync(DIRECTORY, { recursive: true });
  const unfinished = `${archive}.${process.pid}.tar`;
  const words = [
    ...["mmdebstrap", "--quiet", "--variant=essential", "--mode=root", `--include=${PACKAGES.join(",")}`],
    ...LEFT_OUT.map(name => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    ...['--aptopt=APT::Install-Recommends "false"', SUITE, unfinished, mirror()],
  ];
  const child = Bun.spawnSync(words, { stdout: "ignore", stderr: "pipe" });
  if (child.exitCode !== 0) {
    rmSync(unfinished, { force: true });
    throw new Error(`Debian 13 can't be had from ${mirror()}: ${child.stderr.toString().trim()}`);
  }
  renameSync(unfinished, archive);
  giveBack(dirname(DIRECTORY), DIRECTORY, archive);
  return archive;
}

/** The address of the Debian mirror that apt uses here; its lists are fetched where they are not there. */
export function mirror(): string {
  for (const update of [false, true]) {
    if (update) Bun.spawnSync(["apt-get", "update", "-qq"], { stdout: "ignore", stderr: "ignore" });
    const words = ["apt-get", "indextargets", "--format", "$(SITE) $(ORIGIN)"];
    const sites = Bun.spawnSync(words, { stdout: "pipe" }).stdout.toString().split("\n");
    const site = sites.find(line => /^\S+ Debian$/.test(line) && !line.includes("security"));
    if (site) return site.split(" ")[0]!;
  }
  throw new Error("apt has no Debian mirror in its sources");
}
