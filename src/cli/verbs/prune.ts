import { UserError } from "../../base/errors.ts";
import { writeOut } from "../../base/stdio.ts";
import type { Engine } from "../../container/engine.ts";
import { pruneImages } from "../../container/images.ts";
import { removeContainer } from "../../container/remove.ts";
import { containersOfVolume } from "../../container/usage.ts";
import type { ImageRecord } from "../../image/types.ts";
import { type Command, type Invocation, print } from "../command.ts";
import { filterContainers } from "../container-filters.ts";
import type { Flag } from "../flags.ts";
import { imageFilter } from "../image-filters.ts";
import { allFlag } from "../select.ts";
import { filterVolumes, removeVolume } from "./volume.ts";

export const FORCE: Flag = {
  long: "force",
  short: "f",
  kind: "bool",
  help: "Do not prompt for confirmation",
};
export const PRUNE_FILTER: Flag = {
  long: "filter",
  kind: "array",
  help: "Prune only what the filter lets through (key=value)",
};

/** Asks on the terminal, unless `--force`; true for `y` or `yes`. Throws UserError where nobody answers. */
export async function confirmed(invocation: Invocation, warning: string): Promise<boolean> {
  if (invocation.flags.bool("force")) return true;
  // An ordinary user's command begins anew inside his user namespace, and is to ask once.
  await invocation.engine();
  writeOut(`${warning}\nAre you sure you want to continue? [y/N] `);
  for await (const answer of console) return /^\s*y(es)?\s*$/i.test(answer);
  throw new UserError("EOF", { hint: "nobody answered; --force asks nobody" });
}

/** Removes containers that don't run; gives their ids. */
export async function pruneContainers(engine: Engine, filters: readonly string[]): Promise<string[]> {
  const idle = engine.containers
    .list()
    .filter(one => !one.config.infra && (one.phase === "exited" || one.phase === "created"));
  const ids = filterContainers(engine, idle, filters, ["label", "label!", "until"]).map(one => one.config.id);
  for (const id of ids) await removeContainer(engine, id, { volumes: true });
  return ids;
}

/** Removes volumes that no container has; gives their names. */
export function pruneVolumes(engine: Engine, filters: readonly string[]): string[] {
  const unused = filterVolumes(engine, filters).filter(
    one => containersOfVolume(engine, one.name).length === 0,
  );
  for (const { name } of unused) removeVolume(engine, name);
  return unused.map(one => one.name);
}

export const containerPrune: Command = {
  summary: "Remove all non running containers",
  usage: "[options]",
  flags: [FORCE, PRUNE_FILTER],
  async run(invocation) {
    if (!(await confirmed(invocation, "WARNING! This will remove all non running containers."))) return;
    const engine = await invocation.engine();
    for (const id of await pruneContainers(engine, invocation.flags.list("filter"))) print(id);
  },
};

export const imagePrune: Command = {
  summary: "Remove unused images",
  usage: "[options]",
  flags: [allFlag("Remove all images not in use by containers, not just dangling ones"), FORCE, PRUNE_FILTER],
  async run(invocation) {
    const all = invocation.flags.bool("all");
    const what = all ? "all images without at least one container associated to them" : "all dangling images";
    if (!(await confirmed(invocation, `WARNING! This command removes ${what}.`))) return;
    const engine = await invocation.engine();
    const fits = imageFilter(engine, invocation.flags.list("filter"), ["label", "until"]);
    const keep = (image: ImageRecord) => !fits(image);
    for (const { id } of pruneImages(engine, { all, keep })) print(id);
  },
};

export const volumePrune: Command = {
  summary: "Remove all unused volumes",
  usage: "[options]",
  flags: [FORCE, PRUNE_FILTER],
  async run(invocation) {
    const warning = "WARNING! This will remove all volumes not used by at least one container.";
    if (!(await confirmed(invocation, warning))) return;
    const engine = await invocation.engine();
    for (const name of pruneVolumes(engine, invocation.flags.list("filter"))) print(name);
  },
};
