/** The filters of `ps` and `container prune`: each key's values are alternatives, all keys must be met. */
import { UserError } from "../base/errors.ts";
import { type Container, joinsOf, statusOf } from "../container/config.ts";
import type { Engine } from "../container/engine.ts";
import type { Invocation } from "./command.ts";
import { parseDuration, parseTime } from "./format/human.ts";
import { hasLabel, parseFilters, type Selection, selectNames } from "./select.ts";

const STATES: readonly string[] = [
  ...["created", "exited", "paused", "running", "stopped", "stopping", "removing", "unknown", "initialized"],
];

type Test = (container: Container, values: readonly string[], engine: Engine) => boolean;

/** A name or id pattern of Podman's is a regular expression. */
function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new UserError(`invalid filter value ${JSON.stringify(text)}: not a regular expression`);
  }
}

const shown = (container: Container): readonly string[] =>
  container.phase === "exited" ? ["exited", "stopped"] : [statusOf(container)];

const FILTERS: Readonly<Record<string, Test>> = {
  id: ({ config }, values) =>
    values.some(value => config.id.startsWith(value) || pattern(value).test(config.id)),
  name: ({ config }, values) => values.some(value => pattern(value).test(config.name)),
  label: ({ config }, values) => values.every(value => hasLabel(config.labels, value)),
  "label!": ({ config }, values) => !values.some(value => hasLabel(config.labels, value)),
  status: (container, values) => values.some(value => shown(container).includes(value)),
  exited: ({ phase, state }, values) => phase === "exited" && values.includes(String(state.exitCode)),
  ancestor: ({ config }, values, engine) =>
    values.some(value => {
      const image = engine.images.find(value);
      return image ? image.id === config.imageId : config.imageName.includes(value);
    }),
  before: ({ config }, values, engine) =>
    values.every(value => config.created < engine.containers.get(value).config.created),
  since: ({ config }, values, engine) =>
    values.every(value => config.created > engine.containers.get(value).config.created),
  volume: ({ config }, values) =>
    values.some(value => config.mounts.some(one => one.source === value || one.destination === value)),
  network: (container, values, engine) =>
    values.some(value => {
      const name = engine.networks.resolve(value);
      return joinsOf(container).some(one => one.network === name);
    }),
  pod: ({ config }, values, engine) =>
    values.some(value => config.pod !== undefined && engine.pods.find(value)?.config.id === config.pod),
  health: ({ state }, values) => values.includes(state.health?.status ?? "none"),
  "restart-policy": ({ config }, values) => values.includes(config.restart.name),
  until: ({ config }, values) =>
    values.every(value => {
      const at = parseTime(value, Date.now()) ?? parseDuration(value);
      if (at === undefined) throw new UserError(`invalid filter value ${JSON.stringify(value)} for until`);
      return config.created < at;
    }),
};

/** Those containers that every `--filter` lets through. Throws UserError for an unknown key. */
export function filterContainers(
  engine: Engine,
  containers: readonly Container[],
  texts: readonly string[],
  allowed?: readonly string[],
): Container[] {
  const tests = [...parseFilters(texts)].map(([key, values]) => {
    const test = FILTERS[key];
    if (!test || (allowed && !allowed.includes(key))) throw new UserError(`${key} is an invalid filter`);
    const unknown = key === "status" ? values.find(value => !STATES.includes(value)) : undefined;
    if (unknown !== undefined) throw new UserError(`unknown container state: ${unknown}: invalid argument`);
    return (container: Container) => test(container, values, engine);
  });
  return containers.filter(container => tests.every(test => test(container)));
}

/** As `selectNames`, for verbs that have `--filter`: the ids of those that the filters let through. */
export function selectFiltered(invocation: Invocation, engine: Engine, selection: Selection): string[] {
  const filters = invocation.flags.list("filter");
  if (filters.length === 0) return selectNames(invocation, engine, selection);
  if (invocation.args.length > 0) throw new UserError("--filter takes no arguments");
  const wanted = engine.containers
    .list()
    .filter(one => !invocation.flags.bool("all") || (selection.all?.(one) ?? true));
  return filterContainers(engine, wanted, filters).map(one => one.config.id);
}
