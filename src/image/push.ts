/** Pushing: from the store to a registry. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../base/errors.ts";
import { type Credentials, findCredentials } from "./auth.ts";
import { Connection } from "./connection.ts";
import { type OutgoingOptions, outgoing } from "./outgoing.ts";
import { type PullProgress, pullProgress } from "./progress.ts";
import { formatReference, type Reference } from "./reference.ts";
import { Registries } from "./registries.ts";
import type { ImageStore } from "./store.ts";
import type { ImageRecord } from "./types.ts";
import { type UploadSource, uploadBlob, uploadManifest } from "./upload.ts";

/** Layers that go at the same time. */
const PARALLEL = 4;

export interface PushOptions extends OutgoingOptions {
  authFile?: string;
  credentials?: Credentials;
  certDir?: string;
  /** Undefined: as registries.conf has it. */
  tlsVerify?: boolean;
  quiet?: boolean;
}

/**
 * Sends an image to a registry; gives the digest of its manifest there. Blobs that the registry has are not sent again.
 * Throws UserError, one line.
 */
export async function pushImage(
  store: ImageStore,
  image: ImageRecord,
  reference: Reference,
  options: PushOptions = {},
): Promise<string> {
  // Mirrors are for pulling.
  const endpoint = Registries.load().endpoints(reference).at(-1)!;
  if (options.tlsVerify !== undefined) endpoint.insecure = !options.tlsVerify;
  const credentials = options.credentials ?? findCredentials(reference, options.authFile);
  const progress = await pullProgress(options.quiet);
  progress.say("Getting image source signatures");
  const { certDir } = options;
  const connection = await Connection.open(endpoint, credentials, { actions: "pull,push", certDir });
  // Compressed layers lie in the store's scratch directory, which others may empty while nobody imports.
  using _session = store.beginImport();
  mkdirSync(store.scratch, { recursive: true, mode: 0o700 });
  const scratch = mkdtempSync(join(store.scratch, "push-"));
  try {
    const { digest, manifest, mediaType, config, configDigest, layers } = await outgoing(
      store,
      image,
      scratch,
      options,
    );
    const blobs = layers.map(({ digest, size, path }) => ({ digest, size, data: path }));
    await sendLayers(connection, blobs, sourcesOf(image, reference), progress);
    progress.say(`Copying config ${configDigest}`);
    await uploadBlob(connection, { digest: configDigest, size: config.length, data: config });
    progress.say("Writing manifest to image destination");
    await uploadManifest(connection, reference.digest ?? reference.tag!, manifest, mediaType);
    store.recordEvent("push", image.id, formatReference(reference));
    return digest;
  } finally {
    progress.end();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Other repositories of the registry from which the image came, or to which it belongs by name. */
function sourcesOf(image: ImageRecord, { registry, repository }: Reference): string[] {
  const names = [...image.repoDigests.map(one => one.split("@")[0]!), ...image.names.map(withoutTag)];
  const own = names
    .filter(name => name.startsWith(`${registry}/`))
    .map(name => name.slice(registry.length + 1));
  return [...new Set(own)].filter(name => name !== repository);
}

const withoutTag = (name: string) => name.slice(0, name.lastIndexOf(":"));

async function sendLayers(
  connection: Connection,
  layers: readonly UploadSource[],
  mountFrom: readonly string[],
  progress: PullProgress,
): Promise<void> {
  // An image may have the same layer more than once.
  const queue = [...new Map(layers.map(layer => [layer.digest, layer])).values()];
  let failure: unknown;
  const worker = async () => {
    for (let layer = queue.shift(); layer && failure === undefined; layer = queue.shift()) {
      const { digest, size } = layer;
      const bar = progress.blob(digest, size);
      try {
        await uploadBlob(connection, layer, { mountFrom, onProgress: bar.update });
        bar.done();
      } catch (error) {
        failure ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  progress.end();
  if (failure instanceof UserError)
    throw new UserError(`copying the image: ${failure.message}`, { cause: failure, hint: failure.hint });
  if (failure !== undefined) throw failure;
}
