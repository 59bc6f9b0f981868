/**
 * How root file systems are put up here: by the kernel's overlayfs, by fuse-overlayfs, or as plain copies. The first one
 * that works on the store's file system and for this user, tried on a small stack; what came out holds until the next boot.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorText, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import type { Paths } from "../state/paths.ts";
import { fileSystemOf, lchown, ST_NOEXEC } from "../sys/file.ts";
import { withLock } from "../sys/flock.ts";
import { hasId, idMap } from "../sys/user-namespace.ts";
import { fuseProgram } from "./fuse-overlay.ts";
import { hide, makeOpaque, marksFor } from "./marks.ts";
import { mountRootfs, unmountRootfs } from "./mount.ts";
import { readStorageConf } from "./storage-conf.ts";

const DRIVERS = ["overlay", "fuse-overlayfs", "vfs"] as const;
export type Driver = (typeof DRIVERS)[number];

/** Which drivers may be chosen, best first, by the word that `--storage-driver` takes or else storage.conf's. */
function candidates(word: string | undefined): readonly Driver[] {
  const conf = readStorageConf();
  const overlays: Driver[] = conf.mountProgram ? ["fuse-overlayfs"] : ["overlay", "fuse-overlayfs"];
  switch (word || conf.driver) {
    case "overlay":
    case "overlay2":
      return overlays;
    case "fuse-overlayfs":
    case "vfs":
      return [(word || conf.driver) as Driver];
    default:
      if (word)
        throw new UserError(
          `configure storage: unknown driver ${JSON.stringify(word)}: driver not supported`,
        );
      return [...overlays, "vfs"];
  }
}

/**
 * The driver for new containers of the store at `paths`. Throws when none works: then nothing can be kept there.
 * `word` is what `--storage-driver` or the environment's STORAGE_DRIVER say.
 */
export function chooseDriver(paths: Paths, word = process.env.STORAGE_DRIVER): Driver {
  const allowed = candidates(word);
  const program = allowed.includes("fuse-overlayfs") ? fuseProgram() : undefined;
  const version = program ? [`${program} ${statSync(program).mtimeMs}`] : [];
  const key = [paths.root, ...allowed, ...version].join("\n");
  const memory = memoryOf(paths);
  const remembered = () => {
    const [known, driver] = readMemory(paths);
    return known === key ? driver : undefined;
  };
  return (
    remembered() ??
    withLock(paths.lock("storage-driver"), () => {
      const driver = remembered() ?? tryAll(paths, allowed);
      writeFileSync(memory, `${key}\n\n${driver}`);
      return driver;
    })
  );
}

const memoryOf = (paths: Paths) => join(paths.runRoot, "storage-driver");

function readMemory(paths: Paths): [key?: string, driver?: Driver] {
  if (!existsSync(memoryOf(paths))) return [];
  const [key, name] = readFileSync(memoryOf(paths), "utf8").split("\n\n");
  return [key, DRIVERS.find(one => one === name)];
}

/** The driver that was chosen last in this boot; undefined where none was. */
export const knownDriver = (paths: Paths): Driver | undefined => readMemory(paths)[1];

function tryAll(paths: Paths, allowed: readonly Driver[]): Driver {
  const reasons: string[] = [];
  for (const driver of allowed) {
    const reason = failure(driver, join(paths.root, ".trial"));
    if (reason === undefined) return driver;
    log.debug(`storage driver ${driver} can't be used below ${paths.root}: ${reason}`);
    reasons.push(`${driver}: ${reason}`);
  }
  throw new UserError(`containers can't be kept below ${paths.root}: ${reasons.join("; ")}`, {
    hint: "name a directory on another file system by --root",
  });
}

/** Why the driver does not work in `trial`, a directory of its own; undefined when it does. */
function failure(driver: Driver, trial: string): string | undefined {
  const [top, bottom, merged] = [join(trial, "top"), join(trial, "bottom"), join(trial, "merged")];
  const clear = () => {
    unmountRootfs(merged, driver);
    rmSync(trial, { recursive: true, force: true });
  };
  try {
    clear();
    for (const directory of ["hidden", "opaque/hidden", "seen/old"])
      mkdirSync(join(bottom, directory), { recursive: true });
    mkdirSync(join(top, "opaque"), { recursive: true });
    const marks = marksFor(trial);
    hide(join(top, "hidden"), marks);
    makeOpaque(join(top, "opaque"), marks);
    // What is asked of a container's root at the least.
    if (driver === "vfs" && (fileSystemOf(trial).flags & ST_NOEXEC) !== 0)
      return "programs can't be executed there (noexec)";
    const [upper, work] = [join(trial, "upper"), join(trial, "work")];
    mountRootfs({ driver, lower: [top, bottom], upper, work, merged });
    rmSync(join(merged, "seen"), { recursive: true });
    mkdirSync(join(merged, "seen"));
    if (hasId(idMap("uid"), 1) && hasId(idMap("gid"), 1)) lchown(join(merged, "seen"), 1, 1);
    const shown = [merged, join(merged, "opaque"), join(merged, "seen")].map(one => readdirSync(one).sort());
    const isRight = JSON.stringify(shown) === JSON.stringify([["opaque", "seen"], [], []]);
    return isRight ? undefined : "what a layer hides is shown";
  } catch (error) {
    return errorText(error);
  } finally {
    clear();
  }
}
