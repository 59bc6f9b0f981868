/** Blobs and manifests into a repository of a registry (OCI distribution-spec v1.1, "Push"). */
import { createReadStream } from "node:fs";
import { errorText, UserError } from "../base/errors.ts";
import { log } from "../base/log.ts";
import { type Connection, isPassing, RefusedError, reason, STALL_SECONDS } from "./connection.ts";

/** How often one blob is taken up again. */
const RETRIES = 4;
const FIRST_PAUSE_MS = 100;
const PIECE = 1 << 18;

export interface UploadSource {
  digest: string;
  size: number;
  /** A file that has it, or the bytes. */
  data: string | Uint8Array<ArrayBuffer>;
}

export interface UploadOptions {
  /** Repositories of the same registry that may have the blob. */
  mountFrom?: readonly string[];
  onProgress?: (bytes: number) => void;
}

/**
 * Brings a blob into the connection's repository, unless it is there (`exists`), or in a repository from which the registry
 * takes it over (`mounted`). An upload that breaks off goes on where the registry says that it stopped. Throws UserError.
 */
export async function uploadBlob(
  connection: Connection,
  source: UploadSource,
  { mountFrom = [], onProgress }: UploadOptions = {},
): Promise<"sent" | "exists" | "mounted"> {
  const { digest } = source;
  if (await exists(connection, digest)) return "exists";
  for (const from of mountFrom) if (await mounts(connection, digest, from)) return "mounted";
  let place: string | undefined;
  for (let failures = 0; ; ) {
    try {
      let start = 0;
      if (place !== undefined) ({ place, start } = await whereStopped(connection, place));
      place ??= placeOf(await connection.request("blobs/uploads/", { method: "POST", headers: EMPTY }));
      const sent = await stream(connection, place, source, start, onProgress);
      const last = new URL(placeOf(sent));
      last.searchParams.set("digest", digest);
      const headers = { ...EMPTY, "Content-Type": "application/octet-stream" };
      await drain(await connection.request(last.href, { method: "PUT", headers }));
      return "sent";
    } catch (error) {
      const isFinal = error instanceof UserError && !isPassing(error);
      if (isFinal || ++failures > RETRIES)
        throw new UserError(`writing blob: ${digest}: ${isFinal ? error.message : reason(error)}`, {
          cause: error,
        });
      log.info(`the upload of ${digest} broke off, going on: ${errorText(error)}`);
      if (error instanceof RefusedError) place = undefined;
      await Bun.sleep(FIRST_PAUSE_MS * 2 ** failures);
    }
  }
}

const EMPTY = { "Content-Length": "0" };

async function exists(connection: Connection, digest: string): Promise<boolean> {
  try {
    await drain(await connection.request(`blobs/${digest}`, { method: "HEAD" }));
    return true;
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404) return false;
    const { host, repository } = connection.endpoint;
    throw new UserError(
      `checking whether a blob ${digest} exists in ${host}/${repository}: ${errorText(error)}`,
      { cause: error },
    );
  }
}

/** True when the registry has taken the blob over. What it does not like about that is no reason to stop. */
async function mounts(connection: Connection, digest: string, from: string): Promise<boolean> {
  const query = new URLSearchParams({ mount: digest, from });
  try {
    const response = await connection.request(`blobs/uploads/?${query}`, {
      method: "POST",
      headers: EMPTY,
      scope: `repository:${from}:pull`,
    });
    await drain(response);
    return response.status === 201;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    log.debug(`blob ${digest} can't be mounted from ${from}: ${error.message}`);
    return false;
  }
}

/** How far an upload has come. One that the registry no longer knows begins anew. */
async function whereStopped(
  connection: Connection,
  place: string,
): Promise<{ place: string | undefined; start: number }> {
  try {
    const response = await connection.request(place, { method: "GET" });
    await drain(response);
    const match = /^(?:bytes=)?0-(\d+)$/.exec(response.headers.get("range") ?? "");
    // An upload without a byte says `0-0`, and so does one with a single one: that one is sent again, from the start.
    const end = match ? Number(match[1]) : 0;
    if (end > 0) return { place: placeOf(response, place), start: end + 1 };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
  }
  return { place: undefined, start: 0 };
}

function placeOf(response: Response, known?: string): string {
  const place = response.headers.get("location") ?? known;
  if (!place || !URL.canParse(place, response.url))
    throw new UserError("the registry does not say where the blob is to go");
  return new URL(place, response.url).href;
}

async function stream(
  connection: Connection,
  place: string,
  { data, size }: UploadSource,
  start: number,
  onProgress?: (bytes: number) => void,
): Promise<Response> {
  const abort = new AbortController();
  const stalled = () => abort.abort(new DOMException("stalled", "TimeoutError"));
  let timer = setTimeout(stalled, STALL_SECONDS * 1000);
  const body = async function* () {
    let at = start;
    const pieces =
      typeof data === "string"
        ? createReadStream(data, { start, highWaterMark: PIECE })
        : [data.subarray(start)];
    for await (const piece of pieces) {
      clearTimeout(timer);
      timer = setTimeout(stalled, STALL_SECONDS * 1000);
      at += piece.length;
      onProgress?.(at);
      yield piece as Uint8Array;
    }
  };
  const headers = {
    "Content-Type": "application/octet-stream",
    ...(start > 0 && { "Content-Range": `${start}-${size - 1}` }),
  };
  try {
    const response = await connection.request(place, {
      method: "PATCH",
      headers,
      body,
      signal: abort.signal,
    });
    await drain(response);
    return response;
  } finally {
    clearTimeout(timer);
  }
}

/** Puts a manifest under a tag or its digest. Throws UserError. */
export async function uploadManifest(
  connection: Connection,
  name: string,
  data: Uint8Array<ArrayBuffer>,
  mediaType: string,
): Promise<void> {
  const headers = { "Content-Type": mediaType };
  for (let failures = 0; ; ) {
    try {
      const path = `manifests/${name}`;
      return await drain(await connection.request(path, { method: "PUT", headers, body: () => data }));
    } catch (error) {
      const isFinal = error instanceof UserError && !isPassing(error);
      if (isFinal || ++failures > RETRIES)
        throw new UserError(`writing manifest: uploading manifest ${name}: ${errorText(error)}`, {
          cause: error,
        });
      await Bun.sleep(FIRST_PAUSE_MS * 2 ** failures);
    }
  }
}

const drain = async (response: Response): Promise<void> => {
  await response.arrayBuffer();
};
