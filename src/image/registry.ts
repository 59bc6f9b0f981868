/**
 * A repository in a registry, as a source of an image: manifests, configurations, layers (OCI distribution-spec v1.1).
 * All that has a digest is checked against it, here or, for layers, where they are unpacked.
 */
import { errorText, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { type Connection, isPassing, readAll, reason, STALL_SECONDS } from "./connection.ts";
import { ACCEPT, choose, type Descriptor, type Manifest, type Platform, parseManifest } from "./manifest.ts";
import { type Reference, repositoryName } from "./reference.ts";
import { sha256 } from "./store.ts";

const MAX_MANIFEST = 4 << 20;
const MAX_CONFIG = 16 << 20;
/** How often one layer's download is taken up again without having come far since. */
const RETRIES = 5;
const FAR = 1 << 20;
const FIRST_PAUSE_MS = 100;

export interface FetchedManifest {
  manifest: Extract<Manifest, { kind: "image" }>;
  data: Uint8Array;
  /** Of the manifest, and before it of the index that led to it. */
  digests: string[];
}

export class Repository {
  constructor(
    private readonly connection: Connection,
    /** The registry here is the place that is asked, as people know it. */
    private readonly reference: Reference,
  ) {}

  /** The manifest of the image for a platform. Throws UserError, in Podman's words. */
  async manifest(platform: Platform): Promise<FetchedManifest> {
    const { tag, digest } = this.reference;
    const first = await this.#manifest(digest ?? tag!, digest);
    if (first.manifest.kind === "image")
      return { ...first, manifest: first.manifest, digests: [first.digest] };
    const chosen = choose(first.manifest.manifests, platform);
    const second = await this.#manifest(chosen.digest, chosen.digest);
    if (second.manifest.kind !== "image")
      throw new UserError(`the index leads to ${chosen.digest}, which is an index too`);
    return { ...second, manifest: second.manifest, digests: [first.digest, second.digest] };
  }

  async #manifest(name: string, expected: string | undefined) {
    const subject = `reading manifest ${name} in ${repositoryName(this.reference)}`;
    try {
      const response = await this.connection.get(`manifests/${name}`, { headers: { Accept: ACCEPT } });
      const data = await readAll(response, MAX_MANIFEST);
      const digest = `sha256:${sha256(data)}`;
      if (expected && digest !== expected)
        throw new UserError(`manifest does not match its digest ${expected}: ${digest} came`);
      return { data, digest, manifest: parseManifest(data, response.headers.get("content-type") ?? "") };
    } catch (error) {
      throw new UserError(`${subject}: ${error instanceof UserError ? error.message : reason(error)}`, {
        cause: error,
      });
    }
  }

  /** A small blob, checked. */
  async config(descriptor: Descriptor): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    if (descriptor.size > MAX_CONFIG)
      throw new UserError(
        `the image's configuration has ${descriptor.size} bytes, at most ${MAX_CONFIG} are taken`,
      );
    for await (const chunk of this.blob(descriptor)) parts.push(chunk);
    const data = Buffer.concat(parts);
    if (`sha256:${sha256(data)}` !== descriptor.digest)
      throw new UserError(`the image's configuration does not match its digest ${descriptor.digest}`);
    return data;
  }

  /** A blob as it comes. A download that breaks off is taken up where it stopped. */
  async *blob({ digest, size }: Descriptor): AsyncGenerator<Uint8Array> {
    let at = 0;
    for (let failures = 0; at < size; ) {
      const start = at;
      try {
        for await (const chunk of this.#part(digest, start)) {
          at += chunk.length;
          if (at > size)
            throw new UserError(`the registry sends more than the ${size} bytes of blob ${digest}`);
          yield chunk;
        }
        if (at === size) return;
        throw new Error(`it ended after ${at} of ${size} bytes`);
      } catch (error) {
        const isFinal = error instanceof UserError && !isPassing(error);
        if (at - start >= FAR) failures = 0;
        if (isFinal || ++failures > RETRIES)
          throw new UserError(`reading blob ${digest}: ${isFinal ? error.message : reason(error)}`, {
            cause: error,
          });
        log.info(`blob ${digest} broke off at ${at} of ${size} bytes, going on: ${errorText(error)}`);
        if (at === start) await Bun.sleep(FIRST_PAUSE_MS * 2 ** failures);
      }
    }
  }

  /** What one connection gives of a blob, from the byte `start` on. */
  async *#part(digest: string, start: number): AsyncGenerator<Uint8Array> {
    const abort = new AbortController();
    const within = async <T>(work: Promise<T>): Promise<T> => {
      const timer = setTimeout(
        () => abort.abort(new DOMException("stalled", "TimeoutError")),
        STALL_SECONDS * 1000,
      );
      try {
        return await work;
      } finally {
        clearTimeout(timer);
      }
    };
    try {
      const headers = start > 0 ? { Range: `bytes=${start}-` } : undefined;
      const response = await within(
        this.connection.get(`blobs/${digest}`, { headers, signal: abort.signal }),
      );
      const from = response.status === 206 ? rangeStart(response) : 0;
      if (from > start)
        throw new UserError(`the registry answers with bytes from ${from} on, not from ${start}`);
      // A server that knows no ranges begins again; what we have is passed over.
      let skip = start - from;
      const reader = response.body!.getReader();
      for (;;) {
        const { value, done } = await within(reader.read());
        if (done) return;
        if (skip >= value.length) skip -= value.length;
        else {
          yield skip > 0 ? value.subarray(skip) : value;
          skip = 0;
        }
      }
    } finally {
      abort.abort();
    }
  }
}

function rangeStart(response: Response): number {
  const match = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
  return match ? Number(match[1]) : 0;
}
