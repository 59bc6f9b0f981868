import type { Engine } from "../../container/engine.ts";
import { pruneImages } from "../../container/images.ts";
import {
  containerSize,
  containersOfImage,
  containersOfVolume,
  directorySize,
} from "../../container/usage.ts";
import { removePod } from "../../pod/remove.ts";
import { type Command, print } from "../command.ts";
import { humanSize } from "../format/human.ts";
import { printListing, printTable } from "../format/output.ts";
import { allFlag, formatFlag } from "../select.ts";
import { pruneNetworks } from "./network-remove.ts";
import { stoppedPods } from "./pod.ts";
import { confirmed, FORCE, PRUNE_FILTER, pruneContainers, pruneVolumes } from "./prune.ts";

interface Total {
  Type: string;
  Total: number;
  Active: number;
  Size: string;
  Reclaimable: string;
  RawSize: number;
  RawReclaimable: number;
}

/** `all` tells who is in use; `size` and `free` are bytes. */
interface Sum {
  all: readonly { active: boolean }[];
  size: number;
  free: number;
}

function ofParts(all: readonly { size: number; active: boolean }[]): Sum {
  const size = all.reduce((sum, one) => sum + one.size, 0);
  return { all, size, free: all.reduce((sum, one) => sum + (one.active ? 0 : one.size), 0) };
}

function total(type: string, { all, size, free }: Sum): Total {
  return {
    Type: type,
    Total: all.length,
    Active: all.filter(one => one.active).length,
    Size: humanSize(size),
    Reclaimable: `${humanSize(free)} (${size > 0 ? Math.round((100 * free) / size) : 0}%)`,
    RawSize: size,
    RawReclaimable: free,
  };
}

/** Bytes of the images' layers, and of those among them that no image in use has: one that several share counts once. */
function imagesSize(engine: Engine): { size: number; free: number } {
  const { size, used } = engine.db
    .query(
      `SELECT coalesce(sum(size), 0) AS size,
        coalesce(sum(size) FILTER (WHERE diff_id IN (SELECT diff_id FROM image_layer WHERE image_id IN
          (SELECT config ->> 'imageId' FROM container))), 0) AS used
        FROM layer WHERE diff_id IN (SELECT diff_id FROM image_layer)`,
    )
    .get() as { size: number; used: number };
  return { size, free: size - used };
}

function usage(engine: Engine): Total[] {
  const parts = <T>(all: readonly T[], size: (one: T) => number, active: (one: T) => boolean) =>
    all.map(one => ({ size: size(one), active: active(one) }));
  const images = engine.images.list().map(one => ({ active: containersOfImage(engine, one.id).length > 0 }));
  const containers = parts(
    engine.containers.list(),
    one => containerSize(engine, one).own,
    one => one.phase === "running",
  );
  const volumes = parts(
    engine.volumes.list(),
    one => directorySize(engine.volumes.directory(one.name)),
    one => containersOfVolume(engine, one.name).length > 0,
  );
  return [
    total("Images", { all: images, ...imagesSize(engine) }),
    total("Containers", ofParts(containers)),
    total("Local Volumes", ofParts(volumes)),
  ];
}

function verbose(engine: Engine): void {
  print("Images space usage:\n");
  printTable([
    ["REPOSITORY", "TAG", "IMAGE ID", "SIZE", "CONTAINERS"],
    ...engine.images.list().map(image => {
      const name = image.names[0] ?? "<none>:<none>";
      const colon = name.lastIndexOf(":");
      const users = String(containersOfImage(engine, image.id).length);
      return [
        name.slice(0, colon),
        name.slice(colon + 1),
        image.id.slice(0, 12),
        humanSize(image.size),
        users,
      ];
    }),
  ]);
  print("\nContainers space usage:\n");
  printTable([
    ["CONTAINER ID", "IMAGE", "COMMAND", "SIZE", "STATUS", "NAMES"],
    ...engine.containers
      .list()
      .map(one => [
        ...[one.config.id.slice(0, 12), one.config.imageId.slice(0, 12), one.config.args.join(" ")],
        ...[humanSize(containerSize(engine, one).own), one.phase, one.config.name],
      ]),
  ]);
  print("\nLocal Volumes space usage:\n");
  printTable([
    ["VOLUME NAME", "LINKS", "SIZE"],
    ...engine.volumes
      .list()
      .map(({ name }) => [
        ...[name, String(containersOfVolume(engine, name).length)],
        humanSize(directorySize(engine.volumes.directory(name))),
      ]),
  ]);
}

export const systemDf: Command = {
  summary: "Show disk usage",
  usage: "[options]",
  flags: [
    formatFlag(),
    { long: "verbose", short: "v", kind: "bool", help: "Show detailed information on disk usage" },
  ],
  async run(invocation) {
    const { flags } = invocation;
    const engine = await invocation.engine();
    if (flags.bool("verbose")) {
      verbose(engine);
      return;
    }
    const rows = usage(engine);
    printListing<Total>({
      name: "df",
      rows,
      headings: {},
      columns: ["Type", "Total", "Active", "Size", "Reclaimable"],
      format: flags.string("format"),
      json: () => rows,
    });
  },
};

export const systemPrune: Command = {
  summary: "Remove unused containers, images and networks, and with --volumes unused volumes",
  usage: "[options]",
  flags: [
    allFlag("Remove all unused images, not just dangling ones"),
    FORCE,
    PRUNE_FILTER,
    { long: "volumes", kind: "bool", help: "Prune volumes" },
  ],
  async run(invocation) {
    const { flags } = invocation;
    const all = flags.bool("all");
    const warning = [
      "WARNING! This command removes:",
      "\t- all stopped containers",
      "\t- all networks not used by at least one container",
      ...(flags.bool("volumes") ? ["\t- all volumes not used by at least one container"] : []),
      all ? "\t- all images without at least one container associated with them" : "\t- all dangling images",
      all ? "\t- all of the build cache" : "\t- the build cache of images that are gone",
      "",
    ];
    if (!(await confirmed(invocation, warning.join("\n")))) return;
    const engine = await invocation.engine();
    const filters = flags.list("filter");
    const before = usage(engine).reduce((sum, one) => sum + one.RawSize, 0);
    const section = (title: string, names: readonly string[]) => {
      if (names.length > 0) print(`${title}\n${names.join("\n")}`);
    };
    const pods = filters.length > 0 ? [] : stoppedPods(engine);
    for (const { config } of pods) await removePod(engine, config.id);
    section(
      "Deleted Pods",
      pods.map(one => one.config.id),
    );
    section("Deleted Containers", await pruneContainers(engine, filters));
    section(
      "Deleted Images",
      pruneImages(engine, { all }).map(one => one.id),
    );
    section("Deleted Networks", await pruneNetworks(engine, filters));
    if (flags.bool("volumes")) section("Deleted Volumes", pruneVolumes(engine, []));
    const { pruneBuilds } = await import("../../container/buildah.ts");
    await pruneBuilds(engine, all);
    engine.images.sweep();
    const { mapName } = await import("../../image/mapped.ts");
    engine.images.layers.dropMapped(
      () =>
        new Set(engine.containers.list().flatMap(({ config }) => (config.ids ? [mapName(config.ids)] : []))),
    );
    print(
      `Total reclaimed space: ${humanSize(Math.max(0, before - usage(engine).reduce((sum, one) => sum + one.RawSize, 0)))}`,
    );
  },
};
