import { errorText, UserError } from "../../base/errors.ts";
import { type Credentials, findCredentials } from "../../image/auth.ts";
import { Connection } from "../../image/connection.ts";
import { splitReference } from "../../image/reference.ts";
import { Registries } from "../../image/registries.ts";
import { type Found, listTags, searchRepositories } from "../../image/search.ts";
import { type Command, type Invocation, requireArgs } from "../command.ts";
import { printListing } from "../format/output.ts";
import { AUTHFILE, CERT_DIR, CREDS, readCredentials, TLS_VERIFY } from "../registry-flags.ts";
import { FILTER, formatFlag } from "../select.ts";

const LIMIT = 25;
const LONGEST = 44;

interface Row {
  Index: string;
  Name: string;
  Description: string;
  Stars: number;
  Official: string;
  Automated: string;
  Tag: string;
}

export const search: Command = {
  summary: "Search registry for image",
  usage: "[options] TERM",
  flags: [
    AUTHFILE,
    CERT_DIR,
    { long: "compatible", kind: "bool", help: "List stars, official and automated columns" },
    CREDS,
    FILTER,
    formatFlag(),
    { long: "limit", kind: "int", help: `Limit the number of results (default ${LIMIT})` },
    { long: "list-tags", kind: "bool", help: "List the tags of the repository" },
    { long: "no-trunc", kind: "bool", help: "Do not truncate the output" },
    TLS_VERIFY,
  ],
  async run(invocation) {
    const { flags } = invocation;
    requireArgs(invocation, 1, 1);
    const fits = filterFound(flags.list("filter"));
    const term = invocation.args[0]!.replace(/^docker:\/\//, "");
    const credentials = readCredentials(flags.string("creds"));
    if (flags.bool("list-tags")) {
      await printTags(invocation, term, credentials);
      return;
    }
    const slash = term.indexOf("/");
    const first = slash < 0 ? "" : term.slice(0, slash);
    const isNamed = /[.:]/.test(first) || first === "localhost";
    const registries = isNamed ? [first] : Registries.load().searched();
    const wanted = isNamed ? term.slice(slash + 1) : term;
    const limit = flags.number("limit") || LIMIT;
    const rows: Row[] = [];
    const failures: string[] = [];
    for (const registry of registries) {
      try {
        const connection = await open(invocation, registry, "", credentials);
        const found = await searchRepositories(connection, wanted, limit);
        rows.push(...found.filter(fits).map(one => rowOf(one, registry, flags.bool("no-trunc"))));
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        failures.push(`couldn't search registry ${JSON.stringify(registry)}: ${error.message}`);
      }
    }
    if (failures.length > 0 && failures.length === registries.length)
      throw new UserError(failures.join("; "));
    if (rows.length === 0 && flags.string("format") !== "json") return;
    printListing<Row>({
      name: "list",
      rows,
      headings: {},
      columns: [
        ...["Name", "Description"],
        ...(flags.bool("compatible") ? ["Stars", "Official", "Automated"] : []),
      ],
      format: flags.string("format"),
      json: () => rows,
    });
    return;
  },
};

function rowOf(
  { name, description, stars, official, automated }: Found,
  registry: string,
  full: boolean,
): Row {
  const text = description.replace(/\s*\n\s*/g, " ");
  return {
    Index: registry,
    Name: `${registry}/${registry === "docker.io" && !name.includes("/") ? `library/${name}` : name}`,
    Description: full || text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}...`,
    Stars: stars,
    Official: official ? "[OK]" : "",
    Automated: automated ? "[OK]" : "",
    Tag: "",
  };
}

function filterFound(texts: readonly string[]): (found: Found) => boolean {
  const tests = texts.map(text => {
    const [, key, value = ""] = /^([^=]+)(?:=(.*))?$/s.exec(text) ?? [];
    if (key === "stars") {
      if (!/^\d+$/.test(value))
        throw new UserError(
          `incorrect value type for stars filter: strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`,
        );
      return (one: Found) => one.stars >= Number(value);
    }
    if (key === "is-official" || key === "is-automated") {
      const of = (one: Found) => (key === "is-official" ? one.official : one.automated);
      return (one: Found) => of(one) === (value !== "false");
    }
    throw new UserError(`invalid filter type ${JSON.stringify(text)}`);
  });
  return found => tests.every(test => test(found));
}

async function printTags(
  invocation: Invocation,
  term: string,
  credentials: Credentials | undefined,
): Promise<void> {
  const { flags } = invocation;
  if (flags.list("filter").length > 0) throw new UserError("filters are not applicable to list tags result");
  const { references } = Registries.load().resolve(term);
  const { registry, repository } = references[0]!;
  if (splitReference(term).tag || splitReference(term).digest)
    throw new UserError(`${term}: --list-tags wants a repository without a tag`);
  let tags: string[];
  try {
    tags = await listTags(await open(invocation, registry, repository, credentials));
  } catch (error) {
    throw new UserError(`getting repository tags: fetching tags list: ${errorText(error)}`, { cause: error });
  }
  const name = `${registry}/${repository}`;
  const shown = tags.slice(0, flags.number("limit") || LIMIT);
  printListing({
    name: "list",
    rows: shown.map(tag => ({ ...rowOf(NOTHING, registry, true), Name: name, Tag: tag })),
    headings: {},
    columns: ["Name", "Tag"],
    format: flags.string("format"),
    json: () => [{ Name: name, Tags: shown }],
  });
}

const NOTHING: Found = { name: "", description: "", stars: 0, official: false, automated: false };

async function open(
  { flags }: Invocation,
  registry: string,
  repository: string,
  credentials: Credentials | undefined,
): Promise<Connection> {
  const [place] = Registries.load()
    .endpoints({ registry, repository: repository || "any" })
    .slice(-1);
  const tlsVerify = flags.optionalBool("tls-verify");
  const endpoint = {
    host: place!.host,
    repository: repository && place!.repository,
    insecure: tlsVerify === undefined ? place!.insecure : !tlsVerify,
  };
  const known = credentials ?? findCredentials({ registry, repository }, flags.string("authfile"));
  return await Connection.open(endpoint, known, { certDir: flags.string("cert-dir") });
}
