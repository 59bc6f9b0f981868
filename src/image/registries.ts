/**
 * Which registry is meant, and where it is reached: registries.conf(5), version 2.
 *
 * The file is `$CONTAINERS_REGISTRIES_CONF`, else `~/.config/containers/registries.conf`, else
 * `/etc/containers/registries.conf`; then come the `*.conf` of `/etc/containers/registries.conf.d` and of
 * `~/.config/containers/registries.conf.d` in order of name, each speaking over what was said before it. Where there is no
 * such file at all, a short name belongs to docker.io.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errorText, hasCode, UserError } from "../base/errors.ts";
import {
  formatReference,
  parseReference,
  type Reference,
  repositoryName,
  splitReference,
} from "./reference.ts";

const SYSTEM_FILE = "/etc/containers/registries.conf";

/** A place that answers for a repository. */
export interface Endpoint {
  /** `registry.example.com:5000`. */
  host: string;
  repository: string;
  /** Its certificate need not be good, and plain HTTP will do. */
  insecure: boolean;
}

interface Mirror {
  location: string;
  insecure: boolean;
  use: "all" | "digest-only" | "tag-only";
}

interface Registry {
  /** What a full name begins with: a host, `*.` and a domain, or a host and a path. */
  prefix: string;
  /** What stands in its place; "" leaves the name as it is. */
  location: string;
  insecure: boolean;
  blocked: boolean;
  mirrors: Mirror[];
}

/** What a short name may mean, and how that was found out (for people; undefined where nothing was to find out). */
export interface Resolution {
  references: Reference[];
  explanation?: string;
}

export class Registries {
  /** Undefined until a file says something about it, even that there are none. */
  #search: string[] | undefined;
  #searchFile = SYSTEM_FILE;
  #mode = "permissive";
  readonly #registries = new Map<string, Registry>();
  readonly #aliases = new Map<string, { name: string; file: string }>();

  /** Reads the configuration of this machine. Throws UserError for a file that can't be understood. */
  static load(env: Record<string, string | undefined> = process.env): Registries {
    const registries = new Registries();
    const own = env.HOME ? join(env.HOME, ".config/containers/registries.conf") : undefined;
    const named = env.CONTAINERS_REGISTRIES_CONF;
    const main = [named, named ? undefined : own, named ? undefined : SYSTEM_FILE].find(
      path => path && registries.#read(path),
    );
    if (named && !main) throw new UserError(`loading registries configuration: ${named}: no such file`);
    // A file that names no registry to search means that there is none.
    if (main && !registries.#search) [registries.#search, registries.#searchFile] = [[], main];
    for (const directory of [`${SYSTEM_FILE}.d`, own && `${own}.d`])
      for (const name of directory ? names(directory) : []) registries.#read(join(directory!, name));
    return registries;
  }

  /** Adds what a text in registries.conf's form says; `file` is its name for messages. */
  add(text: string, file: string): void {
    const wrong = (what: string) =>
      new UserError(`loading registries configuration ${JSON.stringify(file)}: ${what}`);
    let conf: Record<string, unknown>;
    try {
      conf = Bun.TOML.parse(text) as Record<string, unknown>;
    } catch (error) {
      throw wrong(errorText(error).replace(/\s+/g, " "));
    }
    if (conf.registries !== undefined)
      throw wrong("it has version 1 of the format; write [[registry]] tables instead of [registries.…]");
    const read = new Fields(conf, wrong);
    const search = read.texts("unqualified-search-registries");
    if (search) [this.#search, this.#searchFile] = [search.map(bare), file];
    const mode = read.text("short-name-mode");
    if (mode && !["enforcing", "permissive", "disabled"].includes(mode))
      throw wrong(`invalid short-name mode ${JSON.stringify(mode)}`);
    if (mode) this.#mode = mode;
    for (const [alias, value] of Object.entries(read.table("aliases"))) {
      if (typeof value !== "string") throw wrong(`the alias ${alias} is no text`);
      // An empty value takes an alias of an earlier file away.
      if (value === "") this.#aliases.delete(alias);
      else this.#aliases.set(alias, { name: value, file });
    }
    for (const table of read.tables("registry")) {
      const registry = readRegistry(table, wrong);
      this.#registries.set(registry.prefix, registry);
    }
  }

  #read(file: string): boolean {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      if (hasCode(error, "ENOENT", "ENOTDIR")) return false;
      throw new UserError(`loading registries configuration ${JSON.stringify(file)}: ${errorText(error)}`);
    }
    this.add(text, file);
    return true;
  }

