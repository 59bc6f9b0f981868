import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../../base/errors.ts";
import { findProgram } from "../../base/programs.ts";
import { tagImage } from "../../container/images.ts";
import { loadArchive } from "../../image/load.ts";
import { parseReference } from "../../image/reference.ts";
import { type Command, type Invocation, print, requireArgs } from "../command.ts";
import type { Flag } from "../flags.ts";

const LIST = (names: string) => names.split(" ");
const SWITCHES = LIST(
  "all-platforms disable-content-trust force-rm http-proxy layers no-cache no-hosts omit-history rm squash stdin tls-verify",
);
const VALUES = LIST(
  "add-host annotation arch authfile build-arg build-context cache-from cache-to cap-add cap-drop cert-dir cgroup-parent cgroupns cpp-flag cpu-period cpu-quota cpuset-cpus cpuset-mems creds device dns dns-option dns-search env from ignorefile ipc isolation jobs label logfile memory-swap network os pid platform retry retry-delay secret security-opt shm-size ssh target timestamp ulimit unsetenv userns uts variant",
);
const SHORT: Readonly<Record<string, string>> = { file: "f", memory: "m", tag: "t", volume: "v" };

const passed = (long: string, kind: "bool" | "array"): Flag => ({
  long,
  short: SHORT[long],
  kind,
  help: "As buildah-build(1) has it",
});

const FLAGS: readonly Flag[] = [
  ...SWITCHES.map(name => passed(name, "bool")),
  ...[...VALUES, "file", "memory", "volume", "tag"].map(name => passed(name, "array")),
  { long: "cpu-shares", short: "c", kind: "array", help: "As buildah-build(1) has it" },
  { long: "format", kind: "string", help: "Format of the image: oci or docker" },
  { long: "iidfile", kind: "string", help: "Write the image ID to the file" },
  { long: "pull", kind: "string", help: "Pull policy of base images: always, missing, never, newer" },
  { long: "quiet", short: "q", kind: "bool", help: "Print the image ID alone" },
];

/** The options that were given, as buildah reads them. */
function optionsOf({ flags }: Invocation): string[] {
  return FLAGS.flatMap(({ long, kind }) => {
    if (long === "iidfile" || !flags.has(long)) return [];
    if (kind === "bool") return [`--${long}=${flags.bool(long)}`];
    const values = kind === "array" ? flags.list(long) : [flags.string(long)!];
    return values.map(value => `--${long}=${value}`);
  });
}

export const build: Command = {
  summary: "Build an image using instructions from Containerfiles, by buildah",
  usage: "[options] [CONTEXT]",
  flags: FLAGS,
  async run(invocation) {
    requireArgs(invocation, 0, 1);
    const buildah = findProgram("buildah", (process.env.PATH ?? "").split(":"));
    if (!buildah)
      throw new UserError("images are built by buildah, which is not installed", {
        hint: "install the package buildah",
      });
    const { flags, args } = invocation;
    const engine = await invocation.engine();
    // Refused before anything is built.
    for (const tag of flags.list("tag")) parseReference(tag, "localhost");
    const scratch = mkdtempSync(join(tmpdir(), "portolan-build-"));
    try {
      const idFile = join(scratch, "id");
      const run = async (...words: string[]) =>
        await Bun.spawn([buildah, ...words], { stdio: ["inherit", "inherit", "inherit"] }).exited;
      const code = await run("build", ...optionsOf(invocation), `--iidfile=${idFile}`, ...args);
      if (code !== 0) return code;
      const id = readFileSync(idFile, "utf8").trim();
      const archive = join(scratch, "image.tar");
      // Each keeps the configuration as it is, and with it the image's id.
      const transport = flags.string("format") === "docker" ? "docker-archive" : "oci-archive";
      const moved = await run("push", "-q", id.replace("sha256:", ""), `${transport}:${archive}`);
      if (moved !== 0) return moved;
      await loadArchive(engine.images, archive);
      const image = engine.images.get(id);
      for (const tag of flags.list("tag")) tagImage(engine, image, tag);
      engine.images.recordEvent("build", image.id, flags.list("tag")[0] ?? "");
      const target = flags.string("iidfile");
      if (target !== undefined) copyFileSync(idFile, target);
      // buildah is silent about the id where it writes it into a file.
      print(image.id);
      return undefined;
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  },
};
