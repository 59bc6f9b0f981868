/** The filters of `pod ps` and `pod prune`: each key's values are alternatives, all keys must be met. */
import { UserError } from "../base/errors.ts";
import type { Engine } from "../container/engine.ts";
import { POD_STATES } from "../pod/members.ts";
import { parseDuration, parseTime } from "./format/human.ts";
import { memberStatus, type PodEntry, podNetworks } from "./pod-row.ts";
import { hasLabel, parseFilters } from "./select.ts";

type Test = (entry: PodEntry, values: readonly string[], engine: Engine) => boolean;

const matches = (text: string, values: readonly string[]) =>
  values.some(value => new RegExp(value).test(text));

const MEMBER_STATES = ["created", "running", "paused", "stopped", "exited", "unknown"];

const FILTERS: Readonly<Record<string, Test>> = {
  id: ({ pod }, values) => matches(pod.config.id, values),
  name: ({ pod }, values) => matches(pod.config.name, values),
  label: ({ pod }, values) => values.every(value => hasLabel(pod.config.labels, value)),
  "label!": ({ pod }, values) => !values.some(value => hasLabel(pod.config.labels, value)),
  status: ({ state }, values) => values.some(value => value.toLowerCase() === state.toLowerCase()),
  "ctr-ids": ({ members }, values) => members.all.some(one => matches(one.config.id, values)),
  "ctr-names": ({ members }, values) => members.all.some(one => values.includes(one.config.name)),
  "ctr-number": ({ members }, values) => values.includes(String(members.all.length)),
  "ctr-status": ({ members }, values) =>
    members.all.some(one =>
      values.some(value => (value === "stopped" ? "exited" : value) === memberStatus(one)),
    ),
  network: ({ members }, values, engine) =>
    values.some(value => podNetworks(members).includes(engine.networks.resolve(value))),
  until: ({ pod }, values) =>
    values.every(value => {
      const at = parseTime(value, Date.now()) ?? parseDuration(value);
      if (at === undefined) throw new UserError(`invalid filter value ${JSON.stringify(value)} for until`);
      return pod.config.created < at;
    }),
};

/** Those pods that every `--filter` lets through. Throws UserError for an unknown key or state. */
export function filterPods(
  engine: Engine,
  entries: readonly PodEntry[],
  texts: readonly string[],
): PodEntry[] {
  const tests = [...parseFilters(texts)].map(([key, values]) => {
    const test = FILTERS[key];
    if (!test) throw new UserError(`${key} is an invalid filter`);
    const known = (word: string, words: readonly string[]) =>
      words.some(one => one.toLowerCase() === word.toLowerCase());
    const wrong = values.find(
      value =>
        (key === "status" && !known(value, [...POD_STATES, "dead"])) ||
        (key === "ctr-status" && !known(value, MEMBER_STATES)),
    );
    if (wrong !== undefined)
      throw new UserError(
        key === "status" ? `${wrong} is not a valid pod status` : `${wrong} is not a valid status`,
      );
    return (entry: PodEntry) => test(entry, values, engine);
  });
  return entries.filter(entry => tests.every(test => test(entry)));
}
