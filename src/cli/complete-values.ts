/** What arguments and the values of flags can be, for the shells' completion: fixed words, and what the state knows. */
import { statusOf } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import type { Command } from "./command.ts";
import type { Flag, ValueKind } from "./flags.ts";

export interface Candidate {
  value: string;
  about?: string;
}
export interface Candidates {
  values: readonly Candidate[];
  /** Names of files are candidates as well. */
  files?: boolean | undefined;
  /** A candidate is not yet the whole word. */
  open?: boolean | undefined;
}

/** What may stand at one place, and for containers and pods in which states they must be. */
export interface Kinds {
  kinds: readonly ValueKind[];
  states?: readonly string[] | undefined;
}

/** The words that a flag chooses from: those it declares, or those that its help names as `("a"|"b")`. */
export function choices(flag: Flag): readonly Candidate[] | undefined {
  if (typeof flag.complete === "object") return flag.complete.map(value => ({ value }));
  if (flag.complete) return undefined;
  if (flag.kind === "bool") return [{ value: "true" }, { value: "false" }];
  const [, words] = /\(("[^"]+"(?:\|"[^"]+")*)\)/.exec(flag.help) ?? [];
  return words?.split("|").map(word => ({ value: word.slice(1, -1) }));
}

export const flagKinds = ({ complete }: Flag): Kinds => ({
  kinds: typeof complete === "string" ? [complete] : [],
});

/** The words of usage lines. */
const ARGUMENTS: Readonly<Record<string, ValueKind>> = {
  CONTAINER: "container",
  IMAGE: "image",
  NETWORK: "network",
  POD: "pod",
  VOLUME: "volume",
  PATH: "file",
  KUBEFILE: "file",
  COMMAND: "file",
  ARG: "file",
  SRC_PATH: "container-path",
  DEST_PATH: "container-path",
  A: "place",
  B: "place",
  SHELL: "shell",
};

