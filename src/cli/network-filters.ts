/** The filters of `network ls` and `network prune`. */
import { UserError } from "../base/errors.ts";
import type { Engine } from "../container/engine.ts";
import { containersOfNetwork } from "../container/networks.ts";
import { parseTruth } from "../network/definition.ts";
import type { NetworkInfo } from "../network/service.ts";
import { parseTime } from "./format/human.ts";
import { hasLabel, parseFilters } from "./select.ts";

type Test = (network: NetworkInfo, values: readonly string[], engine: Engine) => boolean;

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw new UserError(`invalid pattern ${JSON.stringify(text)} in a filter`);
  }
}

function olderThan(network: NetworkInfo, text: string): boolean {
  const time = parseTime(text, Date.now());
  if (time === undefined)
    throw new UserError(`failed to parse value as time or duration: ${JSON.stringify(text)}`);
  return Date.parse(network.created) < time;
}

function isDangling(network: NetworkInfo, text: string, engine: Engine): boolean {
  const wanted = parseTruth(text);
  if (wanted === undefined) throw new UserError(`invalid dangling filter value ${JSON.stringify(text)}`);
  const kept = network.name === engine.networks.defaultNetwork;
  return (!kept && containersOfNetwork(engine, network.name).length === 0) === wanted;
}

const TESTS: Readonly<Record<string, Test>> = {
  name: (network, values) => values.some(value => pattern(value).test(network.name)),
  id: (network, values) =>
    values.some(value =>
      /^[0-9a-f]+$/.test(value) ? network.id.startsWith(value) : pattern(value).test(network.id),
    ),
  driver: (network, values) => values.includes(network.driver),
  label: (network, values) => values.every(value => hasLabel(network.labels ?? {}, value)),
  "label!": (network, values) => !values.every(value => hasLabel(network.labels ?? {}, value)),
  until: (network, values) => values.every(value => olderThan(network, value)),
  dangling: (network, values, engine) => values.every(value => isDangling(network, value, engine)),
};

/** The networks that every `--filter` lets through, by name. Throws UserError for keys that are not among `keys`. */
export function filterNetworks(
  engine: Engine,
  texts: readonly string[],
  keys: readonly string[] = Object.keys(TESTS),
): NetworkInfo[] {
  for (const text of texts)
    if (!text.includes("="))
      throw new UserError(`filter input must be in the form of filter=value: ${text} is invalid`);
  const filters = [...parseFilters(texts)];
  for (const [key] of filters)
    if (!keys.includes(key)) throw new UserError(`invalid filter ${JSON.stringify(key)}`);
  return engine.networks
    .list()
    .filter(network => filters.every(([key, values]) => TESTS[key]!(network, values, engine)));
}
