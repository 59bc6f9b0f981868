import { UserError } from "../../base/errors.ts";
import type { Engine } from "../../container/engine.ts";
import { type Command, print } from "../command.ts";
import type { Flag } from "../flags.ts";
import { goJson } from "../format/json.ts";
import { printObjects } from "../format/output.ts";
import { formatFlag, LATEST } from "../select.ts";
import { volumeJson } from "../volume-row.ts";

type Finder = (
  engine: Engine,
  name: string,
  size: boolean,
) => Promise<object | undefined> | object | undefined;

const FINDERS: Readonly<Record<string, Finder>> = {
  container: async (engine, name, size) => {
    const container = engine.containers.find(name);
    if (!container) return undefined;
    const { inspectContainer } = await import("../../container/inspect.ts");
    const data = inspectContainer(engine, container);
    if (!size) return data;
    const { containerSize } = await import("../../container/usage.ts");
    const { own, whole } = containerSize(engine, container);
    return { ...data, SizeRw: own, SizeRootFs: whole };
  },
  image: async (engine, name) => {
    const image = engine.images.find(name);
    if (!image) return undefined;
    const { inspectImage } = await import("../../image/inspect.ts");
    return inspectImage(engine.images, image);
  },
  volume: (engine, name) => {
    const volume = engine.volumes.find(name);
    return volume && volumeJson(engine, volume);
  },
  network: (engine, name) => (engine.networks.exists(name) ? engine.networks.inspect(name) : undefined),
  pod: async (engine, name) => {
    const pod = engine.pods.find(name);
    return pod && (await import("../../pod/inspect.ts")).inspectPod(engine, pod);
  },
};

const MISSING: Readonly<Record<string, (name: string) => string>> = {
  container: name => `no such container ${name}`,
  image: name => `${name}: image not known`,
  volume: name => `no such volume ${name}`,
  pod: name => `no such pod ${name}`,
  network: name => `network ${name}: unable to find network with name or ID ${name}: network not found`,
};

/** Prints what is found, all together, then says what is not. */
export async function inspectAll(
  engine: Engine,
  names: readonly string[],
  options: { type: string; format?: string; size?: boolean },
): Promise<number> {
  const found: object[] = [];
  const missing: string[] = [];
  const finders = options.type === "all" ? Object.values(FINDERS) : [FINDERS[options.type]!];
  for (const name of names) {
    let data: object | undefined;
    for (const find of finders) {
      data = await find(engine, name, options.size ?? false);
      if (data) break;
    }
    if (data) found.push(data);
    else missing.push(MISSING[options.type]?.(name) ?? `no such object: ${JSON.stringify(name)}`);
  }
  if (options.format === undefined || options.format === "json") print(goJson(found, 5));
  else printObjects("inspect", found, options.format);
  if (missing.length === 0) return 0;
  const { report } = await import("../report.ts");
  return Math.max(
    ...missing.map(reason => report(new UserError(`inspecting object: ${reason}`, { status: 404 }))),
  );
}

const FORMAT = formatFlag("f");
const SIZE: Flag = { long: "size", short: "s", kind: "bool", help: "Display total file size" };

const inspectOf = (type: string, summary: string, usage: string, more: readonly Flag[]): Command => ({
  summary,
  usage,
  flags: [FORMAT, ...more],
  outside: flags => !flags.bool("size"),
  async run(invocation) {
    const { flags } = invocation;
    let asked = flags.string("type") ?? type;
    if (asked !== "all" && !(asked in FINDERS))
      throw new UserError(
        `invalid type ${JSON.stringify(asked)}: must be "image", "container", "network", "pod", "volume", or "all"`,
      );
    const engine = await invocation.engine();
    let names = invocation.args;
    if (flags.bool("latest")) {
      if (names.length > 0) throw new UserError("--latest and arguments cannot be used together");
      names = engine.containers
        .list()
        .slice(0, 1)
        .map(one => one.config.id);
      asked = "container";
    }
    if (names.length === 0 && type === "network")
      throw new UserError("requires at least 1 arg(s), only received 0");
    if (names.length === 0) throw new UserError("no names or ids specified");
    return inspectAll(engine, names, {
      type: asked,
      format: flags.string("format"),
      size: flags.bool("size"),
    });
  },
});

export const inspect = inspectOf(
  "all",
  "Display the configuration of a container, image, network, pod or volume",
  "[options] {CONTAINER|IMAGE|NETWORK|POD|VOLUME} [...]",
  [
    SIZE,
    LATEST,
    {
      long: "type",
      short: "t",
      kind: "string",
      help: "Type of the object: all, container, image, network, pod, volume",
      complete: ["all", "container", "image", "network", "pod", "volume"],
    },
  ],
);
export const containerInspect = inspectOf(
  "container",
  "Display the configuration of a container",
  "[options] CONTAINER [CONTAINER...]",
  [SIZE, LATEST],
);
export const imageInspect = inspectOf(
  "image",
  "Display the configuration of an image",
  "[options] IMAGE [IMAGE...]",
  [],
);
export const networkInspect = inspectOf(
  "network",
  "Display the configuration of a network",
  "[options] NETWORK [NETWORK...]",
  [],
);
export const volumeInspect = inspectOf(
  "volume",
  "Display the configuration of a volume",
  "[options] VOLUME [VOLUME...]",
  [],
);
