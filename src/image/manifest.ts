/** Manifests and indexes: OCI image-spec v1.1, and Docker's image manifest version 2 schema 2, which are alike. */
import { oneLine, UserError } from "../base/errors.ts";
import { isObject } from "./parse-config.ts";

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json";

/** What we ask a registry for. */
export const ACCEPT = [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_INDEX].join(", ");

export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: Platform;
  annotations?: Record<string, string>;
}

/** An image's manifest, or an index of several. */
export type Manifest =
  | { kind: "image"; mediaType: string; config: Descriptor; layers: Descriptor[] }
  | { kind: "index"; mediaType: string; manifests: Descriptor[] };

/** Go's names for this machine. */
const ARCHITECTURES: Record<string, string> = { x64: "amd64", arm64: "arm64", ia32: "386", s390x: "s390x" };

/** `linux/arm64/v8`; undefined is this machine. Throws UserError for anything else. */
export function parsePlatform(text?: string): Platform {
  if (text === undefined) return { os: "linux", architecture: ARCHITECTURES[process.arch] ?? process.arch };
  const match = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?$/.exec(text.toLowerCase());
  if (!match)
    throw new UserError(`invalid platform syntax for ${JSON.stringify(text)} (use OS/ARCH[/VARIANT][,...])`);
  return { os: match[1]!, architecture: match[2]!, variant: match[3] };
}

/** Understands a manifest as it came. Throws UserError for what is none, and for the formats of long ago. */
export function parseManifest(data: Uint8Array, contentType: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(data));
  } catch {
    throw new UserError("the manifest is no JSON");
  }
  if (!isObject(parsed)) throw new UserError("the manifest is no object");
  const said = typeof parsed.mediaType === "string" ? parsed.mediaType : contentType.split(";")[0]!.trim();
  if (parsed.schemaVersion === 1)
    throw new UserError("the image has a manifest of schema 1, which is no longer supported");
  if (parsed.schemaVersion !== 2)
    throw new UserError(`the manifest has the unknown schemaVersion ${shown(parsed.schemaVersion)}`);
  if (Array.isArray(parsed.manifests))
    return { kind: "index", mediaType: said || OCI_INDEX, manifests: parsed.manifests.map(descriptor) };
  if (!Array.isArray(parsed.layers) || parsed.config === undefined)
    throw new UserError(`the manifest, of type ${shown(said)}, is neither an image nor an index`);
  const config = descriptor(parsed.config);
  return {
    kind: "image",
    mediaType: said || OCI_MANIFEST,
    config,
    layers: parsed.layers.map(descriptor),
  };
}

function descriptor(value: unknown): Descriptor {
  if (!isObject(value)) throw new UserError("the manifest has a descriptor that is no object");
  const { mediaType = "", digest, size, platform } = value;
  if (typeof digest !== "string" || !/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new UserError(`the manifest has a digest that is not understood: ${shown(digest)}`);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw new UserError(`the manifest has an impossible size of ${digest}`);
  if (typeof mediaType !== "string")
    throw new UserError(`the manifest has an impossible media type of ${digest}`);
  const annotations = texts(value.annotations);
  const found: Descriptor = { mediaType, digest, size, ...(annotations && { annotations }) };
  if (!isObject(platform)) return found;
  const text = (key: string) => (typeof platform[key] === "string" ? (platform[key] as string) : "");
  return {
    ...found,
    platform: { os: text("os"), architecture: text("architecture"), variant: text("variant") || undefined },
  };
}

/** What is text of a table. */
function texts(value: unknown): Record<string, string> | undefined {
  if (!isObject(value)) return undefined;
  return Object.fromEntries(
    Object.entries(value).filter((one): one is [string, string] => typeof one[1] === "string"),
  );
}

const shown = (value: unknown) => oneLine(JSON.stringify(value) ?? "nothing", 100);

/**
 * The image of an index for a platform: the variant that was asked for, else one without a variant, else the first.
 * Throws UserError when there is none.
 */
export function choose(manifests: readonly Descriptor[], wanted: Platform): Descriptor {
  const fitting = manifests.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  // arm64 has one variant only, and is written with it and without.
  const variant = (one: Platform | undefined) =>
    one?.architecture === "arm64" && one.variant === "v8" ? undefined : one?.variant;
  const exact = fitting.find(({ platform }) => variant(platform) === variant(wanted));
  const found = exact ?? (wanted.variant === undefined ? fitting[0] : undefined);
  if (found) return found;
  throw new UserError(
    `no image found in manifest list for architecture ${wanted.architecture}, variant ${JSON.stringify(wanted.variant ?? "")}, OS ${wanted.os}`,
  );
}
