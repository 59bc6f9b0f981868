/** What registries have: tags of a repository, and repositories by name. */
import { UserError } from "../base/errors.ts";
import { type Connection, readAll } from "./connection.ts";
import { isObject } from "./parse-config.ts";

const MAX_ANSWER = 16 << 20;
/** More pages than this of one list nobody has. */
const MAX_PAGES = 1000;

/** A repository found by a search. */
export interface Found {
  name: string;
  description: string;
  stars: number;
  official: boolean;
  automated: boolean;
}

/** The tags of the connection's repository, as the registry orders them (OCI distribution-spec v1.1). Throws UserError. */
export async function listTags(connection: Connection): Promise<string[]> {
  const tags: string[] = [];
  for await (const page of pages(connection, "tags/list")) tags.push(...texts(page.tags));
  return tags;
}

/**
 * Repositories whose name has `term` in it: by the search that Docker's index has (`/v1/search`), or, where a registry has
 * none, from its whole catalog. Throws UserError.
 */
export async function searchRepositories(
  connection: Connection,
  term: string,
  limit: number,
): Promise<Found[]> {
  const found = term ? await searchIndex(connection, term, limit) : undefined;
  if (found) return found;
  const names: string[] = [];
  for await (const page of pages(connection, "/v2/_catalog", "registry:catalog:*")) {
    names.push(...texts(page.repositories).filter(name => name.includes(term)));
    if (names.length >= limit) break;
  }
  return names
    .slice(0, limit)
    .map(name => ({ name, description: "", stars: 0, official: false, automated: false }));
}

async function searchIndex(
  connection: Connection,
  term: string,
  limit: number,
): Promise<Found[] | undefined> {
  let answer: Record<string, unknown>;
  try {
    const query = new URLSearchParams({ q: term, n: String(limit) });
    const response = await connection.request(`/v1/search?${query}`);
    answer = await readObject(response);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
  return parseResults(answer).slice(0, limit);
}

/** Docker's answer to a search; entries that are none are passed over. */
export function parseResults(answer: Record<string, unknown>): Found[] {
  const results: unknown[] = Array.isArray(answer.results) ? answer.results : [];
  return results.filter(isObject).flatMap(one => {
    if (typeof one.name !== "string") return [];
    return {
      name: one.name,
      description: typeof one.description === "string" ? one.description : "",
      stars: typeof one.star_count === "number" ? one.star_count : 0,
      official: one.is_official === true,
      automated: one.is_automated === true,
    };
  });
}

/** The pages of a list, each of which names the next (RFC 8288). */
async function* pages(
  connection: Connection,
  first: string,
  scope?: string,
): AsyncGenerator<Record<string, unknown>> {
  let next: string | undefined = first;
  for (let count = 0; next !== undefined && count < MAX_PAGES; count++) {
    const response = await connection.request(next, { scope });
    const link = /^\s*<([^>]+)>\s*;.*\brel="?next\b/.exec(response.headers.get("link") ?? "");
    next = link ? new URL(link[1]!, response.url).href : undefined;
    yield await readObject(response);
  }
}

async function readObject(response: Response): Promise<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(await readAll(response, MAX_ANSWER)));
    if (isObject(parsed)) return parsed;
  } catch (error) {
    if (error instanceof UserError) throw error;
  }
  throw new UserError("the registry's answer is no JSON object");
}

const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter(one => typeof one === "string") : [];
