import type { Engine } from "../../container/engine.ts";
import type { ImageRecord } from "../../image/types.ts";
import { type Command, print, requireArgs } from "../command.ts";
import { goTime } from "../format/go-print.ts";
import { humanDuration, humanSize } from "../format/human.ts";
import { printListing } from "../format/output.ts";
import { isChild } from "../image-filters.ts";
import { formatFlag } from "../select.ts";

interface Step {
  /** Of the image that ends with this step, where one in the store does. */
  id: string;
  at: number;
  created: string;
  createdBy: string;
  bytes: number;
  comment: string;
  tags: string[];
}

/** What the image's configuration tells of its making, newest first. */
function steps(engine: Engine, image: ImageRecord): Step[] {
  const others = engine.images.list();
  const history = image.config.history ?? [];
  const layers = image.config.rootfs.diff_ids.map(diffId => engine.images.layers.find(diffId)?.size ?? 0);
  let layer = 0;
  return history
    .map((one, index) => {
      const bytes = one.empty_layer ? 0 : (layers[layer++] ?? 0);
      const count = layer;
      const ending = others.find(
        other =>
          other.config.history?.length === index + 1 &&
          other.config.rootfs.diff_ids.length === count &&
          isChild(image, other),
      );
      const own = index === history.length - 1 ? image : ending;
      const created = one.created ?? image.created;
      return {
        id: own?.id ?? "<missing>",
        at: Date.parse(created),
        created,
        createdBy: one.created_by ?? "",
        bytes,
        comment: one.comment ?? "",
        tags: own?.names ?? [],
      };
    })
    .reverse();
}

const LONGEST = 45;
const shortened = (text: string) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 3)}...` : text);

export const history: Command = {
  summary: "Show history of a specified image",
  usage: "[options] IMAGE",
  flags: [
    formatFlag(),
    { long: "human", short: "H", kind: "bool", help: "Display sizes and dates in human readable format" },
    { long: "no-trunc", kind: "bool", help: "Do not truncate the output" },
    { long: "quiet", short: "q", kind: "bool", help: "Display the numeric IDs only" },
  ],
  outside: true,
  async run(invocation) {
    const { flags } = invocation;
    requireArgs(invocation, 1, 1);
    const engine = await invocation.engine();
    const found = steps(engine, engine.images.get(invocation.args[0]!));
    const full = flags.bool("no-trunc");
    const id = (step: Step) => (full || step.id === "<missing>" ? step.id : step.id.slice(0, 12));
    if (flags.bool("quiet") && !flags.has("format")) {
      for (const step of found) print(id(step));
      return;
    }
    const isHuman = flags.optionalBool("human") !== false;
    const stamp = (step: Step) => new Date(step.at).toISOString().replace(/\.\d+Z/, "Z");
    printListing({
      name: "list",
      rows: found.map(step => {
        const since = `${humanDuration(Date.now() - step.at)} ago`;
        return {
          ID: id(step),
          Created: isHuman ? since : stamp(step),
          CreatedAt: goTime(Math.floor(step.at / 1000) * 1000),
          CreatedSince: since,
          CreatedBy: full ? step.createdBy : shortened(step.createdBy),
          Size: humanSize(step.bytes, 3, " "),
          Comment: step.comment,
          Tags: step.tags,
        };
      }),
      headings: { CreatedAt: "CREATED", CreatedSince: "CREATED" },
      columns: ["ID", "Created", "CreatedBy", "Size", "Comment"],
      format: flags.string("format"),
      indent: 0,
      json: () =>
        found.map(step => ({
          id: step.id,
          created: step.created,
          CreatedBy: step.createdBy,
          size: step.bytes,
          ...(step.comment && { comment: step.comment }),
          Created: stamp(step),
        })),
    });
  },
};
