/** Pulling: from a registry, or an archive, into the store. What fails leaves nothing. */
import { errorText, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { type Credentials, findCredentials } from "./auth.ts";
import { Connection } from "./connection.ts";
import { type Descriptor, type Platform, parsePlatform } from "./manifest.ts";
import { parseConfig } from "./parse-config.ts";
import { checkPolicy } from "./policy.ts";
import { type PullProgress, pullProgress } from "./progress.ts";
import { formatReference, type Reference, repositoryName, splitReference } from "./reference.ts";
import { type Endpoint, Registries } from "./registries.ts";
import { type FetchedManifest, Repository } from "./registry.ts";
import type { ImageStore } from "./store.ts";
import { type Place, parsePlace } from "./transports.ts";
import type { ImageConfig, ImageRecord } from "./types.ts";

/** Layers that come at the same time. */
const PARALLEL = 4;
/** Another command may remove an image, and layers of it that we counted on: then those are fetched after all. */
const ROUNDS = 3;

export interface PullOptions {
  /** `always` where nothing is said. */
  policy?: "always" | "missing" | "newer" | "never" | string;
  /** `os/arch[/variant]`; this machine's where nothing is said. */
  platform?: string;
  authFile?: string;
  /** Speak over the files'. */
  credentials?: Credentials;
  certDir?: string;
  /** Undefined: as registries.conf has it. */
  tlsVerify?: boolean;
  quiet?: boolean;
  /** Standard error where nothing is said. */
  progress?: PullProgress;
}

/**
 * Brings an image into the store, as far as the policy asks for it. `name` is a reference, short or full, or
 * `docker://REFERENCE`, or an archive or a directory (transports.ts). Throws UserError, one line for all that was tried.
 */
export async function pullImage(
  store: ImageStore,
  name: string,
  options: PullOptions = {},
): Promise<ImageRecord> {
  const place = /^(?:(?:docker|oci)-archive|oci|dir):/.test(name) ? parsePlace(name) : undefined;
  if (place && place.transport !== "docker") return await fromPlace(store, place);
  const text = name.replace(/^docker:\/\//, "");
  const { policy = "always" } = options;
  if (!["always", "missing", "newer", "never"].includes(policy))
    throw new UserError(`unsupported pull policy ${JSON.stringify(policy)}`);
  const platform = parsePlatform(options.platform);
  const local = store.find(text);
  if (policy === "never") return local ?? store.get(text);
  if (policy === "missing" && local && (!options.platform || isFor(local.config, platform))) return local;
  const progress = options.progress ?? (await pullProgress(options.quiet));
  const registries = Registries.load();
  const { references, explanation } = registries.resolve(text);
  if (explanation) progress.say(explanation);
  const failures: UserError[] = [];
  for (const reference of references) {
    const full = formatReference(reference);
    progress.say(`Trying to pull ${full}...`);
    try {
      return await new Pull(store, reference, platform, options, progress).run(registries);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failures.push(error);
    } finally {
      progress.end();
    }
  }
  const said = failures.map(({ message }) => message);
  if (policy === "newer" && local) {
    log.debug(`no newer ${text}: ${said.join("; ")}`);
    return local;
  }
  if (failures.length === 1) throw failures[0];
  throw new UserError(
    `${said.length} errors occurred while pulling: ${said.map(one => `* ${one}`).join(" ")}`,
  );
}

const isFor = (config: ImageConfig, platform: Platform) =>
  config.os === platform.os &&
  config.architecture === platform.architecture &&
  (platform.variant ?? config.variant) === config.variant;

async function fromPlace(
  store: ImageStore,
  place: Exclude<Place, { transport: "docker" }>,
): Promise<ImageRecord> {
  checkPolicy(place);
  const { transport, path } = place;
  const { loadArchive, loadDirectory } = await import("./load.ts");
  const isDirectory = transport === "oci" || transport === "dir";
  const [name] = isDirectory ? await loadDirectory(store, path, transport) : await loadArchive(store, path);
  if (name === undefined) throw new UserError(`${path} has no image`);
  return store.get(name);
}

/** Pulls every tag of a repository; gives the images by tag. Throws UserError. */
export async function pullAllTags(
  store: ImageStore,
  name: string,
  options: PullOptions = {},
): Promise<ImageRecord[]> {
  const text = name.replace(/^docker:\/\//, "");
  const { tag, digest } = splitReference(text);
  if (tag || digest) throw new UserError(`${name}: --all-tags wants a repository without a tag`);
  const registries = Registries.load();
  const reference = registries.resolve(text).references[0]!;
  const endpoint = insist(registries.endpoints(reference).at(-1)!, options.tlsVerify);
  const credentials = options.credentials ?? findCredentials(reference, options.authFile);
  const connection = await Connection.open(endpoint, credentials, { certDir: options.certDir });
  const { listTags } = await import("./search.ts");
  const images: ImageRecord[] = [];
  for (const one of await listTags(connection))
    images.push(await pullImage(store, `${repositoryName(reference)}:${one}`, options));
  return images;
}

interface Source {
  repository: Repository;
  fetched: FetchedManifest;
}

/** One full reference on its way into the store. */
class Pull {
  readonly #full: string;
  /** Set when one layer has failed: the others need not go on. */
  #failure: unknown;

  constructor(
    private readonly store: ImageStore,
    private readonly reference: Reference,
    private readonly platform: Platform,
    private readonly options: PullOptions,
    private readonly progress: PullProgress,
  ) {
    this.#full = formatReference(reference);
  }

  async run(registries: Registries): Promise<ImageRecord> {
    checkPolicy({ transport: "docker", reference: this.reference });
    const { repository, fetched } = await this.#source(registries);
    const { manifest, data, digests } = fetched;
    this.progress.say("Getting image source signatures");
    const config = await repository.config(manifest.config);
    const { diffIds, parsed } = readConfig(config, manifest.layers);
    if (!isFor(parsed, this.platform))
      log.warn(
        `image platform (${[parsed.os, parsed.architecture, parsed.variant].filter(Boolean).join("/")}) does not match the expected platform (${this.platform.os}/${this.platform.architecture})`,
      );
    using _session = this.store.beginImport();
    try {
      for (let round = 1; ; round++) {
        await this.#layers(repository, manifest.layers, diffIds);
        this.progress.end();
        if (round === 1) {
          this.progress.say(`Copying config ${manifest.config.digest}`);
          this.progress.say("Writing manifest to image destination");
        }
        try {
          return this.#add(config, data, manifest.mediaType, digests);
        } catch (error) {
          if (round === ROUNDS || diffIds.every(diffId => this.store.layers.find(diffId))) throw error;
        }
      }
    } finally {
      this.store.dropUnused(diffIds);
    }
  }

  #add(config: Uint8Array, manifest: Uint8Array, manifestType: string, digests: string[]): ImageRecord {
    const repository = repositoryName(this.reference);
    const { tag, digest } = this.reference;
    const image = this.store.add({
      config,
      manifest,
      manifestType,
      // What is pulled by its digest gets no tag, whatever tag was written beside it.
      names: tag && !digest ? [this.#full] : [],
      repoDigests: digests.map(one => `${repository}@${one}`),
      digest: digests[0],
    });
    this.store.recordEvent("pull", image.id, this.#full);
    return image;
  }

  /** The first endpoint that has the manifest. Throws UserError, in Podman's words, when none has. */
  async #source(registries: Registries): Promise<Source> {
    const { authFile, certDir } = this.options;
    const credentials = this.options.credentials ?? findCredentials(this.reference, authFile);
    const failures: string[] = [];
    const subject = `initializing source docker://${this.#full}`;
    let endpoints: Endpoint[];
    try {
      endpoints = registries.endpoints(this.reference);
    } catch (error) {
      throw new UserError(`${subject}: ${errorText(error)}`, { cause: error });
    }
    for (const [index, endpoint] of endpoints.entries()) {
      const isMirror = index < endpoints.length - 1;
      const at = isMirror ? { registry: endpoint.host, repository: endpoint.repository } : this.reference;
      try {
        const known = isMirror ? findCredentials(at, authFile) : credentials;
        const place = insist(endpoint, this.options.tlsVerify);
        const connection = await Connection.open(place, known, { certDir });
        const repository = new Repository(connection, { ...this.reference, ...at });
        return { repository, fetched: await repository.manifest(this.platform) };
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        failures.push(isMirror ? `${endpoint.host}/${endpoint.repository}: ${error.message}` : error.message);
      }
    }
    const last = failures.pop()!;
    if (failures.length === 0) throw new UserError(`${subject}: ${last}`);
    throw new UserError(
      `${subject}: (Mirrors also failed: [${failures.join("] [")}]): ${this.#full}: ${last}`,
    );
  }

  /** Brings the layers that the store has not, several at a time. */
  async #layers(repository: Repository, layers: readonly Descriptor[], diffIds: readonly string[]) {
    const wanted = new Map(diffIds.map((diffId, index) => [diffId, layers[index]!]));
    const queue: [string, Descriptor][] = [];
    for (const [diffId, layer] of wanted)
      if (!this.store.layers.find(diffId)) queue.push([diffId, layer]);
      else this.progress.say(`Copying blob ${layer.digest} skipped: already exists`);
    const bars = new Map(
      queue.map(([diffId, { digest, size }]) => [diffId, this.progress.blob(digest, size)]),
    );
    const worker = async () => {
      for (let next = queue.shift(); next && this.#failure === undefined; next = queue.shift()) {
        const [diffId, layer] = next;
        const bar = bars.get(diffId)!;
        try {
          await this.store.layers.ingest(this.#whileAllIsWell(repository.blob(layer)), {
            blobDigest: layer.digest,
            diffId,
            onProgress: bytes => bar.update(bytes),
          });
          bar.done();
        } catch (error) {
          this.#failure ??= error;
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
    if (this.#failure instanceof UserError)
      throw new UserError(`copying ${this.#full}: ${this.#failure.message}`, {
        cause: this.#failure,
        hint: this.#failure.hint,
      });
    if (this.#failure !== undefined) throw this.#failure;
  }

  async *#whileAllIsWell(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      if (this.#failure !== undefined) throw this.#failure;
      yield chunk;
    }
  }
}

/** `--tls-verify` speaks over registries.conf. */
const insist = (endpoint: Endpoint, tlsVerify: boolean | undefined): Endpoint =>
  tlsVerify === undefined ? endpoint : { ...endpoint, insecure: !tlsVerify };

/** The configuration, with one layer for each of the manifest's. */
function readConfig(data: Uint8Array, layers: readonly Descriptor[]) {
  const parsed = parseConfig(data);
  const diffIds = parsed.rootfs.diff_ids;
  if (diffIds.length !== layers.length)
    throw new UserError(
      `the image's configuration names ${diffIds.length} layers, its manifest ${layers.length}`,
    );
  return { parsed, diffIds };
}
