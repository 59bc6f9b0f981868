import { existsSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import { writtenDirectory } from "../../container/commit.ts";
import { type Change, changes } from "../../image/changes.ts";
import { type Command, print } from "../command.ts";
import { goJson } from "../format/json.ts";
import { formatFlag, LATEST, selectOne } from "../select.ts";

/** What an engine puts into every container itself. */
const OWN =
  /^\/(dev|proc|run|sys|etc\/(hostname|hosts|mtab|resolv\.conf)|run\/(\.containerenv|notify|secrets))$/;

const kindOf = ({ kind, opaque }: Change) => (opaque ? "deleted" : kind);

export const diff: Command = {
  summary: "Inspect changes to the file system of a container or an image",
  usage: "[options] {CONTAINER|IMAGE}",
  flags: [formatFlag(), LATEST],
  async run(invocation) {
    const { flags, args } = invocation;
    const format = flags.string("format");
    if (format !== undefined && format !== "json")
      throw new UserError("only supported value for '--format' is 'json'");
    if (args.length === 0 && !flags.bool("latest"))
      throw new UserError(`${JSON.stringify(invocation.path)} requires a name, id, or the "--latest" flag`);
    const engine = await invocation.engine();
    const image =
      args.length > 0 && !engine.containers.find(args[0]!) ? engine.images.find(args[0]!) : undefined;
    if (args.length > 0 && !image && !engine.containers.find(args[0]!))
      throw new UserError(`${args[0]} not found: layer not known`, { status: 404 });
    let found: Change[];
    if (image) {
      // An image's last layer against those before it.
      const [top, ...lower] = engine.images.layerDirectories(image);
      found = top ? [...changes("overlay", top, lower)] : [];
    } else {
      const { config } = selectOne(invocation, engine, "").container;
      const directory = writtenDirectory(engine, config);
      found = existsSync(directory)
        ? [...changes(config.storageDriver ?? "overlay", directory, config.layers)]
        : [];
    }
    const shown = found.filter(({ path }) => !OWN.test(path)).sort((a, b) => (a.path < b.path ? -1 : 1));
    if (format === undefined) {
      const letters = { added: "A", changed: "C", deleted: "D" };
      for (const one of shown) print(`${letters[kindOf(one)]} ${one.path}`);
      return;
    }
    const paths = (kind: Change["kind"]) => {
      const list = shown.filter(one => kindOf(one) === kind).map(one => one.path);
      return list.length > 0 ? list : undefined;
    };
    print(goJson({ changed: paths("changed"), added: paths("added"), deleted: paths("deleted") }, 5));
  },
};
