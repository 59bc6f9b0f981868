/** Image references: `[registry/]repository[:tag][@digest]` (distribution's grammar), and short names made full. */
import { UserError } from "../base/errors.ts";

export interface Reference {
  /** `docker.io`, `localhost:5000`. */
  registry: string;
  /** `library/nginx`. */
  repository: string;
  tag?: string;
  /** `sha256:…`. */
  digest?: string;
}

const DOMAIN =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$/;
const DIGEST = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,}$/;

const invalid = (text: string) =>
  new UserError(`parsing reference ${JSON.stringify(text)}: invalid reference format`, { status: 400 });

/** The parts of a reference as it was typed; `registry` is "" where none was named. Throws UserError. */
export function splitReference(text: string): Reference {
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const rest = at < 0 ? text : text.slice(0, at);
  if (digest !== undefined && !DIGEST.test(digest)) throw invalid(text);
  const slash = rest.lastIndexOf("/");
  const colon = rest.indexOf(":", slash + 1);
  const tag = colon < 0 ? undefined : rest.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text);
  const parts = (colon < 0 ? rest : rest.slice(0, colon)).split("/");
  const named =
    parts.length > 1 && (parts[0]!.includes(".") || parts[0]!.includes(":") || parts[0] === "localhost");
  const registry = named ? parts.shift()! : "";
  if ((named && !DOMAIN.test(registry)) || parts.length === 0 || !parts.every(part => COMPONENT.test(part)))
    throw invalid(text);
  return { registry, repository: parts.join("/"), tag, digest };
}

/** A full reference; `nginx` without a registry belongs to `defaultRegistry`. The tag is `latest` where nothing is said. */
export function parseReference(text: string, defaultRegistry = "docker.io"): Reference {
  const { registry: named, repository, tag, digest } = splitReference(text);
  const registry = named || defaultRegistry;
  const isHub = registry === "docker.io" || registry === "index.docker.io";
  return {
    registry: isHub ? "docker.io" : registry,
    repository: isHub && !repository.includes("/") ? `library/${repository}` : repository,
    tag: tag ?? (digest ? undefined : "latest"),
    digest,
  };
}

/** `docker.io/library/nginx`. */
export function repositoryName(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

/** `docker.io/library/nginx:latest`, or with the digest. */
export function formatReference(reference: Reference): string {
  return `${repositoryName(reference)}${reference.tag ? `:${reference.tag}` : ""}${reference.digest ? `@${reference.digest}` : ""}`;
}

/**
 * The one of an image's names that `text` means, `localhost`'s before Docker Hub's, as it was found by it; undefined when
 * it means the image itself, by id. Throws UserError for what is neither.
 */
export function nameMeant(
  image: { readonly id: string; readonly names: readonly string[] },
  text: string,
): string | undefined {
  const { names } = image;
  const short = text.replace(/^sha256:/, "");
  const isId = /^[0-9a-f]{3,64}$/.test(short) && image.id.startsWith(short);
  if (isId && !names.some(one => one.includes(`/${text}:`))) return undefined;
  const full = ["localhost", "docker.io"].map(registry => formatReference(parseReference(text, registry)));
  const tail = `/${text.includes(":", text.lastIndexOf("/") + 1) ? text : `${text}:latest`}`;
  return full.find(one => names.includes(one)) ?? names.find(one => one.endsWith(tail));
}
