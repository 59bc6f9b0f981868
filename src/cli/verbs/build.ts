import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { UserError } from "../../base/errors.ts";
import { Buildah, Interrupted } from "../../container/buildah.ts";
import type { Engine } from "../../container/engine.ts";
import { tagImage } from "../../container/images.ts";
import { imagesAskedFor } from "../../image/containerfile.ts";
import { formatReference, parseReference } from "../../image/reference.ts";
import { BUILD_FLAGS } from "../build-flags.ts";
import { type Command, type Invocation, print, requireArgs } from "../command.ts";

/** What buildah calls the pull policies: a bare `--pull` is `newer` to it, and `false` is `missing`. */
const PULL: Readonly<Record<string, string>> = {
  ...{ always: "always", missing: "false", never: "never", newer: "true" },
  ...{ true: "always", false: "false" },
};
/** Flags that are not handed on as they stand; the names are the engine's alone to keep. */
const OURS = ["file", "iidfile", "pull", "tag"];

function pullPolicy({ flags }: Invocation): string {
  const word = flags.string("pull") ?? "missing";
  const policy = PULL[word.toLowerCase()];
  if (policy === undefined)
    throw new UserError(`unrecognized pull policy ${JSON.stringify(word)}`, {
      hint: "choose always, missing, never or newer",
    });
  return policy;
}

/** The options that were given, as buildah reads them, and Podman's defaults. */
function optionsOf({ flags }: Invocation): string[] {
  const given = BUILD_FLAGS.flatMap(({ long, kind }) => {
    if (OURS.includes(long) || !flags.has(long)) return [];
    if (kind === "bool") return [`--${long}=${flags.bool(long)}`];
    const values = kind === "array" ? flags.list(long) : [flags.string(long)!];
    return values.map(value => `--${long}=${value}`);
  });
  if (!flags.has("layers") && process.env.BUILDAH_LAYERS === undefined) given.push("--layers=true");
  if (!flags.has("force-rm")) given.push("--force-rm=true");
  return given;
}

const isElsewhere = (place: string) => /^(https?|git|ssh):\/\/|^github\.com\/|^git@/.test(place);

/** What the Containerfiles say that can be read here; those that can't be are buildah's to speak of. */
function containerfiles(files: readonly string[], context: string): string {
  const places =
    files.length > 0
      ? files.map(file => (existsSync(file) || isElsewhere(context) ? file : join(context, file)))
      : ["Containerfile", "Dockerfile"]
          .map(name => join(context, name))
          .filter(existsSync)
          .slice(0, 1);
  return places
    .filter(place => !isElsewhere(place) && existsSync(place))
    .map(place => readFileSync(place, "utf8"))
    .join("\n");
}

/** `name=value`, or a name whose value the environment has. */
function buildArguments(words: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const word of words) {
    const [, name, value = process.env[name!]] = /^([^=]*)(?:=(.*))?$/s.exec(word)!;
    if (value !== undefined) values.set(name!, value);
  }
  return values;
}

/** References of images that the build asks for. */
function asked({ flags, args }: Invocation, files: readonly string[]): string[] {
  const contexts = flags.list("build-context").map(one => one.split(/=(.*)/s) as [string, string?]);
  const others = contexts.map(([name]) => name);
  const images = contexts.flatMap(
    ([, place]) => /^(?:container-image|docker-image|docker):\/\/(.+)$/.exec(place ?? "")?.[1] ?? [],
  );
  const text = containerfiles(files, args[0] ?? ".");
  const options = { args: buildArguments(flags.list("build-arg")), from: flags.list("from").at(-1), others };
  return [...images, ...imagesAskedFor(text, options)];
}

async function buildBy(buildah: Buildah, engine: Engine, invocation: Invocation, scratch: string) {
  const { flags, args } = invocation;
  const files = await Promise.all(
    flags.list("file").map(async (file, index) => {
      if (file !== "-") return file;
      const copy = join(scratch, `Containerfile.${index}`);
      writeFileSync(copy, await Bun.stdin.bytes());
      return copy;
    }),
  );
  const names = await buildah.names();
  await buildah.whileAlone(() => buildah.forget(names));
  using _held = buildah.hold();
  const policy = pullPolicy(invocation);
  if (policy !== "always")
    for (const reference of asked(invocation, files)) {
      const image = engine.images.find(reference);
      if (image) await buildah.give(image, reference, names, scratch);
    }
  const idFile = join(scratch, "id");
  const options = [...optionsOf(invocation), `--pull=${policy}`, ...files.map(file => `--file=${file}`)];
  const code = await buildah.run("build", ...options, `--iidfile=${idFile}`, ...args);
  await buildah.takeBases(names, scratch);
  if (code !== 0) return code;
  const image = await buildah.take(readFileSync(idFile, "utf8").trim(), scratch);
  for (const tag of flags.list("tag")) {
    tagImage(engine, image, tag);
    if (!flags.bool("quiet"))
      print(`Successfully tagged ${formatReference(parseReference(tag, "localhost"))}`);
  }
  engine.images.recordEvent("build", image.id, flags.list("tag")[0] ?? "");
  const target = flags.string("iidfile");
  if (target !== undefined) copyFileSync(idFile, target);
  // buildah is silent about the id where it writes it into a file.
  print(image.id);
  return 0;
}

export const build: Command = {
  summary: "Build an image using instructions from Containerfiles, by buildah",
  usage: "[options] [CONTEXT]",
  flags: BUILD_FLAGS,
  async run(invocation) {
    requireArgs(invocation, 0, 1);
    const engine = await invocation.engine();
    const buildah = new Buildah(engine);
    // Refused before anything is built.
    for (const tag of invocation.flags.list("tag")) parseReference(tag, "localhost");
    pullPolicy(invocation);
    // Others may empty the store's scratch directory while nobody imports.
    using _session = engine.images.beginImport();
    mkdirSync(engine.images.scratch, { recursive: true, mode: 0o700 });
    const scratch = mkdtempSync(join(engine.images.scratch, "build-"));
    try {
      return await Promise.race([buildBy(buildah, engine, invocation, scratch), buildah.heedSignals()]);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      await buildah.whileAlone(() => buildah.removeLeftovers());
      return error.exitCode;
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  },
};
