import { UserError } from "../../base/errors.ts";
import { type EngineEvent, eventsAfter } from "../../state/events.ts";
import { type Command, print } from "../command.ts";
import { GoTime } from "../format/go-print.ts";
import { parseTime } from "../format/human.ts";
import { goJson } from "../format/json.ts";
import { unescapeFormat } from "../format/output.ts";
import { CompiledTemplate } from "../format/template.ts";
import { FILTER, formatFlag, hasLabel, parseFilters } from "../select.ts";

/** How often the diary is looked at, in milliseconds. */
const LOOK = 100;

const millis = (event: EngineEvent) => Number(BigInt(event.timeNano) / 1_000_000n);

/** RFC 3339 with nanoseconds. */
function timeOf(event: EngineEvent): string {
  const nanos = (BigInt(event.timeNano) % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  return `${new Date(millis(event)).toISOString().slice(0, 19)}${nanos ? `.${nanos}` : ""}Z`;
}

function line(event: EngineEvent): string {
  const head = `${GoTime.from(timeOf(event))} ${event.type} ${event.status}`;
  if (event.network !== undefined)
    return `${head} ${event.id} (container=${event.id}, name=${event.network})`;
  if (event.type !== "container")
    return `${head} ${event.type === "image" ? `${event.id} ` : ""}${event.name}`;
  const attributes = Object.entries(event.attributes ?? {}).map(([key, value]) => `, ${key}=${value}`);
  return `${head} ${event.id} (image=${event.image ?? ""}, name=${event.name}${attributes.join("")})`;
}

const json = (event: EngineEvent) => ({
  ...(event.id ? { ID: event.id } : {}),
  ...(event.image ? { Image: event.image } : {}),
  Name: event.name,
  ...(event.network === undefined ? {} : { network: event.network }),
  Status: event.status,
  Time: timeOf(event),
  Type: event.type,
  ...(event.exitCode === undefined ? {} : { ContainerExitCode: event.exitCode }),
  Attributes: event.attributes ?? null,
});

function filter(texts: readonly string[]): (event: EngineEvent) => boolean {
  const tests: ((event: EngineEvent) => boolean)[] = [];
  for (const [key, values] of parseFilters(texts)) {
    const names = (event: EngineEvent, type: string) =>
      event.type === type && values.some(value => event.name === value || event.id.startsWith(value));
    if (key === "event") tests.push(event => values.includes(event.status));
    else if (key === "type") tests.push(event => values.includes(event.type));
    else if (key === "container" || key === "volume") tests.push(event => names(event, key));
    else if (key === "image")
      tests.push(event => values.some(value => (event.image ?? event.name).includes(value)));
    else if (key === "label")
      tests.push(event => values.every(value => hasLabel(event.attributes ?? {}, value)));
    else throw new UserError(`${key} is an invalid filter`);
  }
  return event => tests.every(test => test(event));
}

export const events: Command = {
  summary: "Show what happens to containers, images and volumes",
  usage: "[options]",
  flags: [
    FILTER,
    formatFlag(),
    { long: "since", kind: "string", help: "Show events since TIMESTAMP or DURATION ago" },
    { long: "stream", kind: "bool", help: "Stream new events (default true)" },
    { long: "until", kind: "string", help: "Show events until TIMESTAMP or DURATION ago" },
  ],
  outside: true,
  async run(invocation) {
    const { flags } = invocation;
    const at = (name: string) => {
      const text = flags.string(name);
      const time = text === undefined ? undefined : parseTime(text, Date.now());
      if (text !== undefined && time === undefined)
        throw new UserError(`parsing ${name}: ${JSON.stringify(text)} is no time`);
      return time;
    };
    const [since, until] = [at("since"), at("until")];
    const stream = flags.optionalBool("stream") ?? true;
    const wanted = filter(flags.list("filter"));
    const format = flags.string("format");
    const template =
      format === undefined || format === "json"
        ? undefined
        : new CompiledTemplate("events", unescapeFormat(format));
    const show = (event: EngineEvent) => {
      if (format === "json") print(goJson(json(event)));
      else if (template)
        print(
          template.execute({
            ...json(event),
            ID: event.id,
            Image: event.image ?? "",
            ContainerExitCode: event.exitCode ?? 0,
          }),
        );
      else print(line(event));
    };
    const engine = await invocation.engine();
    // Only what is new, unless the past is asked for.
    let seen = since === undefined && stream && until === undefined ? newest(engine.db) : 0;
    for (;;) {
      for (const { seq, event } of eventsAfter(engine.db, seen)) {
        seen = seq;
        const time = millis(event);
        if ((since !== undefined && time < since) || (until !== undefined && time > until)) continue;
        if (wanted(event)) show(event);
      }
      if (!stream || (until !== undefined && Date.now() > until)) return;
      await Bun.sleep(LOOK);
    }
  },
};

function newest(database: Parameters<typeof eventsAfter>[0]): number {
  return (database.query("SELECT coalesce(max(seq), 0) AS seq FROM event").get() as { seq: number }).seq;
}