/** What the argument at `index` (from 0) is by the command's usage line: `[options] CONTAINER [CONTAINER...]`. */
export function positionKinds({ usage, states }: Command, index: number): Kinds {
  const places = usage.replaceAll(/\[CONTAINER:\]|\[options\]|\[:[^\s]*/g, "").match(/[^\s[\]]+/g) ?? [];
  const last = places.at(-1) ?? "";
  const place = places[index] ?? (last.endsWith("...") ? last : "");
  const word = place === "..." ? (places.at(-2) ?? "") : place;
  const names = word.replaceAll(/[{}]|\.\.\./g, "").split("|");
  return { kinds: names.flatMap(name => ARGUMENTS[name] ?? []), states };
}

const fixed =
  (...words: string[]) =>
  (): Candidate[] =>
    words.map(value => ({ value }));

function containers({ containers }: Engine, typed: string, states?: readonly string[]): Candidate[] {
  return containers
    .list()
    .filter(one => !states || states.includes(statusOf(one)))
    .flatMap(one => {
      const about = `${statusOf(one)}, ${one.config.imageName}`;
      const named = { value: one.config.name, about };
      return [named, ...byId(one.config.id, typed, one.config.name)];
    });
}

/** An id is a candidate for who begins to type it. */
const byId = (id: string, typed: string, about: string): Candidate[] =>
  typed.length > 1 && id.startsWith(typed) ? [{ value: id.slice(0, 12), about }] : [];

/** An image by its name and, where that is what people type, by the name's last part. */
function images({ images }: Engine, typed: string): Candidate[] {
  return images.list().flatMap(({ id, names }) => {
    const short = names.flatMap(name => [name, name.replace(/^.*\//, "").replace(/:latest$/, "")]);
    const shown = typed.includes("/") || typed.includes(":") ? names : short;
    return [...new Set(shown)]
      .map(value => ({ value, about: id.slice(0, 12) }))
      .concat(byId(id, typed, names[0] ?? "").map(one => ({ about: "", ...one })));
  });
}

const networks = ({ networks }: Engine): Candidate[] =>
  networks.list().map(({ name, driver }) => ({ value: name, about: `${driver} network` }));

type Source = (engine: Engine, typed: string, states?: readonly string[]) => Candidate[];

const FROM_STATE: Partial<Record<ValueKind, Source>> = {
  container: containers,
  image: images,
  network: networks,
  pod: ({ pods }, typed) =>
    pods
      .list()
      .flatMap(({ config }) => [
        { value: config.name, about: "pod" },
        ...byId(config.id, typed, config.name),
      ]),
  volume: ({ volumes }) => volumes.list().map(({ name }) => ({ value: name, about: "volume" })),
};

/** Words that stand before `container:NAME`, and the networks' modes. */
const NAMESPACES = ["host", "private", "ns:"];
const MODES = ["bridge", "host", "none", "private", "slirp4netns", "pasta", "ns:"];

async function namespaces(
  words: readonly string[],
  typed: string,
  engine: () => Promise<Engine | undefined>,
): Promise<Candidates> {
  if (!typed.startsWith("container:")) return { values: [...words, "container:"].map(value => ({ value })) };
  const opened = await engine();
  const found = opened ? containers(opened, typed.slice("container:".length), ["running", "paused"]) : [];
  return { values: found.map(one => ({ ...one, value: `container:${one.value}` })) };
}

/** All that may stand at a place of these kinds, of which the shell's user has typed the beginning. */
export async function offer(
  { kinds, states }: Kinds,
  typed: string,
  engine: () => Promise<Engine | undefined>,
): Promise<Candidates> {
  const all = await Promise.all(kinds.map(kind => offerKind(kind, states, typed, engine)));
  return {
    values: all.flatMap(one => one.values),
    files: all.some(one => one.files),
    open: all.some(one => one.open),
  };
}

async function offerKind(
  kind: ValueKind,
  states: readonly string[] | undefined,
  typed: string,
  engine: () => Promise<Engine | undefined>,
): Promise<Candidates> {
  const source = FROM_STATE[kind];
  if (source) {
    const opened = await engine();
    return { values: opened ? source(opened, typed, states) : [] };
  }
  switch (kind) {
    case "file":
      return { values: [], files: true };
    case "shell":
      return { values: fixed("bash", "zsh", "fish")() };
    case "place": {
      const opened = await engine();
      const named = opened ? containers(opened, typed) : [];
      return { values: [...named, ...fixed("host", "internet")()] };
    }
    case "container-path": {
      const opened = await engine();
      const found = (opened ? containers(opened, typed) : []).map(one => ({
        ...one,
        value: `${one.value}:`,
      }));
      return { values: found, files: true, open: true };
    }
    case "mount": {
      if (typed.includes(":") || /^[./]/.test(typed)) return { values: [], files: true };
      const opened = await engine();
      const volumes = opened ? FROM_STATE.volume!(opened, typed) : [];
      return { values: volumes.map(one => ({ ...one, value: `${one.value}:` })), files: true, open: true };
    }
    case "network-mode": {
      const found = await namespaces(MODES, typed, engine);
      const opened = typed.includes(":") ? undefined : await engine();
      return withOpen({ values: [...found.values, ...(opened ? networks(opened) : [])] }, typed);
    }
    case "namespace":
      return withOpen(await namespaces(NAMESPACES, typed, engine), typed);
    case "userns": {
      const words = [...NAMESPACES, "auto", "keep-id", "nomap"];
      return withOpen(await namespaces(words, typed, engine), typed);
    }
    case "signal": {
      const { SIGNALS } = await import("../sys/process.ts");
      const prefix = typed.startsWith("SIG") ? "SIG" : "";
      return { values: Object.keys(SIGNALS).map(name => ({ value: `${prefix}${name}` })) };
    }
    case "capability": {
      const { ALL_CAPABILITIES } = await import("../container/capabilities.ts");
      const names = ALL_CAPABILITIES.map(name =>
        typed.startsWith("CAP_") ? name : name.slice("CAP_".length),
      );
      return { values: ["ALL", ...names].map(value => ({ value })) };
    }
    default:
      return { values: [] };
  }
}

/** What ends in `:` goes on; the shell sets no space where all that is left does. */
function withOpen(found: Candidates, typed: string): Candidates {
  const left = found.values.filter(one => one.value.startsWith(typed));
  return { ...found, open: left.length > 0 && left.every(one => one.value.endsWith(":")) };
}
