import { UserError } from "../../base/errors.ts";
import type { Engine } from "../../container/engine.ts";
import { containersOfImage } from "../../container/usage.ts";
import type { ImageRecord } from "../../image/types.ts";
import { type Command, print } from "../command.ts";
import { goTime } from "../format/go-print.ts";
import { humanDuration, humanSize } from "../format/human.ts";
import { printListing } from "../format/output.ts";
import { imageFilter, isIntermediate } from "../image-filters.ts";
import { allFlag, FILTER, formatFlag } from "../select.ts";

const created = (image: ImageRecord) => Date.parse(image.created);

/** A repository and a tag of an image's name. */
function splitName(name: string | undefined): { repository: string; tag: string } {
  if (name === undefined) return { repository: "<none>", tag: "<none>" };
  const colon = name.lastIndexOf(":");
  return { repository: name.slice(0, colon), tag: name.slice(colon + 1) };
}

const SORTS: Readonly<Record<string, (a: Row, b: Row) => number>> = {
  created: (a, b) => b.at - a.at,
  id: (a, b) => (a.ID < b.ID ? -1 : 1),
  repository: (a, b) => (a.Repository < b.Repository ? -1 : 1),
  size: (a, b) => a.bytes - b.bytes,
  tag: (a, b) => (a.Tag < b.Tag ? -1 : 1),
};

interface Row {
  ID: string;
  Id: string;
  Repository: string;
  Tag: string;
  Digest: string;
  Created: string;
  CreatedAt: string;
  CreatedSince: string;
  CreatedTime: string;
  Size: string;
  VirtualSize: string;
  Labels: Record<string, string>;
  Containers: number;
  Names: string[];
  at: number;
  bytes: number;
}

function row(engine: Engine, image: ImageRecord, name: string | undefined, full: boolean): Row {
  const { repository, tag } = splitName(name);
  const id = full ? `sha256:${image.id}` : image.id.slice(0, 12);
  const age = `${humanDuration(Date.now() - created(image))} ago`;
  const size = humanSize(image.size, 3, " ");
  return {
    ID: id,
    Id: id,
    Repository: repository,
    Tag: tag,
    Digest: image.digest,
    Created: age,
    CreatedAt: goTime(created(image)),
    CreatedSince: age,
    CreatedTime: goTime(created(image)),
    Size: size,
    VirtualSize: size,
    Labels: image.config.config?.Labels ?? {},
    get Containers() {
      return containersOfImage(engine, image.id).length;
    },
    Names: image.names,
    at: created(image),
    bytes: image.size,
  };
}

const json = (engine: Engine, image: ImageRecord) => ({
  Id: image.id,
  ParentId: "",
  RepoTags: image.names.length > 0 ? image.names : null,
  RepoDigests: image.repoDigests,
  Size: image.size,
  SharedSize: 0,
  VirtualSize: image.size,
  Labels: image.config.config?.Labels ?? null,
  Containers: containersOfImage(engine, image.id).length,
  Names: image.names,
  Digest: image.digest,
  History: image.names,
  Created: Math.floor(created(image) / 1000),
  CreatedAt: image.created,
});

export const images: Command = {
  summary: "List images in local storage",
  usage: "[options] [IMAGE]",
  flags: [
    allFlag("Show all images (default hides intermediate images)"),
    { long: "digests", kind: "bool", help: "Show digests" },
    FILTER,
    formatFlag(),
    { long: "no-trunc", kind: "bool", help: "Do not truncate output" },
    { long: "noheading", short: "n", kind: "bool", help: "Do not print column headings" },
    { long: "quiet", short: "q", kind: "bool", help: "Display only image IDs" },
    {
      long: "sort",
      kind: "string",
      help: `Sort by ${Object.keys(SORTS).join(", ")}`,
      complete: Object.keys(SORTS),
    },
  ],
  outside: true,
  async run(invocation) {
    const { flags, args } = invocation;
    if (args.length > 1) throw new UserError("images: only one image name can be given");
    const engine = await invocation.engine();
    const filters = [...flags.list("filter"), ...args.map(name => `reference=${name}`)];
    const found = engine.images
      .list()
      .filter(imageFilter(engine, filters))
      .filter(image => flags.bool("all") || filters.length > 0 || !isIntermediate(engine, image));
    const full = flags.bool("no-trunc");
    if (flags.bool("quiet")) {
      for (const image of found) print(full ? `sha256:${image.id}` : image.id.slice(0, 12));
      return;
    }
    const key = flags.string("sort") ?? "created";
    const sort = SORTS[key];
    if (!sort)
      throw new UserError(
        `${JSON.stringify(key)} is not a valid field for sorting. Choose from: ${Object.keys(SORTS).join(", ")}`,
      );
    printListing<Row>({
      name: "list",
      rows: found
        .flatMap(image =>
          (image.names.length > 0 ? image.names : [undefined]).map(name => row(engine, image, name, full)),
        )
        .sort(sort),
      headings: {
        ID: "IMAGE ID",
        Id: "IMAGE ID",
        CreatedAt: "CREATED",
        CreatedSince: "CREATED",
        CreatedTime: "CREATED",
      },
      columns: ["Repository", "Tag", ...(flags.bool("digests") ? ["Digest"] : []), "ID", "Created", "Size"],
      format: flags.string("format"),
      noHeading: flags.bool("noheading"),
      json: () => found.map(image => json(engine, image)),
      indent: 4,
    });
  },
};