  /** The full references to try for a name as it was typed, in order. Throws UserError when there are none. */
  resolve(text: string): Resolution {
    const parts = splitReference(text);
    if (parts.registry) return { references: [parseReference(text)] };
    const rest = { tag: parts.tag ?? (parts.digest ? undefined : "latest"), digest: parts.digest };
    const alias = this.#mode === "disabled" ? undefined : this.#aliases.get(parts.repository);
    if (alias) {
      const target = splitReference(alias.name);
      if (!target.registry || target.tag || target.digest)
        throw new UserError(
          `the alias ${JSON.stringify(parts.repository)} in ${JSON.stringify(alias.file)} must name a repository of a registry, not ${JSON.stringify(alias.name)}`,
        );
      return {
        references: [{ ...parseReference(alias.name), ...rest }],
        explanation: `Resolved "${parts.repository}" as an alias (${alias.file})`,
      };
    }
    const search = this.#search ?? ["docker.io"];
    if (search.length === 0)
      throw new UserError(
        `short-name ${JSON.stringify(text)} did not resolve to an alias and no unqualified-search registries are defined in ${JSON.stringify(this.#searchFile)}`,
        {
          hint: `give the full name, as docker.io's ${formatReference({ ...parseReference(text), tag: parts.tag })}, or write unqualified-search-registries = ["docker.io"] into that file`,
        },
      );
    if (this.#mode === "enforcing" && search.length > 1)
      throw new UserError(
        `short-name resolution enforced but ${JSON.stringify(text)} may come from any of ${search.join(", ")}`,
        { hint: "name the registry too" },
      );
    return {
      references: search.map(registry => parseReference(`${registry}/${text}`)),
      explanation: this.#search
        ? `Resolving "${parts.repository}" using unqualified-search registries (${this.#searchFile})`
        : undefined,
    };
  }

  /** The registries that short names are searched in. */
  searched(): readonly string[] {
    return this.#search ?? ["docker.io"];
  }

  /** Where to ask for a full reference, mirrors first. Throws UserError for a blocked registry. */
  endpoints(reference: Reference): Endpoint[] {
    const name = repositoryName(reference);
    const registry = this.#registryOf(name, reference);
    if (!registry) return [endpoint(name, false)];
    if (registry.blocked)
      throw new UserError(`registry ${registry.prefix} is blocked in ${SYSTEM_FILE} or ${SYSTEM_FILE}.d`);
    const unwanted = reference.digest ? "tag-only" : "digest-only";
    const mirrors = registry.mirrors.filter(mirror => mirror.use !== unwanted);
    return [...mirrors, registry].map(({ location, insecure }) =>
      endpoint(location ? location + name.slice(matched(registry.prefix, name)) : name, insecure),
    );
  }

  /** The registry whose prefix fits best; a prefix may end in a tag or a digest too. */
  #registryOf(name: string, reference: Reference): Registry | undefined {
    let best: Registry | undefined;
    for (const registry of this.#registries.values()) {
      const fits = matched(registry.prefix, name) > 0 || registry.prefix === formatReference(reference);
      if (fits && registry.prefix.length > (best?.prefix.length ?? 0)) best = registry;
    }
    return best;
  }
}

/** How many characters of `name` a prefix stands for; 0 where it does not fit. */
function matched(prefix: string, name: string): number {
  if (prefix.startsWith("*.")) {
    const slash = name.indexOf("/");
    return name.slice(0, slash).replace(/:\d+$/, "").endsWith(prefix.slice(1)) ? slash : 0;
  }
  if (!name.startsWith(prefix)) return 0;
  return name.length === prefix.length || name[prefix.length] === "/" ? prefix.length : 0;
}

function endpoint(location: string, insecure: boolean): Endpoint {
  const slash = location.indexOf("/");
  const host = location.slice(0, slash);
  // Docker Hub answers to another name than its own.
  return {
    host: host === "docker.io" ? "registry-1.docker.io" : host,
    repository: location.slice(slash + 1),
    insecure,
  };
}

const bare = (location: string) => location.replace(/\/+$/, "");

function readRegistry(table: Fields, wrong: (what: string) => Error): Registry {
  const location = bare(table.text("location") ?? "");
  const prefix = bare(table.text("prefix") ?? location);
  if (!prefix) throw wrong("a [[registry]] has neither prefix nor location");
  if (/^[a-z]+:\/\//.test(location))
    throw wrong(`invalid location ${JSON.stringify(location)}: it has a scheme`);
  if (prefix.includes("*") && !/^\*\.[^*/]+$/.test(prefix))
    throw wrong(`invalid prefix ${JSON.stringify(prefix)}: only *.DOMAIN may have a wildcard`);
  if (!location && !prefix.startsWith("*."))
    throw wrong("location is unset and prefix is not in the format: *.example.com");
  const digestOnly = table.truth("mirror-by-digest-only");
  const mirrors = table.tables("mirror").map(mirror => {
    const where = bare(mirror.text("location") ?? "");
    if (!where) throw wrong(`a mirror of ${prefix} has no location`);
    const use = mirror.text("pull-from-mirror") ?? (digestOnly ? "digest-only" : "all");
    if (use !== "all" && use !== "digest-only" && use !== "tag-only")
      throw wrong(`unsupported pull-from-mirror value ${JSON.stringify(use)} of a mirror of ${prefix}`);
    return { location: where, insecure: mirror.truth("insecure"), use } satisfies Mirror;
  });
  return { prefix, location, insecure: table.truth("insecure"), blocked: table.truth("blocked"), mirrors };
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter(name => name.endsWith(".conf"))
      .sort();
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}

/** A TOML table whose fields must have the form that is asked of them. */
class Fields {
  constructor(
    private readonly table_: Record<string, unknown>,
    private readonly wrong: (what: string) => Error,
  ) {}

  #get<T>(key: string, what: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.table_[key];
    if (value === undefined || is(value)) return value;
    throw this.wrong(`${key} must be ${what}`);
  }
  text(key: string): string | undefined {
    return this.#get(key, "a text", value => typeof value === "string");
  }
  truth(key: string): boolean {
    return this.#get(key, "true or false", value => typeof value === "boolean") ?? false;
  }
  texts(key: string): string[] | undefined {
    return this.#get(
      key,
      "a list of texts",
      (value): value is string[] => Array.isArray(value) && value.every(one => typeof one === "string"),
    );
  }
  table(key: string): Record<string, unknown> {
    return this.#get(key, "a table", isTable) ?? {};
  }
  tables(key: string): Fields[] {
    const list = this.#get(
      key,
      "a list of tables",
      (value): value is Record<string, unknown>[] => Array.isArray(value) && value.every(isTable),
    );
    return (list ?? []).map(one => new Fields(one, this.wrong));
  }
}

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
